//! Whether the books of a quiet shop add up: what `wasmart verify` checks, and that nothing is under
//! way any more.

use std::path::Path;
use wasmart_verify::{Shop, VerifyError};

/// The services, each with a database of its name.
pub use wasmart_verify::SERVICES;

/// All databases of a shop, opened for reading; none before anything has happened in it.
pub struct Books(Option<Shop>);

impl Books {
    /// Opens the databases of a folder.
    ///
    /// # Panics
    /// When one that is there can't be read.
    pub fn open(databases: &Path) -> Books {
        match Shop::open(databases) {
            Ok(shop) => Books(Some(shop)),
            Err(VerifyError::Nothing(_)) => Books(None),
            Err(error) => panic!("{error}"),
        }
    }

    /// What is still to be done: unanswered events, unfinished orders.
    pub fn under_way(&self) -> Vec<String> {
        self.ask(Shop::under_way)
    }

    /// Every row that breaks a rule. `dead_letters` is how many messages should have been set aside.
    pub fn faults(&self, dead_letters: usize) -> Vec<String> {
        let mut faults = self.under_way();
        let broken = self.ask(Shop::faults).into_iter();
        faults.extend(broken.map(|fault| format!("{}: {}", fault.rule, fault.row)));
        let dead = self.dead_letters();
        if dead.len() != dead_letters {
            faults.push(format!(
                "{dead_letters} dead letters expected, not {dead:#?}"
            ));
        }
        faults
    }

    /// Nothing is under way, and every rule holds.
    ///
    /// # Panics
    /// With every fault, when it does not.
    #[track_caller]
    pub fn check(&self, dead_letters: usize) {
        let faults = self.faults(dead_letters);
        let list = faults.join("\n  ");
        assert!(faults.is_empty(), "the books are wrong:\n  {list}");
    }

    /// What was set aside: the service, the event's id, the reason.
    pub fn dead_letters(&self) -> Vec<String> {
        self.ask(Shop::dead_letters)
    }

    /// The number that a query gives.
    pub fn number(&self, sql: &str) -> i64 {
        let rows = self.rows(sql);
        let number = rows.first().and_then(|row| row.parse().ok());
        number.unwrap_or_else(|| panic!("{sql} gives no number"))
    }

    /// The rows that a query gives, each as text.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        self.ask(|shop| shop.rows(sql))
    }

    /// How many rows each table has: what must stay the same when a request is refused.
    pub fn counts(&self) -> Vec<(String, i64)> {
        let count = |table: String| {
            let rows = self.number(&format!("SELECT count(*) FROM {table}"));
            (table, rows)
        };
        self.tables().into_iter().map(count).collect()
    }

    /// The content of each table, one row per line.
    pub fn contents(&self) -> Vec<(String, String)> {
        let content = |table: String| {
            let mut rows = self.rows(&format!("SELECT * FROM {table}"));
            rows.sort();
            let text = rows.iter().map(|row| format!("{row}\n")).collect();
            (table, text)
        };
        self.tables().into_iter().map(content).collect()
    }

    /// The tables of all services, as `orders.order_lines`.
    fn tables(&self) -> Vec<String> {
        let services = self.0.as_ref().map(Shop::services).unwrap_or_default();
        let tables = services.iter().flat_map(|service| {
            let sql = format!("SELECT name FROM {service}.sqlite_master WHERE type = 'table'");
            let names = self.rows(&sql).into_iter();
            let own = names.filter(|table| !table.starts_with("sqlite_"));
            own.map(move |table| format!("{service}.{table}"))
        });
        tables.collect()
    }

    fn ask<T>(&self, question: impl Fn(&Shop) -> Result<Vec<T>, VerifyError>) -> Vec<T> {
        let answer = self.0.as_ref().map_or(Ok(vec![]), question);
        answer.unwrap_or_else(|error| panic!("{error}"))
    }
}
