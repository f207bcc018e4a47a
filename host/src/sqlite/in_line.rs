//! Statements of a simulation: on the only thread, so that waiting for another connection means letting its holder
//! run, not sleeping in SQLite.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Session;
use super::query::{self, Outcome};
use crate::bindings::spin::sqlite::sqlite::Value;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(1);
/// The setting by which a guest says how long it would wait.
const BUSY_TIMEOUT: &str = "PRAGMA busy_timeout";
/// What the components of this host's time use; the exact time does not matter to a simulation.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the statement; while the database is busy, tries again for as long as a guest may wait.
pub(super) async fn run(session: &Arc<Session>, sql: &str, parameters: &[Value]) -> Outcome {
    // SQLite itself must not wait: the one it waits for could not go on.
    if sql.starts_with(BUSY_TIMEOUT) {
        return Outcome::default();
    }
    let begun = Instant::now();
    loop {
        let outcome = session.with(|connection| {
            // The library's default is to sleep for seconds.
            match connection.busy_timeout(Duration::ZERO) {
                Ok(()) => query::run(connection, sql, parameters),
                Err(error) => Outcome::failed(error.to_string()),
            }
        });
        if !outcome.busy || begun.elapsed() >= PATIENCE {
            return outcome;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
