//! The one gate that every call of a guest into the host passes: counted, traced, and open to a hook that
//! may delay or stop the guest there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// One call of a component into the host.
#[derive(Debug, Clone, Copy)]
pub struct HostCall<'a> {
    /// The component that calls, by its id in the manifest.
    pub component: &'a str,
    /// What it calls, such as `sqlite.execute`.
    pub name: &'static str,
    /// The component's calls since the host started, this one included: the first is 1.
    pub number: u64,
}

/// What a hook wants done at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verdict {
    /// Go on.
    #[default]
    Pass,
    /// Wait, then go on.
    Delay(Duration),
    /// Stop the guest here as if its process had died: it sees no result and runs no further.
    Stop,
}

/// Watches the calls of all components, and may interfere. Meant for tests that inject faults.
pub trait CallHook: Send + Sync + 'static {
    /// Before the call has any effect.
    fn before(&self, _call: &HostCall<'_>) -> Verdict {
        Verdict::Pass
    }

    /// After the effect, before the guest learns of it.
    fn after(&self, _call: &HostCall<'_>) -> Verdict {
        Verdict::Pass
    }
}

/// What the gates of all components share.
#[derive(Default)]
pub(crate) struct Gate {
    hook: Option<Arc<dyn CallHook>>,
    /// The host is gone: whatever still runs has no effect any more.
    closed: AtomicBool,
}

impl Gate {
    pub fn new(hook: Option<Arc<dyn CallHook>>) -> Arc<Self> {
        let closed = AtomicBool::new(false);
        Arc::new(Self { hook, closed })
    }

    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

/// The gate of one component; shared by all its instances.
#[derive(Clone)]
pub(crate) struct Calls {
    inner: Arc<Inner>,
}

struct Inner {
    component: Arc<str>,
    made: AtomicU64,
    gate: Arc<Gate>,
}

impl Calls {
    pub fn new(component: Arc<str>, gate: Arc<Gate>) -> Self {
        let made = AtomicU64::new(0);
        let inner = Inner {
            component,
            made,
            gate,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Calls made so far.
    pub fn made(&self) -> u64 {
        self.inner.made.load(Ordering::Relaxed)
    }

    /// Passes one call through the gate. The error is a trap: the guest ends.
    pub async fn pass<R>(
        &self,
        name: &'static str,
        call: impl Future<Output = R>,
    ) -> wasmtime::Result<R> {
        let inner = &*self.inner;
        let number = inner.made.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::trace!(component = &*inner.component, number, name, "host call");
        if inner.gate.closed.load(Ordering::Relaxed) {
            return Err(wasmtime::format_err!("the host has stopped"));
        }
        let Some(hook) = &inner.gate.hook else {
            return Ok(call.await);
        };
        let this = HostCall {
            component: &inner.component,
            name,
            number,
        };
        obey(hook.before(&this), &this).await?;
        let result = call.await;
        obey(hook.after(&this), &this).await?;
        Ok(result)
    }
}

async fn obey(verdict: Verdict, call: &HostCall<'_>) -> wasmtime::Result<()> {
    match verdict {
        Verdict::Pass => Ok(()),
        Verdict::Delay(time) => {
            tokio::time::sleep(time).await;
            Ok(())
        }
        Verdict::Stop => Err(wasmtime::format_err!(
            "stopped by a hook at call {} ({}) of component {}",
            call.number,
            call.name,
            call.component
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct StopAtSecond;

    impl CallHook for StopAtSecond {
        fn before(&self, call: &HostCall<'_>) -> Verdict {
            if call.number == 2 {
                Verdict::Stop
            } else {
                Verdict::Pass
            }
        }
    }

    #[tokio::test]
    async fn a_hook_stops_a_call_before_its_effect() {
        let calls = Calls::new("c".into(), Gate::new(Some(Arc::new(StopAtSecond))));
        assert_eq!(calls.pass("x", async { 1 }).await.unwrap(), 1);
        let mut done = false;
        let stopped = calls.pass("x", async { done = true }).await;
        assert!(
            stopped
                .unwrap_err()
                .to_string()
                .contains("call 2 (x) of component c")
        );
        assert!(!done);
        assert_eq!(calls.made(), 2);
    }

    #[tokio::test]
    async fn after_the_host_nothing_passes() {
        let gate = Gate::new(None);
        let calls = Calls::new("c".into(), gate.clone());
        calls.pass("x", async {}).await.unwrap();
        gate.close();
        assert!(calls.pass("x", async {}).await.is_err());
    }
}
