//! Waiting for what happens by and by.

use std::time::{Duration, Instant};

/// How long a test waits: far past what any step takes, so that only what never comes is late.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
pub const PAUSE: Duration = Duration::from_millis(15);

/// Looks again and again until `look` gives something.
///
/// # Panics
/// When it never does; `what` says what was waited for.
pub async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look).await
}

/// As [`eventually`], for what may take longer or must not take as long.
///
/// # Panics
/// When it is not there in time.
pub async fn within<T>(time: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < time, "waited {time:?} in vain: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
