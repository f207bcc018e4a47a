//! The use of one connection by one handle of a guest: on which thread its statements run, and when it is its turn
//! to write.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::pace::{Known, begins_transaction, ends_transaction, reads};
use super::pool::{Database, Link, lock};
use super::query::Outcome;
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

    /// Runs a statement on the thread that asks, if it is quick and waits for nobody; `None` for what had better run
    /// on another.
    pub fn run_quickly(
        &self,
        sql: &str,
        run: impl FnOnce(&Connection) -> Outcome,
    ) -> Option<Outcome> {
        let known = self.database.pace.of(sql).filter(Known::is_quick)?;
        let mut turn = lock(&self.turn);
        // Somebody else's statement on the same handle would have to be waited for.
        let link = self.link.try_lock().ok()?;
        use_link(&link, |connection| {
            let is_outside = connection.is_autocommit();
            let takes_lock = is_outside && !known.reads;
            // A transaction without its turn may still have to ask for the lock.
            let waits = turn.is_none() && (takes_lock || !is_outside);
            // Once is no rule: a commit that had nothing to write out says nothing of the next.
            let commits = ends_transaction(sql) || takes_lock && !begins_transaction(sql);
            if waits || commits && !known.is_always_quick() {
                return None;
            }
            let run = |connection: &_| self.timed(connection, sql, Some(known), run);
            let outcome = match takes_lock {
                true => without_patience(connection, run)?,
                false => run(connection),
            };
            if connection.is_autocommit() {
                turn.take();
            }
            Some(outcome)
        })
    }

    /// Waits for the turn to write, if the statement needs it: it may write, outside of a transaction, or begins
    /// one that may. Gives whether it has it now and had not before.
    pub async fn wait_for_turn(&self, sql: &str) -> bool {
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
        if !wants {
            return false;
        }
        let turn = self.database.writers.turn().await;
        let mut held = lock(&self.turn);
        *held = turn;
        held.is_some()
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

/// Runs it with no time to wait for a lock; `None` if it would have had to.
fn without_patience(
    connection: &Connection,
    run: impl FnOnce(&Connection) -> Outcome,
) -> Option<Outcome> {
    let mut patience = connection.prepare_cached("PRAGMA busy_timeout").ok()?;
    let patience: u32 = patience.query_row([], |row| row.get(0)).ok()?;
    connection.busy_timeout(Duration::ZERO).ok()?;
    let outcome = run(connection);
    // It only stores a number; and what has run must not be run again.
    let patience = Duration::from_millis(patience.into());
    connection.busy_timeout(patience).ok();
    (!outcome.busy).then_some(outcome)
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

#[cfg(test)]
mod tests {
    use super::super::pace::ALWAYS;
    use super::super::query;
    use super::super::turn::Writers;
    use super::*;
    use crate::runtime_config::Place;

    /// Two hosts on one file: neither knows the other's writers.
    fn two_hosts() -> [Arc<Session>; 2] {
        let file = crate::test_folder("session").join("a.db");
        [(); 2].map(|()| {
            let database = Database::new(Place::File(file.clone()), Writers::default());
            Arc::new(database).new_session().unwrap()
        })
    }

    /// `None` when it has not run.
    fn quickly(session: &Session, sql: &str) -> Option<()> {
        let outcome = session.run_quickly(sql, |connection| query::run(connection, sql, &[]))?;
        assert!(outcome.end.is_none(), "{sql}: {:?}", outcome.end);
        Some(())
    }

    fn slowly(session: &Session, sql: &str) {
        let outcome = session.run(sql, |connection| query::run(connection, sql, &[]));
        assert!(outcome.end.is_none(), "{sql}: {:?}", outcome.end);
    }

    fn set_up(session: &Session) {
        for sql in [
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = OFF",
            "PRAGMA busy_timeout = 4321",
            "CREATE TABLE IF NOT EXISTS t (x)",
        ] {
            slowly(session, sql);
        }
    }

    async fn begin(session: &Session) -> Option<()> {
        session.wait_for_turn("BEGIN IMMEDIATE").await;
        quickly(session, "BEGIN IMMEDIATE")
    }

    #[tokio::test]
    async fn a_transaction_is_quick_once_its_statements_always_were() {
        let [session, _] = two_hosts();
        set_up(&session);
        let transaction = ["BEGIN IMMEDIATE", "INSERT INTO t VALUES (1)", "COMMIT"];
        // However long this machine takes: they count as quick.
        let learn = |sql| {
            session.with(|connection| {
                let pace = &session.database.pace;
                pace.learn(connection, sql, pace.of(sql), Duration::ZERO);
            });
        };
        for _ in 0..=ALWAYS {
            transaction.into_iter().for_each(learn);
        }
        assert!(
            quickly(&session, "BEGIN IMMEDIATE").is_none(),
            "no turn yet"
        );
        begin(&session).await.expect("quick");
        let [_, insert, commit] = transaction;
        quickly(&session, insert).expect("quick");
        learn(commit);
        quickly(&session, commit).expect("always quick");
        assert!(lock(&session.turn).is_none(), "the next has its turn");
        assert!(quickly(&session, insert).is_none(), "no turn any more");
    }

    #[tokio::test]
    async fn a_lock_of_another_host_is_waited_for_on_another_thread() {
        let [session, other] = two_hosts();
        set_up(&session);
        set_up(&other);
        slowly(&session, "BEGIN IMMEDIATE");
        slowly(&session, "ROLLBACK");
        session.with(|connection| {
            let pace = &session.database.pace;
            let sql = "BEGIN IMMEDIATE";
            pace.learn(connection, sql, pace.of(sql), Duration::ZERO);
        });
        slowly(&other, "BEGIN IMMEDIATE");
        let begun = Instant::now();
        assert!(begin(&session).await.is_none());
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert!(lock(&session.turn).is_some(), "it keeps its turn");
        let patience = session.with(|connection| {
            connection.query_row("PRAGMA busy_timeout", [], |row| row.get::<_, u32>(0))
        });
        assert_eq!(patience, Ok(4321), "as the guest had it");
        slowly(&other, "COMMIT");
        slowly(&session, "BEGIN IMMEDIATE");
    }
}
