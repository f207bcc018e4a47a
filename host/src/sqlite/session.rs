//! The use of one connection by one handle of a guest: on which thread its statements run, and when it is its turn
//! to write.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use rusqlite::Connection;

use super::pace::{Known, ends_transaction, reads};
use super::pool::{Database, Link, lock};
use super::turn::Turn;

/// The use of one connection by one handle. The connection goes back to the pool when the last user, the
/// guest or a statement still running, lets go.
pub(crate) struct Session {
    database: Arc<Database>,
    link: Mutex<Option<Link>>,
    /// Held from the beginning of a transaction that writes to its end.
    turn: Mutex<Option<Turn>>,
    /// Rows changed over the connection's life when this session began.
    changes_before: u64,
}

impl Session {
    pub(super) fn new(database: Arc<Database>, link: Link) -> Arc<Self> {
        // A new handle has inserted nothing yet.
        forget_last_insert(&link.connection);
        let changes_before = link.connection.total_changes();
        Arc::new(Self {
            database,
            changes_before,
            link: Mutex::new(Some(link)),
            turn: Mutex::default(),
        })
    }

    /// Runs `use_it` with the connection and a limit on its time. Blocks.
    pub fn with<R>(&self, use_it: impl FnOnce(&Connection) -> R) -> R {
        use_link(&lock(&self.link), use_it)
    }

    /// What runs quickly enough for the thread that asks; `None` for what had better run on another.
    pub fn run_quickly<R>(&self, sql: &str, run: impl FnOnce(&Connection) -> R) -> Option<R> {
        let known = self.database.pace.of(sql);
        let Some(Known {
            is_quick: true,
            reads,
        }) = known
        else {
            return None;
        };
        if ends_transaction(sql) {
            return None;
        }
        let turn = lock(&self.turn);
        // Somebody else's statement on the same handle would have to be waited for.
        let link = self.link.try_lock().ok()?;
        use_link(&link, |connection| {
            let waits = if connection.is_autocommit() {
                !reads
            } else {
                // A transaction that may still have to ask for the lock.
                turn.is_none()
            };
            (!waits).then(|| self.timed(connection, sql, known, run))
        })
    }

    /// Waits for the turn to write, if the statement needs it: it may write, outside of a transaction, or begins
    /// one that may.
    pub async fn wait_for_turn(&self, sql: &str) {
        let known = self.database.pace.of(sql);
        let wants_to_write = |connection: &Connection| {
            let reads = || known.map_or_else(|| reads(connection, sql), |known| known.reads);
            connection.is_autocommit() && !reads()
        };
        let wants = {
            let link = self.link.try_lock();
            let holds = lock(&self.turn).is_some();
            !holds && link.is_ok_and(|link| use_link(&link, wants_to_write))
        };
        if wants {
            let turn = self.database.writers.turn().await;
            *lock(&self.turn) = turn;
        }
    }

    /// Runs the statement and remembers how long that took. After it, or after the transaction that it is part of,
    /// the next writer has its turn. Blocks.
    pub fn run<R>(&self, sql: &str, run: impl FnOnce(&Connection) -> R) -> R {
        let known = self.database.pace.of(sql);
        self.with(|connection| {
            let result = self.timed(connection, sql, known, run);
            if connection.is_autocommit() {
                lock(&self.turn).take();
            }
            result
        })
    }

    fn timed<R>(
        &self,
        connection: &Connection,
        sql: &str,
        known: Option<Known>,
        run: impl FnOnce(&Connection) -> R,
    ) -> R {
        let begun = Instant::now();
        let result = run(connection);
        let took = begun.elapsed();
        self.database.pace.learn(connection, sql, known, took);
        result
    }

    pub fn last_insert_rowid(&self) -> i64 {
        self.with(Connection::last_insert_rowid)
    }

    pub fn changes(&self) -> u64 {
        self.with(|connection| {
            // SQLite remembers the last change of the connection, which may be an earlier handle's.
            let changed = connection.total_changes() != self.changes_before;
            if changed { connection.changes() } else { 0 }
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(link) = lock(&self.link).take() {
            self.database.give_back(link);
        }
    }
}

fn use_link<R>(link: &Option<Link>, use_it: impl FnOnce(&Connection) -> R) -> R {
    let link = link
        .as_ref()
        .expect("the link leaves only when the session is dropped");
    link.watch.begin();
    let result = use_it(&link.connection);
    link.watch.end();
    result
}

#[allow(unsafe_code, reason = "rusqlite has no safe call for it")]
fn forget_last_insert(connection: &Connection) {
    // SAFETY: the handle is valid as long as `connection` is, and the call only stores a number.
    unsafe { rusqlite::ffi::sqlite3_set_last_insert_rowid(connection.handle(), 0) }
}
