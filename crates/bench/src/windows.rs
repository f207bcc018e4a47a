//! How long is measured, and what becomes of the single times: after a warm-up, some windows of equal
//! length; each gives its rate and percentiles, and what is reported are the medians over the windows.

use crate::figures::{median, ms, per_second};
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

/// How long to measure.
#[derive(Clone, Copy)]
pub struct Pace {
    /// Before anything counts.
    pub warm: Duration,
    pub window: Duration,
    pub windows: usize,
}

impl Pace {
    /// From the first request to the end of the last window.
    pub fn whole(&self) -> Duration {
        self.warm + self.window * u32::try_from(self.windows).unwrap_or(1)
    }
}

/// The times of one client or, merged, of all.
pub struct Windows {
    pace: Pace,
    begun: Instant,
    windows: Vec<Histogram<u64>>,
}

/// What came out.
#[derive(Clone, Copy)]
pub struct Measured {
    /// How many ended in a second.
    pub rate: f64,
    pub p50: Duration,
    pub p99: Duration,
}

impl Windows {
    pub fn new(pace: Pace, begun: Instant) -> anyhow::Result<Windows> {
        // Three digits, from 1 µs up to two minutes.
        let one = Histogram::new_with_bounds(1, 120_000_000, 3)?;
        let windows = vec![one; pace.windows];
        Ok(Windows {
            pace,
            begun,
            windows,
        })
    }

    /// Whether there is still something to measure.
    pub fn is_open(&self) -> bool {
        self.begun.elapsed() < self.pace.whole()
    }

    /// Something ended at `end` that had taken `time`. Counts in the window in which it ended.
    pub fn record(&mut self, end: Instant, time: Duration) {
        let since = end.saturating_duration_since(self.begun);
        let Some(counted) = since.checked_sub(self.pace.warm) else {
            return;
        };
        let index = (counted.as_secs_f64() / self.pace.window.as_secs_f64()) as usize;
        if let Some(window) = self.windows.get_mut(index) {
            window.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1));
        }
    }

    pub fn merge(&mut self, other: &Windows) -> anyhow::Result<()> {
        for (own, others) in self.windows.iter_mut().zip(&other.windows) {
            own.add(others)?;
        }
        Ok(())
    }

    /// The medians over the windows.
    pub fn measured(&self) -> Measured {
        let over =
            |of: &dyn Fn(&Histogram<u64>) -> f64| median(self.windows.iter().map(of).collect());
        let at = |quantile: f64| {
            let us = over(&|window| window.value_at_quantile(quantile) as f64);
            Duration::from_secs_f64(us / 1e6)
        };
        Measured {
            rate: over(&|window| window.len() as f64 / self.pace.window.as_secs_f64()),
            p50: at(0.5),
            p99: at(0.99),
        }
    }
}

impl Measured {
    /// `1 234/s, p50 1.2 ms, p99 3.4 ms`
    pub fn shown(&self) -> String {
        let (p50, p99) = (ms(self.p50), ms(self.p99));
        format!("{}, p50 {p50}, p99 {p99}", per_second(self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warm_up_does_not_count_and_medians_do() {
        let pace = Pace {
            warm: Duration::from_secs(1),
            window: Duration::from_secs(2),
            windows: 3,
        };
        let begun = Instant::now();
        let mut windows = Windows::new(pace, begun).expect("bounds");
        let at = |seconds: f64| begun + Duration::from_secs_f64(seconds);
        windows.record(at(0.5), Duration::from_secs(9));
        for (second, times) in [(1.5, 2), (3.5, 40), (5.5, 10)] {
            for _ in 0..times {
                windows.record(at(second), Duration::from_millis(times));
            }
        }
        windows.record(at(7.5), Duration::from_secs(9));
        let measured = windows.measured();
        assert!((measured.rate - 5.0).abs() < f64::EPSILON);
        assert_eq!(measured.p50.as_millis(), 10);
    }
}
