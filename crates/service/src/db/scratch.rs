//! A database whose content may be lost: counters, which all services share. It has no versions, and
//! its commits wait for no disk.

use super::{DbError, Row, ToValue, run_beside_others};
use spin_sdk::sqlite::wit::sqlite::Connection;
use std::sync::Mutex;

/// A database of this kind, by its label in the manifest.
pub struct Scratch {
    label: &'static str,
    /// Statements that are repeated whenever a handle is opened: `CREATE TABLE IF NOT EXISTS …`.
    schema: &'static [&'static str],
    /// Handles that nobody uses at the moment.
    idle: Mutex<Vec<Connection>>,
}

/// Handles kept: as many as an instance serves requests at once.
const MAX_IDLE: usize = 16;

impl Scratch {
    /// Names a database; it is opened when it is first used.
    pub const fn new(label: &'static str, schema: &'static [&'static str]) -> Scratch {
        Scratch {
            label,
            schema,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Runs one statement, each a transaction of its own, and gives its rows.
    pub async fn query(&self, sql: &str, params: &[&dyn ToValue]) -> Result<Vec<Row>, DbError> {
        let connection = match self.idle.lock().ok().and_then(|mut idle| idle.pop()) {
            Some(connection) => connection,
            None => self.open().await?,
        };
        let values = params.iter().map(|param| param.to_value()).collect();
        // A handle that failed is not used again.
        let rows = run_beside_others(&connection, sql, values).await?;
        if let Ok(mut idle) = self.idle.lock()
            && idle.len() < MAX_IDLE
        {
            idle.push(connection);
        }
        Ok(rows)
    }

    async fn open(&self) -> Result<Connection, DbError> {
        let connection = Connection::open_async(self.label.to_owned()).await?;
        // Wishes: libSQL refuses PRAGMAs and keeps its own rules.
        for pragma in [
            "PRAGMA busy_timeout = 1000",
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = OFF",
            "PRAGMA secure_delete = ON",
        ] {
            run_beside_others(&connection, pragma, vec![]).await.ok();
        }
        for statement in self.schema {
            run_beside_others(&connection, statement, vec![]).await?;
        }
        Ok(connection)
    }
}
