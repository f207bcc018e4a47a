//! Whether the books of a quiet shop add up: what `wasmart verify` checks, and that nothing is under
//! way any more. Read straight from the databases.

use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};

/// The services, each with a database of its name.
pub const SERVICES: [&str; 6] = [
    "auth",
    "users",
    "stock",
    "billing",
    "orders",
    "notifications",
];

/// All databases of a shop, opened for reading.
pub struct Books {
    connection: Connection,
    databases: PathBuf,
    /// Those that are there: a service makes its tables when it is first used.
    services: Vec<&'static str>,
}

impl Books {
    /// Opens the databases of a folder.
    ///
    /// # Panics
    /// When one that is there can't be read.
    pub fn open(databases: &Path) -> Books {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(":memory:", flags).expect("SQLite works");
        connection
            .busy_timeout(std::time::Duration::from_secs(5))
            .expect("a timeout");
        let mut books = Books {
            connection,
            databases: databases.to_owned(),
            services: vec![],
        };
        for service in SERVICES {
            let path = databases.join(format!("{service}.db"));
            if path.exists() {
                let file = format!("file:{}?mode=ro", path.display());
                let attach = format!("ATTACH '{file}' AS {service}");
                books
                    .connection
                    .execute_batch(&attach)
                    .unwrap_or_else(|e| panic!("{file}: {e}"));
                let ready =
                    format!("SELECT count(*) FROM {service}.sqlite_master WHERE name = 'outbox'");
                if books.number(&ready) == 1 {
                    books.services.push(service);
                }
            }
        }
        books
    }

    /// What is still to be done: unanswered events, unfinished orders.
    pub fn under_way(&self) -> Vec<String> {
        let outboxes = self.services.iter().flat_map(|service| {
            let unanswered = format!("SELECT channel, event FROM {service}.outbox");
            let say = |row: String| format!("{service} waits for an answer to {row}");
            self.rows(&unanswered)
                .into_iter()
                .map(say)
                .collect::<Vec<_>>()
        });
        let mut under_way: Vec<String> = outboxes.collect();
        if self.services.contains(&"orders") {
            let waiting = "SELECT id, state FROM orders.orders
                WHERE state IN ('reserving', 'charging', 'committing', 'refunding', 'releasing')";
            under_way.extend(self.rows(waiting));
        }
        under_way
    }

    /// Every row that breaks a rule. `dead_letters` is how many messages should have been set aside.
    pub fn faults(&self, dead_letters: usize) -> Vec<String> {
        let mut faults = self.under_way();
        let verified = wasmart_verify::Shop::open(&self.databases).and_then(|shop| shop.faults());
        match verified {
            Ok(rows) => faults.extend(rows.iter().map(|row| format!("{}: {}", row.rule, row.row))),
            // A shop in which nothing has happened yet.
            Err(wasmart_verify::VerifyError::Nothing(_)) => {}
            Err(error) => panic!("{error}"),
        }
        let dead = self.dead_letters();
        if dead.len() != dead_letters {
            faults.push(format!(
                "{dead_letters} dead letters expected, not {dead:#?}"
            ));
        }
        faults
    }

    /// What was set aside: the service, the event's id, the reason.
    pub fn dead_letters(&self) -> Vec<String> {
        let rows = self.services.iter().flat_map(|service| {
            let sql = format!("SELECT '{service}', event_id, reason FROM {service}.dead_letters");
            self.rows(&sql)
        });
        rows.collect()
    }

    /// The number that a query gives.
    pub fn number(&self, sql: &str) -> i64 {
        let number = self.connection.query_row(sql, [], |row| row.get(0));
        number.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// How many rows each table has that a client's request could have added to: what must stay the
    /// same when a request is refused.
    pub fn counts(&self) -> Vec<(String, i64)> {
        let mut counts = Vec::new();
        for service in &self.services {
            let tables = format!("SELECT name FROM {service}.sqlite_master WHERE type = 'table'");
            for table in self.rows(&tables) {
                if !table.starts_with("sqlite_") && table != "drain_lease" {
                    let name = format!("{service}.{table}");
                    let count = self.number(&format!("SELECT count(*) FROM {name}"));
                    counts.push((name, count));
                }
            }
        }
        counts
    }

    fn rows(&self, sql: &str) -> Vec<String> {
        let fail = |error: rusqlite::Error| -> ! { panic!("{sql}: {error}") };
        let mut query = self
            .connection
            .prepare(sql)
            .unwrap_or_else(|error| fail(error));
        let columns = query.column_count();
        let read = |row: &rusqlite::Row| {
            let values = (0..columns).map(|at| row.get_ref(at).map(text));
            Ok(values.collect::<Result<Vec<_>, _>>()?.join(" | "))
        };
        let rows = query
            .query_map([], read)
            .unwrap_or_else(|error| fail(error));
        rows.map(|row| row.unwrap_or_else(|error| fail(error)))
            .collect()
    }
}

fn text(value: rusqlite::types::ValueRef) -> String {
    use rusqlite::types::ValueRef;
    match value {
        ValueRef::Null => "-".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
    }
}
