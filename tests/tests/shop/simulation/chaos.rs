//! What goes wrong, from a seed: components that stop, a process that dies, calls that fail or dawdle, services
//! that freeze, messages that are lost, repeated, late or overtaken.

use super::watch::Rules;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use wasmart_host::{CallHook, Delivery, Fate, HostCall, Verdict};

/// How often a held call looks whether its service still is frozen.
const FROZEN: Duration = Duration::from_millis(100);

/// How likely each fault is: at one call, or for one message.
struct Odds {
    stop: f64,
    kill: f64,
    fail: f64,
    delay: f64,
    freeze: f64,
    lose: f64,
    repeat: f64,
    late: f64,
}

/// How often each fault has happened.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    pub stops: u32,
    pub kills: u32,
    pub failures: u32,
    pub delays: u32,
    pub freezes: u32,
    pub messages: u32,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally {
            stops,
            kills,
            failures,
            delays,
            freezes,
            messages,
        } = self;
        write!(
            f,
            "{kills} kills, {stops} stops, {failures} failed and {delays} slow calls, {freezes} freezes, \
             {messages} messages lost, repeated or late"
        )
    }
}

/// The faults of one run.
pub struct Chaos {
    odds: Odds,
    state: Mutex<State>,
}

struct State {
    dice: StdRng,
    /// Until when a service does nothing.
    frozen: Option<(String, Instant)>,
    tally: Tally,
}

impl Chaos {
    /// Every kind of fault is in half of all runs, seldom or often: a run with all of them at once would hide what
    /// one alone can do.
    pub fn from_seed(seed: u64) -> Chaos {
        let mut dice = StdRng::seed_from_u64(seed);
        let mut odds = |seldom: f64, often: f64| match dice.random_range(0..4) {
            0 => seldom,
            1 => often,
            _ => 0.0,
        };
        let odds = Odds {
            stop: odds(0.000_5, 0.004),
            kill: odds(0.000_1, 0.000_5),
            fail: odds(0.001, 0.01),
            delay: odds(0.01, 0.1),
            freeze: odds(0.000_05, 0.000_3),
            lose: odds(0.02, 0.25),
            repeat: odds(0.05, 0.3),
            late: odds(0.05, 0.4),
        };
        let state = State {
            dice,
            frozen: None,
            tally: Tally::default(),
        };
        Chaos {
            odds,
            state: Mutex::new(state),
        }
    }

    /// What has happened so far.
    pub fn tally(&self) -> Tally {
        self.state().tally
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn verdict(&self, call: &HostCall<'_>, after: bool) -> Verdict {
        if call.is_look() {
            return Verdict::Pass;
        }
        let mut state = self.state();
        if let Some(held) = state.held(call.component) {
            return held;
        }
        if !after && state.happens(self.odds.freeze) {
            state.freeze(call.component);
            return Verdict::Hold(FROZEN);
        }
        if state.happens(self.odds.stop) {
            state.tally.stops += 1;
            return Verdict::Stop;
        }
        if !after && state.happens(self.odds.fail) {
            state.tally.failures += 1;
            return Verdict::Fail("database or disk is full");
        }
        if state.happens(self.odds.delay) {
            state.tally.delays += 1;
            let most = if state.happens(0.05) { 3_000 } else { 50 };
            return Verdict::Delay(state.milliseconds(most));
        }
        Verdict::Pass
    }
}

impl State {
    fn happens(&mut self, odds: f64) -> bool {
        odds > 0.0 && self.dice.random_bool(odds)
    }

    fn milliseconds(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.dice.random_range(1..=most))
    }

    /// Freezes a service for some seconds or some minutes.
    fn freeze(&mut self, component: &str) {
        self.tally.freezes += 1;
        let most = if self.happens(0.5) { 5_000 } else { 180_000 };
        let until = Instant::now() + self.milliseconds(most);
        self.frozen = Some((component.to_owned(), until));
    }

    fn held(&mut self, component: &str) -> Option<Verdict> {
        let (frozen, until) = self.frozen.as_ref()?;
        if Instant::now() >= *until {
            self.frozen = None;
            return None;
        }
        (frozen == component).then_some(Verdict::Hold(FROZEN))
    }
}

impl CallHook for Chaos {
    fn before(&self, call: &HostCall<'_>) -> Verdict {
        self.verdict(call, false)
    }

    fn after(&self, call: &HostCall<'_>) -> Verdict {
        self.verdict(call, true)
    }

    fn deliver(&self, _: &Delivery<'_>) -> Fate {
        let mut state = self.state();
        let lost = state.happens(self.odds.lose);
        let copies = match state.happens(self.odds.repeat) {
            true if state.happens(0.1) => 10,
            true => 2,
            false => 1,
        };
        let delays: Vec<Duration> = (0..copies)
            .map(|_| match state.happens(self.odds.late) {
                true if state.happens(0.05) => state.milliseconds(60_000),
                true => state.milliseconds(500),
                false => Duration::ZERO,
            })
            .collect();
        if lost {
            state.tally.messages += 1;
            return Fate::Copies(vec![]);
        }
        if delays == [Duration::ZERO] {
            return Fate::Deliver;
        }
        state.tally.messages += 1;
        Fate::Copies(delays)
    }
}

impl Rules for Chaos {
    fn kills(&self, call: &HostCall<'_>, _: bool) -> bool {
        let mut state = self.state();
        let killed = !call.is_look() && state.happens(self.odds.kill);
        state.tally.kills += u32::from(killed);
        killed
    }
}
