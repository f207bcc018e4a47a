//! What every component shares. It knows HTTP, SQL, channels and time; it does not know what an
//! order is, so another Spin application could take it as it is.
//!
//! A component names itself once, as a `static` [`Service`], and hands that to the two entries:
//! [`http::serve`] for requests and [`inbox::receive`] for messages.

/// Writes one line to the log, in one piece: text from clients and from the network can't begin
/// another line.
#[macro_export]
macro_rules! log {
    ($($argument:tt)*) => { $crate::log::write(&format!($($argument)*)) };
}

pub mod actor;
pub mod barrier;
pub mod channels;
pub mod clock;
pub mod config;
pub mod db;
pub mod dead_letters;
pub mod guard;
pub mod http;
pub mod idempotency;
pub mod inbox;
pub mod internal;
pub mod log;
mod open;
pub mod operators;
pub mod outbox;
#[cfg(feature = "sabotage")]
pub mod sabotage;
pub mod trace;

/// A component, as its triggers and its helpers need to know it.
pub struct Service {
    /// Its name: the database's label, the `source` of its events, the word in its own paths.
    pub name: &'static str,
    /// The versions of its database, oldest first.
    pub migrations: &'static [db::Migration],
    /// Channels on which it sends commands. Only a reply answers those; what is sent on other channels
    /// is answered by an acknowledgement.
    pub commands: &'static [&'static str],
    /// Channels that it listens to, as in `spin.toml`. Events that were signed for other channels
    /// are refused.
    pub channels: &'static [&'static str],
}

impl Service {
    /// The `source` of the events it sends (CloudEvents: a URI reference).
    pub fn source(&self) -> String {
        format!("/{}", self.name)
    }
}

/// A new id: UUID v7 (RFC 9562), so that ids sort by the time they were made.
pub fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}
