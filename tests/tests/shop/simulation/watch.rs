//! The hook of every simulated run: writes the history down, lets a run's own rules interfere, and knows when the
//! whole process is to die.

use super::history::History;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;
use wasmart_host::{CallHook, Delivery, Fate, HostCall, Verdict};

/// What a run does to its shop.
pub trait Rules: CallHook {
    /// Whether this call, on this side of its effect, is the process's last.
    fn kills(&self, _call: &HostCall<'_>, _after: bool) -> bool {
        false
    }
}

/// Nothing goes wrong.
pub struct Peace;

impl CallHook for Peace {}
impl Rules for Peace {}

/// The hook.
pub struct Watch {
    rules: Arc<dyn Rules>,
    pub history: History,
    /// Rules count only while they are on.
    on: AtomicBool,
    dead: AtomicBool,
    died: Notify,
    pub calls: AtomicU64,
}

impl Watch {
    /// Rules are off at first.
    pub fn new(rules: Arc<dyn Rules>) -> Arc<Watch> {
        Arc::new(Watch {
            rules,
            history: History::new(),
            on: false.into(),
            dead: false.into(),
            died: Notify::new(),
            calls: 0.into(),
        })
    }

    /// Lets the rules interfere, or not.
    pub fn set(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    /// Kills the process, as far as its components can tell.
    pub fn kill(&self) {
        self.dead.store(true, Ordering::Relaxed);
        self.died.notify_one();
    }

    /// Waits until the process has been killed.
    pub async fn killed(&self) {
        while !self.dead.load(Ordering::Relaxed) {
            self.died.notified().await;
        }
    }

    /// A new process is about to begin.
    pub fn revive(&self) {
        self.dead.store(false, Ordering::Relaxed);
    }

    fn verdict(&self, call: &HostCall<'_>, after: bool) -> Verdict {
        if self.dead.load(Ordering::Relaxed) {
            return Verdict::Stop;
        }
        if !self.on.load(Ordering::Relaxed) {
            return Verdict::Pass;
        }
        let verdict = if self.rules.kills(call, after) {
            self.kill();
            Verdict::Stop
        } else if after {
            self.rules.after(call)
        } else {
            self.rules.before(call)
        };
        if verdict != Verdict::Pass {
            let (component, name) = (call.component, call.name);
            self.history.add(format_args!(
                "{component} {name} after={after}: {verdict:?}"
            ));
        }
        verdict
    }
}

impl CallHook for Watch {
    fn before(&self, call: &HostCall<'_>) -> Verdict {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let HostCall {
            component,
            name,
            number,
        } = call;
        self.history
            .add(format_args!("{component} {name} {number}"));
        self.verdict(call, false)
    }

    fn after(&self, call: &HostCall<'_>) -> Verdict {
        self.verdict(call, true)
    }

    fn deliver(&self, message: &Delivery<'_>) -> Fate {
        let fate = match self.on.load(Ordering::Relaxed) {
            true => self.rules.deliver(message),
            false => Fate::Deliver,
        };
        let Delivery {
            component,
            channel,
            payload,
        } = message;
        let bytes = payload.len();
        self.history.add(format_args!(
            "{channel} to {component}, {bytes} bytes: {fate:?}"
        ));
        fate
    }
}
