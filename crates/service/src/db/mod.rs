//! The SQLite adapter: the only place that touches `spin_sdk::sqlite`.
//!
//! A statement's error may arrive only after its last row, so every call here drains the rows and
//! awaits the result. A handle is taken from a small pool for one unit of work and never shared.
//! What is written runs on SQLite and on libSQL alike: `RETURNING` instead of `changes()`, one
//! statement a call, PRAGMAs only as a wish.

mod gate;
mod migrate;
mod pool;
mod scratch;
mod value;

pub use migrate::Migration;
pub use scratch::Scratch;
pub use value::{Row, ToValue};

use crate::Service;
// The calls of the interface itself: the SDK's own wrapper has only the asynchronous ones.
use spin_sdk::sqlite::wit::sqlite::Connection;
use spin_sdk::sqlite::{Error as SqliteError, Value};
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use thiserror::Error;

/// What changed in the tables that all services have, after their first version: each service takes it
/// into its own line of versions.
pub const OUTBOX_RATE: &str = include_str!("outbox_rate.sql");

/// What goes wrong with a database.
#[derive(Debug, Error)]
pub enum DbError {
    /// Another writer held it for too long; the same may succeed later.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// A constraint of the schema refuses the row; carries SQLite's message, which names it.
    #[error("{0}")]
    Constraint(String),
    /// A column is not what the query's reader expects: a defect.
    #[error("column {index} is not {expected}")]
    Shape {
        /// Counted from 0.
        index: usize,
        /// The type that was asked for.
        expected: &'static str,
    },
    /// Anything else: no access, disk full, a broken file or statement.
    #[error("{0}")]
    Failed(String),
}

impl From<SqliteError> for DbError {
    fn from(error: SqliteError) -> DbError {
        let SqliteError::Io(message) = &error else {
            return DbError::Failed(error.to_string());
        };
        // Hosts hand SQLite's own words on; there is no code to look at.
        if message.contains("locked") || message.contains("busy") {
            DbError::Busy(message.clone())
        } else if message.contains("constraint failed") {
            DbError::Constraint(message.clone())
        } else {
            DbError::Failed(message.clone())
        }
    }
}

/// How much a commit promises (SQLite's `synchronous`, in WAL mode).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As the variable `synchronous` says; `FULL` unless set: a commit survives the loss of power.
    Configured,
    /// `NORMAL`: a commit survives a crash of the process, not always the loss of power. For what may
    /// be forgotten, such as which outbox rows have been sent.
    Relaxed,
}

/// An open handle on the component's database. Goes back to the pool when dropped, unless
/// something went wrong with it.
pub struct Db {
    connection: Option<Connection>,
    durability: Durability,
    /// Set when the handle's state is unknown: it is then closed instead of kept.
    spoiled: AtomicBool,
    /// Within a transaction, which has the write lock from its beginning.
    holds_lock: AtomicBool,
}

impl Db {
    /// A handle for one unit of work; on the component's first one the schema is brought up to date.
    pub async fn open(service: &Service) -> Result<Db, DbError> {
        Db::open_with(service, Durability::Configured).await
    }

    /// As [`Db::open`], with another promise.
    pub async fn open_with(service: &Service, durability: Durability) -> Result<Db, DbError> {
        let db = pool::take(service, durability).await?;
        migrate::once(&db, service).await?;
        Ok(db)
    }

    /// Runs one statement and gives its rows.
    pub async fn query(&self, sql: &str, params: &[&dyn ToValue]) -> Result<Vec<Row>, DbError> {
        let values: Vec<Value> = params.iter().map(|param| param.to_value()).collect();
        let result = self.run(sql, values).await;
        if !matches!(result, Ok(_) | Err(DbError::Constraint(_))) {
            self.spoil();
        }
        result
    }

    /// Runs one statement and gives its first row, where it has one.
    pub async fn first(&self, sql: &str, params: &[&dyn ToValue]) -> Result<Option<Row>, DbError> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Runs one statement whose rows, if any, don't matter.
    pub async fn execute(&self, sql: &str, params: &[&dyn ToValue]) -> Result<(), DbError> {
        self.query(sql, params).await.map(drop)
    }

    /// The row number below which the rest of a list begins, after the row with this id. The table
    /// only grows, and its rows are numbered in the order of their commits. An id that no row has
    /// counts as if it stood at its place in the order of ids; `~` stands past the end.
    pub async fn place_of(&self, table: &'static str, id: &str) -> Result<i64, DbError> {
        if id == "~" {
            return Ok(i64::MAX);
        }
        let sql = format!(
            "SELECT coalesce((SELECT rowid FROM {table} WHERE id = ?1),
                 (SELECT rowid + 1 FROM {table} WHERE id < ?1 ORDER BY id DESC LIMIT 1), 0)"
        );
        self.first(&sql, &[&id])
            .await?
            .map_or(Ok(0), |row| row.int(0))
    }

    /// Begins a transaction that holds the write lock from the start, so that what it reads stays
    /// true until it commits.
    pub async fn begin(self) -> Result<Tx, DbError> {
        let pass = gate::enter().await;
        let mut tries = 0;
        loop {
            match self.run("BEGIN IMMEDIATE", vec![]).await {
                Ok(_) => {
                    self.holds_lock.store(true, Ordering::Relaxed);
                    return Ok(Tx {
                        db: self,
                        committed: false,
                        _pass: pass,
                    });
                }
                Err(DbError::Busy(_)) if tries < BEGIN_TRIES => tries += 1,
                Err(error) => {
                    self.spoil();
                    return Err(error);
                }
            }
        }
    }

    async fn run(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, DbError> {
        let Some(connection) = &self.connection else {
            return Err(DbError::Failed("the handle is closed".into()));
        };
        if self.waits_for_nobody(sql) {
            let rows = connection.execute(sql, &values)?.rows;
            return Ok(rows.into_iter().map(Row::new).collect());
        }
        run_beside_others(connection, sql, values).await
    }

    /// Whether the statement waits for no other handle of this instance, so that the instance may stand still
    /// while it runs: it reads, or it writes where the lock is held already. Such a call is several times
    /// cheaper than one that others may run beside, which brings its rows and its end as a stream and a future.
    fn waits_for_nobody(&self, sql: &str) -> bool {
        let holds_lock = self.holds_lock.load(Ordering::Relaxed);
        let begins = |word: &str| sql.starts_with(word);
        (holds_lock && !begins("COMMIT")) || begins("SELECT")
    }

    fn spoil(&self) {
        self.spoiled.store(true, Ordering::Relaxed);
    }
}

/// Runs one statement to its end, while the instance goes on with other requests.
async fn run_beside_others(
    connection: &Connection,
    sql: &str,
    values: Vec<Value>,
) -> Result<Vec<Row>, DbError> {
    let (_, rows, end) = connection.execute_async(sql.to_owned(), values).await?;
    let rows = rows.collect().await;
    end.await?;
    Ok(rows.into_iter().map(Row::new).collect())
}

impl Drop for Db {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && !self.spoiled.load(Ordering::Relaxed)
        {
            pool::give_back(connection, self.durability);
        }
    }
}

/// How often `BEGIN IMMEDIATE` is tried again after waiting `busy_timeout` in vain.
const BEGIN_TRIES: u32 = 2;

/// A transaction. Dropped without [`Tx::commit`], it closes its handle, and so is rolled back.
pub struct Tx {
    db: Db,
    committed: bool,
    _pass: gate::Pass,
}

impl Tx {
    /// Makes everything since [`Db::begin`] last.
    pub async fn commit(mut self) -> Result<(), DbError> {
        self.db.run("COMMIT", vec![]).await?;
        self.end();
        Ok(())
    }

    /// Undoes everything since [`Db::begin`] and gives the handle back.
    pub async fn rollback(mut self) -> Result<(), DbError> {
        self.db.run("ROLLBACK", vec![]).await?;
        self.end();
        Ok(())
    }

    fn end(&mut self) {
        self.db.holds_lock.store(false, Ordering::Relaxed);
        self.committed = true;
    }
}

impl Deref for Tx {
    type Target = Db;

    fn deref(&self) -> &Db {
        &self.db
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if !self.committed {
            self.db.spoil();
        }
    }
}
