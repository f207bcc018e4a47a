//! A clock that can be set. It goes at the pace of tokio's, which a test may pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

use crate::calls::Calls;

/// The time that components see. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Time since the Unix epoch when the clock was made.
    start: Duration,
    made: Instant,
    /// How far it has been set, in milliseconds.
    set_by: AtomicI64,
}

impl Clock {
    /// A clock that starts at a time. From then on it goes with tokio's clock.
    pub fn starting_at(time: SystemTime) -> Self {
        Self(Arc::new(Inner {
            start: time.duration_since(UNIX_EPOCH).unwrap_or_default(),
            made: Instant::now(),
            set_by: AtomicI64::new(0),
        }))
    }

    /// Sets it forward, or back, by so many milliseconds. Time that only passes (WASI's monotonic clock)
    /// does not jump.
    pub fn jump(&self, milliseconds: i64) {
        self.0.set_by.fetch_add(milliseconds, Ordering::Relaxed);
    }

    /// Time since the Unix epoch.
    pub fn now(&self) -> Duration {
        let shown = self.0.start + self.0.made.elapsed();
        let set_by = self.0.set_by.load(Ordering::Relaxed);
        let by = Duration::from_millis(set_by.unsigned_abs());
        if set_by < 0 {
            shown.saturating_sub(by)
        } else {
            shown + by
        }
    }
}

/// WASI's wall clock, behind the hook.
pub(super) struct WallClock(Clock, Calls);

impl WallClock {
    pub fn new(clock: Clock, calls: Calls) -> Self {
        Self(clock, calls)
    }
}

impl HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.1.note("clock.now");
        self.0.now()
    }
}

/// WASI's monotonic clock, behind the hook.
pub(super) struct MonotonicClock(Clock, Calls);

impl MonotonicClock {
    pub fn new(clock: Clock, calls: Calls) -> Self {
        Self(clock, calls)
    }
}

impl HostMonotonicClock for MonotonicClock {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        self.1.note("clock.monotonic");
        u64::try_from(self.0.0.made.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_and_can_be_set_either_way() {
        let clock = Clock::starting_at(UNIX_EPOCH + Duration::from_secs(100));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(clock.now().as_secs(), 105);
        clock.jump(-60_000);
        assert_eq!(clock.now().as_secs(), 45);
        clock.jump(120_000);
        assert_eq!(clock.now().as_secs(), 165);
    }
}
