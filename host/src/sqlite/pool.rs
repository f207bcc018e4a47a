//! SQLite connections of one component to one database, kept open between uses.
//!
//! To the guest each handle is a connection of its own: what one handle leaves behind, an open transaction
//! above all, the next never sees.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use super::connect::{connect, create_folder};
use super::pace::{Known, Pace, ends_transaction, reads};
use super::turn::{Turn, Writers};
use crate::limits::{IDLE_CONNECTIONS, SQL_STEPS_PER_CHECK, STATEMENT_CACHE, STATEMENT_TIMEOUT};
use crate::runtime_config::Place;

/// Settings that a guest makes anew with every handle; the rest would surprise the next holder.
const REPEATED_PRAGMAS: [&str; 12] = [
    "busy_timeout",
    "cache_size",
    "foreign_keys",
    "journal_mode",
    "journal_size_limit",
    "mmap_size",
    "optimize",
    "synchronous",
    "table_info",
    "temp_store",
    "user_version",
    "wal_autocheckpoint",
];

/// One database as one component sees it.
pub(crate) struct Database {
    place: Place,
    idle: Mutex<Vec<Link>>,
    pace: Pace,
    writers: Writers,
}

/// A connection with what the host watches on it.
struct Link {
    connection: Connection,
    watch: Arc<Watch>,
}

/// Shared with SQLite's callbacks.
#[derive(Default)]
struct Watch {
    /// When the statement that runs must end, in milliseconds since `EPOCH`; zero when none runs.
    deadline: AtomicU64,
    /// Something outlives the handle that cannot be undone, such as an attached database.
    tainted: AtomicBool,
}

static EPOCH: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);

fn now() -> u64 {
    EPOCH.elapsed().as_millis() as u64
}

impl Database {
    /// `writers` are those of the same file.
    pub fn new(place: Place, writers: Writers) -> Self {
        Self {
            place,
            writers,
            idle: Mutex::default(),
            pace: Pace::default(),
        }
    }

    /// Opens the file once, so that a database that cannot be opened is known before serving.
    pub fn check(&self) -> Result<(), String> {
        let Place::File(path) = &self.place else {
            return Ok(());
        };
        let fault = |error: &dyn std::fmt::Display| {
            format!("database {} cannot be opened: {error}", path.display())
        };
        create_folder(path).map_err(|error| fault(&error))?;
        let link = self.connect().map_err(|error| fault(&error))?;
        link.connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .map_err(|error| fault(&error))?;
        self.give_back(link);
        Ok(())
    }

    /// A session on an idle connection, if there is one.
    pub fn idle_session(self: &Arc<Self>) -> Option<Arc<Session>> {
        let link = lock(&self.idle).pop()?;
        Some(Session::new(self.clone(), link))
    }

    /// A session on a new connection. Blocks.
    pub fn new_session(self: &Arc<Self>) -> rusqlite::Result<Arc<Session>> {
        Ok(Session::new(self.clone(), self.connect()?))
    }

    fn connect(&self) -> rusqlite::Result<Link> {
        let mut connection = match &self.place {
            Place::Memory => connect(None)?,
            Place::File(path) => connect(Some(path))?,
        };
        let watch = Arc::new(Watch::default());
        connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
        let seen = watch.clone();
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            authorize(&context, &seen)
        }))?;
        let seen = watch.clone();
        connection.progress_handler(SQL_STEPS_PER_CHECK, Some(move || seen.is_late()))?;
        Ok(Link { connection, watch })
    }

    /// Takes a connection back, unless something of its last use would stay on it.
    fn give_back(&self, link: Link) {
        if self.place == Place::Memory || link.watch.tainted.load(Ordering::Relaxed) {
            return;
        }
        link.watch.end();
        if !link.connection.is_autocommit() && link.connection.execute_batch("ROLLBACK").is_err() {
            return;
        }
        let mut idle = lock(&self.idle);
        if idle.len() < IDLE_CONNECTIONS {
            idle.push(link);
        }
    }
}

impl Watch {
    fn begin(&self) {
        self.deadline.store(
            now() + STATEMENT_TIMEOUT.as_millis() as u64,
            Ordering::Relaxed,
        );
    }

    fn end(&self) {
        self.deadline.store(0, Ordering::Relaxed);
    }

    fn is_late(&self) -> bool {
        let deadline = self.deadline.load(Ordering::Relaxed);
        deadline != 0 && now() > deadline
    }
}

/// Refuses what Spin refuses, other files above all, and notes what would outlive the handle.
fn authorize(context: &AuthContext<'_>, watch: &Watch) -> Authorization {
    let outlives = match &context.action {
        AuthAction::Attach { filename } if !matches!(*filename, "" | ":memory:") => {
            return Authorization::Deny;
        }
        AuthAction::Attach { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempView { .. }
        | AuthAction::CreateTempTrigger { .. } => true,
        AuthAction::Pragma {
            pragma_name,
            pragma_value: Some(_),
        } => !REPEATED_PRAGMAS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(pragma_name)),
        _ => false,
    };
    if outlives {
        watch.tainted.store(true, Ordering::Relaxed);
    }
    Authorization::Allow
}

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
    fn new(database: Arc<Database>, link: Link) -> Arc<Self> {
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

/// A panic while a lock was held leaves nothing half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> (Arc<Database>, std::path::PathBuf) {
        let file = crate::test_folder("pool").join("a/b.db");
        let database = Arc::new(Database::new(Place::File(file.clone()), Writers::default()));
        database.check().unwrap();
        (database, file)
    }

    fn run(session: &Session, sql: &str) -> rusqlite::Result<()> {
        session.with(|connection| connection.execute_batch(sql))
    }

    #[test]
    fn a_dropped_handle_leaves_no_transaction_behind() {
        let (database, _) = database();
        let first = database.idle_session().unwrap();
        run(
            &first,
            "CREATE TABLE t (x); BEGIN; INSERT INTO t VALUES (1)",
        )
        .unwrap();
        assert_eq!((first.changes(), first.last_insert_rowid()), (1, 1));
        drop(first);
        let second = database.idle_session().expect("the connection was kept");
        assert_eq!((second.changes(), second.last_insert_rowid()), (0, 0));
        let count: i64 = second
            .with(|connection| connection.query_row("SELECT count(*) FROM t", [], |r| r.get(0)))
            .unwrap();
        assert_eq!(count, 0);
        assert!(second.with(Connection::is_autocommit));
    }

    #[test]
    fn what_would_outlive_the_handle_closes_its_connection() {
        let (database, _) = database();
        for sql in [
            "ATTACH ':memory:' AS m",
            "CREATE TEMP TABLE t (x)",
            "PRAGMA query_only = 1",
        ] {
            let session = database.new_session().unwrap();
            run(&session, sql).unwrap();
            drop(session);
        }
        drop(database.idle_session().expect("the one from the check"));
        run(&database.idle_session().unwrap(), "PRAGMA foreign_keys = 1").unwrap();
        assert!(database.idle_session().is_some());
        assert_eq!(lock(&database.idle).len(), 1);
    }

    #[tokio::test]
    async fn writers_wait_for_their_turn_and_readers_do_not() {
        let (database, _) = database();
        let [first, second] = [(); 2].map(|()| database.new_session().unwrap());
        let execute = async |session: &Session, sql: &str| {
            session.wait_for_turn(sql).await;
            session.run(sql, |connection| connection.execute_batch(sql))
        };
        execute(&first, "CREATE TABLE t (x)").await.unwrap();
        execute(&first, "BEGIN IMMEDIATE").await.unwrap();
        execute(&second, "SELECT * FROM t").await.unwrap();
        let begun = Instant::now();
        let (begin, ()) = tokio::join!(execute(&second, "BEGIN IMMEDIATE"), async {
            execute(&first, "INSERT INTO t VALUES (1)").await.unwrap();
            execute(&first, "COMMIT").await.unwrap();
        });
        // In SQLite it would have slept, and the first could not have gone on.
        begin.unwrap();
        assert!(begun.elapsed() < std::time::Duration::from_secs(1));
        drop(second);
        execute(&first, "DELETE FROM t").await.unwrap();
    }

    #[test]
    fn other_files_cannot_be_attached() {
        let (database, file) = database();
        let session = database.new_session().unwrap();
        let error = run(&session, &format!("ATTACH '{}' AS other", file.display())).unwrap_err();
        assert!(error.to_string().contains("not authorized"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_database_is_a_fault() {
        let file = crate::test_folder("pool").join("text.db");
        std::fs::write(
            &file,
            "this is not a database, only text that is long enough".repeat(20),
        )
        .unwrap();
        let error = Database::new(Place::File(file), Writers::default())
            .check()
            .unwrap_err();
        assert!(error.contains("text.db cannot be opened"), "{error}");
    }

    #[test]
    fn a_statement_without_end_is_interrupted() {
        let (database, _) = database();
        let link = database.connect().unwrap();
        // In the past, but not zero: zero means that nothing runs.
        link.watch.deadline.store(1, Ordering::Relaxed);
        std::thread::sleep(std::time::Duration::from_millis(5));
        let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
                       SELECT count(*) FROM n";
        let result = link.connection.query_row(endless, [], |_| Ok(()));
        assert!(result.unwrap_err().to_string().contains("interrupted"));
    }
}
