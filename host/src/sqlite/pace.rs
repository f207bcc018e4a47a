//! Which statements are quick, and which may have to wait. Handing a statement to another thread and its rows back costs more than most
//! statements do; but a slow one, or one that may wait, must not hold up the thread that all others share.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use rusqlite::Connection;

use crate::limits::{KNOWN_STATEMENTS, QUICK_STATEMENT};

/// So many quick runs in a row are a rule.
pub(super) const ALWAYS: u8 = 8;

/// What is known of the statements of one database.
#[derive(Default)]
pub(super) struct Pace {
    known: RwLock<HashMap<String, Known>>,
}

/// What is known of a statement that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// How often it was quick since it last was not; counted up to [`ALWAYS`].
    quick: u8,
    /// It changes nothing and takes no lock to write.
    pub reads: bool,
}

impl Known {
    /// As it was when it last ran.
    pub fn is_quick(&self) -> bool {
        self.quick > 0
    }

    pub fn is_always_quick(&self) -> bool {
        self.quick == ALWAYS
    }
}

impl Pace {
    /// `None` for a statement that has not run yet.
    pub fn of(&self, sql: &str) -> Option<Known> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(sql).copied()
    }

    /// Remembers how long the statement took. `before` is what was known of it.
    pub fn learn(&self, connection: &Connection, sql: &str, before: Option<Known>, took: Duration) {
        let quick = match took <= QUICK_STATEMENT {
            true => before.map_or(1, |before| ALWAYS.min(before.quick + 1)),
            false => 0,
        };
        if before.is_some_and(|before| before.quick == quick) {
            return;
        }
        let reads = before.map_or_else(|| reads(connection, sql), |before| before.reads);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // A guest that builds its statements anew each time teaches nothing.
        if known.len() >= KNOWN_STATEMENTS {
            known.clear();
        }
        known.insert(sql.to_owned(), Known { quick, reads });
    }
}

/// Whether the statement changes nothing and takes no lock to write.
pub(super) fn reads(connection: &Connection, sql: &str) -> bool {
    let statement = connection.prepare_cached(sql);
    statement.is_ok_and(|statement| statement.readonly())
}

/// Whether the statement begins a transaction.
pub(super) fn begins_transaction(sql: &str) -> bool {
    starts_with_one_of(sql, &["BEGIN"])
}

/// Whether the statement ends a transaction: that may wait for the disk, and lets the next writer in.
pub(super) fn ends_transaction(sql: &str) -> bool {
    starts_with_one_of(sql, &["COMMIT", "END", "RELEASE", "ROLLBACK"])
}

fn starts_with_one_of(sql: &str, words: &[&str]) -> bool {
    let sql = sql.trim_start().as_bytes();
    let begins = |word: &&str| {
        sql.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
    };
    words.iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_quick_while_it_was_quick() {
        let connection = Connection::open_in_memory().unwrap();
        let (pace, sql) = (Pace::default(), "SELECT 1");
        assert_eq!(pace.of(sql), None);
        let run = |millis| {
            let took = Duration::from_millis(millis);
            pace.learn(&connection, sql, pace.of(sql), took);
            let known = pace.of(sql).expect("it ran");
            assert!(known.reads);
            (known.is_quick(), known.is_always_quick())
        };
        for (millis, is_quick) in [(0, true), (10, false), (0, true)] {
            assert_eq!(run(millis), (is_quick, false));
        }
        let again = [(); ALWAYS as usize].map(|()| run(0));
        assert_eq!(again[again.len() - 1], (true, true));
        assert_eq!(run(10), (false, false));
        assert_eq!(run(0), (true, false));
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
