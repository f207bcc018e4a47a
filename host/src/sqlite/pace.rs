//! Which statements are quick, and which may have to wait. Handing a statement to another thread and its rows back costs more than most
//! statements do; but a slow one, or one that may wait, must not hold up the thread that all others share.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use rusqlite::Connection;

use crate::limits::{QUICK_STATEMENT, QUICK_STATEMENTS};

/// What is known of the statements of one database.
#[derive(Default)]
pub(super) struct Pace {
    quick: RwLock<HashMap<String, bool>>,
}

impl Pace {
    /// Whether the statement was quick when it last ran.
    pub fn is_quick(&self, sql: &str) -> bool {
        let known = self.quick.read().unwrap_or_else(PoisonError::into_inner);
        known.get(sql).copied().unwrap_or(false)
    }

    /// Remembers how long the statement took.
    pub fn learn(&self, sql: &str, took: Duration) {
        let quick = took <= QUICK_STATEMENT;
        if self.is_quick(sql) == quick {
            return;
        }
        let mut known = self.quick.write().unwrap_or_else(PoisonError::into_inner);
        // A guest that builds its statements anew each time teaches nothing.
        if known.len() >= QUICK_STATEMENTS {
            known.clear();
        }
        known.insert(sql.to_owned(), quick);
    }
}

/// Whether the statement, next on this connection, waits for a writer elsewhere unless its turn has come: it may
/// write, outside of a transaction, or begins one that may.
pub(super) fn wants_to_write(connection: &Connection, sql: &str) -> bool {
    let reads = |sql| {
        let statement = connection.prepare_cached(sql);
        statement.is_ok_and(|statement| statement.readonly())
    };
    connection.is_autocommit() && !reads(sql)
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
        let pace = Pace::default();
        assert!(!pace.is_quick("SELECT 1"));
        pace.learn("SELECT 1", Duration::from_micros(10));
        assert!(pace.is_quick("SELECT 1"));
        pace.learn("SELECT 1", Duration::from_millis(10));
        assert!(!pace.is_quick("SELECT 1"));
    }

    #[test]
    fn what_writes_is_told_from_what_reads() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (a)").unwrap();
        let insert = "INSERT INTO t VALUES (1)";
        for reads in ["SELECT a FROM t", "BEGIN"] {
            assert!(!wants_to_write(&connection, reads), "{reads}");
        }
        for writes in [insert, "BEGIN IMMEDIATE", "PRAGMA journal_mode = WAL"] {
            assert!(wants_to_write(&connection, writes), "{writes}");
        }
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert!(!wants_to_write(&connection, insert), "it has the lock");
        assert!(
            ["COMMIT", " end transaction", "release x"]
                .into_iter()
                .all(ends_transaction)
        );
        assert!(!ends_transaction(insert) && !ends_transaction(""));
    }
}
