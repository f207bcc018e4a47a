//! Which statements are quick. Handing a statement to another thread and its rows back costs more than most
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

/// Whether the statement, next on this connection, waits neither for another writer nor for the disk: it only reads, or
/// its transaction already holds the lock; and it does not end one.
pub(super) fn waits_for_nobody(connection: &Connection, sql: &str) -> bool {
    let in_transaction = !connection.is_autocommit();
    let ends = ["COMMIT", "END", "RELEASE"];
    if in_transaction {
        let word = sql.trim_start().get(..7).unwrap_or(sql);
        return !ends.iter().any(|end| {
            word.get(..end.len())
                .is_some_and(|word| word.eq_ignore_ascii_case(end))
        });
    }
    connection
        .prepare_cached(sql)
        .is_ok_and(|statement| statement.readonly())
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
    fn only_what_waits_for_nobody_stays_on_the_thread() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (a)").unwrap();
        let insert = "INSERT INTO t VALUES (1)";
        assert!(waits_for_nobody(&connection, "SELECT a FROM t"));
        for waits in [insert, "BEGIN IMMEDIATE", "PRAGMA journal_mode = WAL"] {
            assert!(!waits_for_nobody(&connection, waits), "{waits}");
        }
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert!(waits_for_nobody(&connection, insert));
        for waits in ["COMMIT", " end transaction", "release x"] {
            assert!(!waits_for_nobody(&connection, waits), "{waits}");
        }
    }
}
