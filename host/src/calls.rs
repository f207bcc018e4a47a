//! The one gate that every call of a guest into the host passes: counted, traced, and closed once the host is
//! gone. With the feature `faults` a hook may fail, delay or stop the guest there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

#[cfg(feature = "faults")]
use crate::faults::{CallHook, HostCall, Verdict};
use crate::world::World;

/// What the gates of all components share.
#[derive(Default)]
pub(crate) struct Gate {
    pub world: World,
    /// The host is gone: whatever still runs has no effect any more.
    closed: AtomicBool,
    #[cfg(feature = "faults")]
    pub hook: Option<Arc<dyn CallHook>>,
    #[cfg(feature = "faults")]
    closing: Notify,
}

impl Gate {
    pub fn new(world: World, #[cfg(feature = "faults")] hook: Option<Arc<dyn CallHook>>) -> Self {
        Self {
            world,
            #[cfg(feature = "faults")]
            hook,
            ..Self::default()
        }
    }

    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        #[cfg(feature = "faults")]
        self.closing.notify_waiters();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    #[cfg(feature = "faults")]
    async fn pause(&self, time: std::time::Duration) {
        let closing = self.closing.notified();
        if !self.is_closed() {
            tokio::select! {
                biased;
                () = closing => {}
                () = tokio::time::sleep(time) => {}
            }
        }
    }
}

/// The gate of one instance of a component.
#[derive(Clone)]
pub(crate) struct Calls {
    shared: Arc<Shared>,
    life: Arc<Life>,
}

/// What all instances of one component share.
struct Shared {
    component: Arc<str>,
    made: AtomicU64,
    gate: Arc<Gate>,
}

/// Whether one instance may go on.
#[derive(Default)]
struct Life {
    ended: AtomicBool,
    end: Arc<Notify>,
}

impl Calls {
    pub fn new(component: Arc<str>, gate: Arc<Gate>) -> Self {
        let made = AtomicU64::new(0);
        let shared = Shared {
            component,
            made,
            gate,
        };
        Self {
            shared: Arc::new(shared),
            life: Arc::default(),
        }
    }

    /// The gate of a new instance of the same component.
    pub fn for_instance(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            life: Arc::default(),
        }
    }

    /// Calls that all instances have made so far.
    pub fn made(&self) -> u64 {
        self.shared.made.load(Ordering::Relaxed)
    }

    /// What the host takes from the world around it.
    pub fn world(&self) -> &World {
        &self.shared.gate.world
    }

    /// Ends the instance from a place that cannot trap: none of its calls has an effect any more, and
    /// whoever runs it learns of it through [`Calls::killed`].
    pub fn kill(&self) {
        self.life.ended.store(true, Ordering::Relaxed);
        self.life.end.notify_one();
    }

    /// Ready when the instance has been killed.
    pub fn killed(&self) -> OwnedNotified {
        self.life.end.clone().notified_owned()
    }

    /// Counts a call; the error is a trap.
    fn begin(&self, name: &'static str) -> wasmtime::Result<u64> {
        let Shared {
            component,
            made,
            gate,
        } = &*self.shared;
        let number = made.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::trace!(component = &**component, number, name, "host call");
        if gate.is_closed() {
            return Err(wasmtime::format_err!("the host has stopped"));
        }
        if self.life.ended.load(Ordering::Relaxed) {
            return Err(wasmtime::format_err!("the instance has ended"));
        }
        Ok(number)
    }

    /// Passes one call through the gate. The error is a trap: the guest ends.
    pub async fn pass<R>(
        &self,
        name: &'static str,
        call: impl Future<Output = R>,
    ) -> wasmtime::Result<R> {
        let number = self.begin(name)?;
        #[cfg(feature = "faults")]
        return self
            .watched(name, number, call, None::<fn(&str) -> R>)
            .await;
        #[cfg(not(feature = "faults"))]
        {
            let _ = number;
            Ok(call.await)
        }
    }

    /// As [`Calls::pass`], for a call that a hook may also make fail: `fail` makes its result from a
    /// reason.
    pub async fn pass_or<R>(
        &self,
        name: &'static str,
        call: impl Future<Output = R>,
        fail: impl FnOnce(&str) -> R,
    ) -> wasmtime::Result<R> {
        let number = self.begin(name)?;
        #[cfg(feature = "faults")]
        return self.watched(name, number, call, Some(fail)).await;
        #[cfg(not(feature = "faults"))]
        {
            let _ = (number, fail);
            Ok(call.await)
        }
    }
}

#[cfg(feature = "faults")]
impl Calls {
    async fn watched<R>(
        &self,
        name: &'static str,
        number: u64,
        call: impl Future<Output = R>,
        fail: Option<impl FnOnce(&str) -> R>,
    ) -> wasmtime::Result<R> {
        let Some(hook) = &self.shared.gate.hook else {
            return Ok(call.await);
        };
        let this = HostCall {
            component: &self.shared.component,
            name,
            number,
        };
        if let Some(reason) = self.obey(&this, || hook.before(&this)).await?
            && let Some(fail) = fail
        {
            return Ok(fail(reason));
        }
        let result = call.await;
        self.obey(&this, || hook.after(&this)).await?;
        Ok(result)
    }

    /// Does what the hook wants; gives the reason when the call shall fail.
    async fn obey(
        &self,
        call: &HostCall<'_>,
        ask: impl Fn() -> Verdict,
    ) -> wasmtime::Result<Option<&'static str>> {
        let gate = &self.shared.gate;
        let reason = loop {
            match ask() {
                Verdict::Pass => break None,
                Verdict::Fail(reason) => break Some(reason),
                Verdict::Hold(time) => gate.pause(time).await,
                Verdict::Delay(time) => {
                    gate.pause(time).await;
                    break None;
                }
                Verdict::Stop => {
                    self.life.ended.store(true, Ordering::Relaxed);
                    wasmtime::bail!(
                        "stopped by a hook at call {} ({}) of component {}",
                        call.number,
                        call.name,
                        call.component
                    );
                }
            }
            if gate.is_closed() {
                wasmtime::bail!("the host has stopped");
            }
        };
        // The host may have gone while the guest waited.
        if gate.is_closed() {
            wasmtime::bail!("the host has stopped");
        }
        Ok(reason)
    }

    /// A call that neither waits nor fails, such as a look at the clock. A hook that wants the guest to
    /// stop here stops it at its next call: until then it can only compute.
    pub fn note(&self, name: &'static str) {
        let Ok(number) = self.begin(name) else {
            return self.kill();
        };
        let Some(hook) = &self.shared.gate.hook else {
            return;
        };
        let this = HostCall {
            component: &self.shared.component,
            name,
            number,
        };
        if hook.before(&this) == Verdict::Stop || hook.after(&this) == Verdict::Stop {
            self.kill();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn after_the_host_nothing_passes() {
        let gate = Arc::new(Gate::default());
        let calls = Calls::new("c".into(), gate.clone());
        calls.pass("x", async {}).await.unwrap();
        gate.close();
        assert!(calls.pass("x", async {}).await.is_err());
        assert_eq!(calls.made(), 2);
    }

    #[tokio::test]
    async fn a_killed_instance_passes_no_more_and_the_others_do() {
        let calls = Calls::new("c".into(), Arc::default());
        let (one, other) = (calls.for_instance(), calls.for_instance());
        one.kill();
        one.killed().await;
        assert!(one.pass("x", async {}).await.is_err());
        assert!(other.pass("x", async {}).await.is_ok());
    }
}
