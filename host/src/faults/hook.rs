//! What a hook sees, and what it may do.

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

impl HostCall<'_> {
    /// Whether it only looks, at the clock or for randomness: it has no effect and cannot wait, fail or stop.
    pub fn is_look(&self) -> bool {
        self.name.starts_with("clock.") || self.name == "random"
    }
}

/// What a hook wants done at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verdict {
    /// Go on.
    #[default]
    Pass,
    /// Wait, then go on.
    Delay(Duration),
    /// Wait, then ask again: a frozen component is held until its hook says otherwise.
    Hold(Duration),
    /// Fail without effect, for this reason: a full disk, a server that is not there. Only before a call, and
    /// only for SQL and publishing; any other call passes.
    Fail(&'static str),
    /// Stop the guest here as if its process had died: it sees no result and runs no further. At a look at
    /// the clock or for randomness it stops at its next call.
    Stop,
}

/// One message on its way to one component.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// The component that listens.
    pub component: &'a str,
    /// The channel it listens to.
    pub channel: &'a str,
    /// The message.
    pub payload: &'a [u8],
}

/// What a hook wants done with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Hand it over at once.
    Deliver,
    /// Hand it over so many times, each after its delay: none is a loss, two are a repetition, and a delay
    /// lets later messages pass.
    Copies(Vec<Duration>),
}

/// Watches the calls of all components and the messages to them, and may interfere.
pub trait CallHook: Send + Sync + 'static {
    /// Before the call has any effect.
    fn before(&self, _call: &HostCall<'_>) -> Verdict {
        Verdict::Pass
    }

    /// After the effect, before the guest learns of it.
    fn after(&self, _call: &HostCall<'_>) -> Verdict {
        Verdict::Pass
    }

    /// Before a message is queued for a component.
    fn deliver(&self, _message: &Delivery<'_>) -> Fate {
        Fate::Deliver
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::{Calls, Gate};
    use crate::world::World;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn calls(hook: impl CallHook) -> Calls {
        let gate = Gate::new(World::default(), Some(Arc::new(hook)));
        Calls::new("c".into(), Arc::new(gate))
    }

    struct At(u64, Verdict);

    impl CallHook for At {
        fn before(&self, call: &HostCall<'_>) -> Verdict {
            if call.number == self.0 {
                self.1
            } else {
                Verdict::Pass
            }
        }
    }

    #[tokio::test]
    async fn a_hook_stops_a_call_before_its_effect_and_all_that_follow() {
        let calls = calls(At(2, Verdict::Stop));
        assert_eq!(calls.pass("x", async { 1 }).await.unwrap(), 1);
        let mut done = false;
        let stopped = calls.pass("x", async { done = true }).await.unwrap_err();
        assert!(stopped.to_string().contains("call 2 (x) of component c"));
        assert!(!done);
        assert!(calls.pass("x", async {}).await.is_err());
    }

    #[tokio::test]
    async fn a_look_that_cannot_trap_stops_the_next_call() {
        let calls = calls(At(1, Verdict::Stop));
        calls.note("clock.now");
        calls.killed().await;
        assert!(calls.pass("x", async {}).await.is_err());
    }

    #[tokio::test]
    async fn a_failed_call_has_no_effect() {
        let calls = calls(At(1, Verdict::Fail("disk full")));
        let mut done = false;
        let call = async {
            done = true;
            Ok(())
        };
        let failed = calls
            .pass_or("x", call, |reason| Err(reason.to_owned()))
            .await;
        assert_eq!(failed.unwrap().unwrap_err(), "disk full");
        assert!(!done);
    }

    struct Frozen(AtomicU32);

    impl CallHook for Frozen {
        fn before(&self, _: &HostCall<'_>) -> Verdict {
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0..3 => Verdict::Hold(Duration::from_secs(1)),
                _ => Verdict::Pass,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_held_call_goes_on_when_the_hook_lets_it() {
        let begun = tokio::time::Instant::now();
        let calls = calls(Frozen(AtomicU32::new(0)));
        calls.pass("x", async {}).await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 3);
    }
}
