//! Whether a shop's books add up: its invariants, read straight from its databases, read-only. It
//! trusts nothing that the services say and shares no code with them.
//!
//! ```no_run
//! use std::{path::Path, time::Duration};
//! let faults = wasmart_verify::verify(Path::new(".wasmart"), Duration::from_secs(2))?;
//! assert!(faults.is_empty());
//! # Ok::<(), wasmart_verify::VerifyError>(())
//! ```

mod rules;

use rules::{PATIENCE_MS, RULES};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use thiserror::Error;

/// The services, each with a database of its name; orders first, as it is read first.
pub const SERVICES: [&str; 6] = [
    "orders",
    "billing",
    "stock",
    "notifications",
    "users",
    "auth",
];

/// Why nothing can be said.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// There is no database at all.
    #[error("there are no databases in {}", .0.display())]
    Nothing(PathBuf),
    /// A database can't be read.
    #[error("can't read {what}: {source}")]
    Unreadable {
        /// Which, or what in it.
        what: String,
        /// Why.
        source: rusqlite::Error,
    },
}

/// A row that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What should hold.
    pub rule: &'static str,
    /// The row's columns.
    pub row: String,
}

/// All databases of a shop, opened for reading.
pub struct Shop {
    connection: Connection,
    services: Vec<&'static str>,
}

/// Checks a shop that may be running: a row counts when it breaks its rule in two readings, `apart`.
///
/// # Errors
/// [`VerifyError`] when a database can't be read.
pub fn verify(databases: &Path, apart: Duration) -> Result<Vec<Fault>, VerifyError> {
    let first = Shop::open(databases)?.faults()?;
    if first.is_empty() {
        return Ok(first);
    }
    std::thread::sleep(apart);
    let again = Shop::open(databases)?.faults()?;
    Ok(first
        .into_iter()
        .filter(|fault| again.contains(fault))
        .collect())
}

impl Shop {
    /// Opens the databases of a folder: `orders.db`, `billing.db` … A service makes its own when it is
    /// first used, so some may be missing.
    ///
    /// # Errors
    /// [`VerifyError`] when there is none, or one can't be read.
    pub fn open(databases: &Path) -> Result<Shop, VerifyError> {
        let unreadable = |what: String| move |source| VerifyError::Unreadable { what, source };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(":memory:", flags)
            .and_then(|c| c.busy_timeout(Duration::from_secs(5)).map(|()| c))
            .map_err(unreadable("memory".into()))?;
        let mut shop = Shop {
            connection,
            services: vec![],
        };
        for service in SERVICES {
            let path = databases.join(format!("{service}.db"));
            if !path.exists() {
                continue;
            }
            let file = path.display().to_string().replace('\'', "''");
            let attach = format!("ATTACH 'file:{file}?mode=ro' AS {service}");
            shop.connection
                .execute_batch(&attach)
                .map_err(unreadable(file))?;
            let tables = format!("SELECT 1 FROM {service}.sqlite_master WHERE name = 'outbox'");
            if !shop.rows(&tables)?.is_empty() {
                shop.services.push(service);
            }
        }
        if shop.services.is_empty() {
            return Err(VerifyError::Nothing(databases.to_owned()));
        }
        Ok(shop)
    }

    /// The services whose databases are there.
    pub fn services(&self) -> &[&'static str] {
        &self.services
    }

    /// Every row that breaks a rule in one reading. While the shop runs, a row may do so for a moment:
    /// see [`verify`].
    ///
    /// # Errors
    /// [`VerifyError::Unreadable`].
    pub fn faults(&self) -> Result<Vec<Fault>, VerifyError> {
        // One transaction; its first look at each database fixes what it sees of it. A participant has
        // had its effect before orders knows of it, so what orders says must be found with the others.
        self.rows("BEGIN")?;
        for service in &self.services {
            self.rows(&format!("SELECT count(*) FROM {service}.outbox"))?;
        }
        let faults = self.broken();
        self.rows("COMMIT")?;
        faults
    }

    fn broken(&self) -> Result<Vec<Fault>, VerifyError> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| now.as_millis());
        let mut faults = vec![];
        for rule in RULES {
            if rule
                .needs
                .iter()
                .all(|service| self.services.contains(service))
            {
                let query = rule.broken_by.replace("?now", &now.to_string());
                let query = query.replace("?patience", &PATIENCE_MS.to_string());
                let rows = self.rows(&query)?.into_iter();
                faults.extend(rows.map(|row| Fault {
                    rule: rule.says,
                    row,
                }));
            }
        }
        Ok(faults)
    }

    /// What is still to be done: unanswered events, and orders that wait.
    ///
    /// # Errors
    /// [`VerifyError::Unreadable`].
    pub fn under_way(&self) -> Result<Vec<String>, VerifyError> {
        let mut under_way = vec![];
        for service in &self.services {
            let unanswered = format!("SELECT channel, event FROM {service}.outbox");
            let rows = self.rows(&unanswered)?.into_iter();
            under_way.extend(rows.map(|row| format!("{service} waits for an answer to {row}")));
        }
        if self.services.contains(&"orders") {
            under_way.extend(self.rows(
                "SELECT id, state FROM orders.orders WHERE state IN
                     ('reserving', 'charging', 'committing', 'refunding', 'releasing')",
            )?);
        }
        Ok(under_way)
    }

    /// What was set aside: the service, the event's id, the reason.
    ///
    /// # Errors
    /// [`VerifyError::Unreadable`].
    pub fn dead_letters(&self) -> Result<Vec<String>, VerifyError> {
        let mut letters = vec![];
        for service in &self.services {
            let sql = format!("SELECT '{service}', event_id, reason FROM {service}.dead_letters");
            letters.extend(self.rows(&sql)?);
        }
        Ok(letters)
    }

    /// The rows of a query, each as text.
    ///
    /// # Errors
    /// [`VerifyError::Unreadable`].
    pub fn rows(&self, sql: &str) -> Result<Vec<String>, VerifyError> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut statement = self.connection.prepare(sql)?;
            let columns = statement.column_count();
            let rows = statement.query_map([], |row| Ok(show(row, columns)))?;
            rows.collect()
        };
        read().map_err(|source| VerifyError::Unreadable {
            what: sql.to_owned(),
            source,
        })
    }
}

fn show(row: &Row<'_>, columns: usize) -> String {
    let cells = (0..columns).map(|index| match row.get_ref(index) {
        Ok(ValueRef::Null) | Err(_) => "null".to_owned(),
        Ok(ValueRef::Integer(int)) => int.to_string(),
        Ok(ValueRef::Real(real)) => real.to_string(),
        Ok(ValueRef::Text(text)) => String::from_utf8_lossy(text).into_owned(),
        Ok(ValueRef::Blob(blob)) => format!("{} bytes", blob.len()),
    });
    cells.collect::<Vec<_>>().join(", ")
}
