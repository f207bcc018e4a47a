//! SQLite connections of one component to one database, kept open between uses.
//!
//! To the guest each handle is a connection of its own: what one handle leaves behind, an open transaction
//! above all, the next never sees.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use super::connect::connect;
use super::pace::Pace;
use super::session::Session;
use super::turn::Writers;
use crate::limits::{IDLE_CONNECTIONS, SQL_STEPS_PER_CHECK, STATEMENT_CACHE, STATEMENT_TIMEOUT};
use crate::private_files::prepare;
use crate::runtime_config::Place;

/// Settings that a guest makes anew with every handle; the rest would surprise the next holder.
const REPEATED_PRAGMAS: [&str; 13] = [
    "busy_timeout",
    "cache_size",
    "foreign_keys",
    "journal_mode",
    "journal_size_limit",
    "mmap_size",
    "optimize",
    "secure_delete",
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
    pub(super) pace: Pace,
    pub(super) writers: Writers,
}

/// A connection with what the host watches on it.
pub(super) struct Link {
    pub connection: Connection,
    pub watch: Arc<Watch>,
}

/// Shared with SQLite's callbacks.
#[derive(Default)]
pub(super) struct Watch {
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
        prepare(path).map_err(|error| fault(&error))?;
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
    pub(super) fn give_back(&self, link: Link) {
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
    pub fn begin(&self) {
        self.deadline.store(
            now() + STATEMENT_TIMEOUT.as_millis() as u64,
            Ordering::Relaxed,
        );
    }

    pub fn end(&self) {
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

/// A panic while a lock was held leaves nothing half done here.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
