//! Which statements are quick, and which may have to wait. Handing a statement to another thread and its rows back costs more than most
//! statements do; but a slow one, or one that may wait, must not hold up the thread that all others share.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use rusqlite::Connection;

use crate::limits::{KNOWN_STATEMENTS, QUICK_STATEMENT};

/// What is known of the statements of one database.
#[derive(Default)]
pub(super) struct Pace {
    known: RwLock<HashMap<String, Known>>,
}

/// What is known of a statement that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// How it was when it last ran.
    pub is_quick: bool,
    /// It changes nothing and takes no lock to write.
    pub reads: bool,
}

impl Pace {
    /// `None` for a statement that has not run yet.
    pub fn of(&self, sql: &str) -> Option<Known> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(sql).copied()
    }

    /// Remembers how long the statement took. `before` is what was known of it.
    pub fn learn(&self, connection: &Connection, sql: &str, before: Option<Known>, took: Duration) {
        let is_quick = took <= QUICK_STATEMENT;
        if before.is_some_and(|before| before.is_quick == is_quick) {
            return;
        }
        let reads = before.map_or_else(|| reads(connection, sql), |before| before.reads);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // A guest that builds its statements anew each time teaches nothing.
        if known.len() >= KNOWN_STATEMENTS {
            known.clear();
        }
        known.insert(sql.to_owned(), Known { is_quick, reads });
    }
}

/// Whether the statement changes nothing and takes no lock to write.
pub(super) fn reads(connection: &Connection, sql: &str) -> bool {
    let statement = connection.prepare_cached(sql);
    statement.is_ok_and(|statement| statement.readonly())
}

/// Whether the statement ends a transaction: that may wait for the disk, and lets the next writer in.
pub(super) fn ends_transaction(sql: &str) -> bool {
    let sql = sql.trim_start();
    ["COMMIT", "END", "RELEASE", "ROLLBACK"].iter().any(|end| {
        sql.get(..end.len())
            .is_some_and(|word| word.eq_ignore_ascii_case(end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_quick_while_it_was_quick() {
        let connection = Connection::open_in_memory().unwrap();
        let (pace, sql) = (Pace::default(), "SELECT 1");
        assert_eq!(pace.of(sql), None);
        for (millis, is_quick) in [(0, true), (10, false), (0, true)] {
            let took = Duration::from_millis(millis);
            pace.learn(&connection, sql, pace.of(sql), took);
            let reads = true;
            assert_eq!(pace.of(sql), Some(Known { is_quick, reads }));
        }
    }

    #[test]
    fn what_writes_is_told_from_what_reads() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (a)").unwrap();
        let insert = "INSERT INTO t VALUES (1)";
        for sql in ["SELECT a FROM t", "BEGIN"] {
            assert!(reads(&connection, sql), "{sql}");
        }
        for sql in [
            insert,
            "BEGIN IMMEDIATE",
            "PRAGMA journal_mode = WAL",
            "nonsense",
        ] {
            assert!(!reads(&connection, sql), "{sql}");
        }
        assert!(
            ["COMMIT", " end transaction", "release x"]
                .into_iter()
                .all(ends_transaction)
        );
        assert!(!ends_transaction(insert) && !ends_transaction(""));
    }
}
