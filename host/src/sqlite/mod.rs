//! `spin:sqlite`: databases of a component, their connections, and the handles a guest opens.

mod host;
mod in_line;
mod pace;
mod pool;
mod query;

pub(crate) use pool::{Database, Session, create_folder};

/// What a guest holds: one private connection until the handle is dropped.
pub struct OpenDatabase(std::sync::Arc<Session>);
