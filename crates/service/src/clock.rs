//! The time, in the two forms used here: milliseconds since the Unix epoch in databases, RFC 3339 on the wire.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> i64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

/// `2026-01-31T12:00:00.123Z` (RFC 3339, UTC).
pub fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |t| format!("{t:.3}"))
}

/// Something that an instance does now and then, as a share of other work.
pub struct Pace {
    every_ms: i64,
    last: AtomicI64,
}

impl Pace {
    /// At most once in so many milliseconds.
    pub const fn every(every_ms: i64) -> Pace {
        Pace {
            every_ms,
            last: AtomicI64::new(0),
        }
    }

    /// Whether it is time again; who is told so does it. A clock that was set back does not make it wait.
    pub fn is_due(&self, now: i64) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        let due = !(0..self.every_ms).contains(&(now - last));
        if due {
            self.last.store(now, Ordering::Relaxed);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_often_is_done_at_its_pace() {
        let pace = Pace::every(1_000);
        let asked = (50_000..55_000).step_by(100);
        assert_eq!(asked.filter(|now| pace.is_due(*now)).count(), 5);
    }

    #[test]
    fn a_clock_set_back_makes_nothing_wait() {
        let pace = Pace::every(1_000);
        assert!(pace.is_due(90_000_000));
        assert!(pace.is_due(3_600_000));
        assert!(!pace.is_due(3_600_500));
    }
}
