//! `spin:sqlite`: databases of a component, their connections, and the handles a guest opens.

mod connect;
mod host;
mod in_line;
mod pace;
mod pool;
mod query;
mod session;
mod turn;

pub(crate) use connect::{connect, empty_log};
pub(crate) use pool::Database;
pub(crate) use session::Session;
pub(crate) use turn::Writers;

/// What a guest holds: one private connection until the handle is dropped.
pub struct OpenDatabase(std::sync::Arc<Session>);
