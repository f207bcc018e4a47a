//! What happened in a run, line by line: the thing that two runs of one seed must have in common.

use rusqlite::{Connection, OpenFlags};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

/// The lines so far.
pub struct History {
    begun: Instant,
    lines: Mutex<String>,
}

impl History {
    /// An empty one that begins now.
    pub fn new() -> History {
        History {
            begun: Instant::now(),
            lines: Mutex::default(),
        }
    }

    /// Adds a line, after the time since the beginning in milliseconds.
    pub fn add(&self, line: std::fmt::Arguments<'_>) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let time = self.begun.elapsed().as_millis();
        writeln!(lines, "{time} {line}").expect("a text takes any line");
    }

    /// Adds the contents of all databases in a folder.
    pub fn add_databases(&self, folder: &Path) {
        let files = std::fs::read_dir(folder).expect("the databases");
        let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "db"));
        files.sort();
        for file in files {
            let name = file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            for line in contents(&file) {
                self.add(format_args!("{name} {line}"));
            }
        }
    }

    /// All lines.
    pub fn text(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.clone()
    }
}

/// Every row of every table.
fn contents(file: &Path) -> Vec<String> {
    let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";
    let mut lines = Vec::new();
    for table in rows(&database, tables) {
        let table = table.trim_matches('|').to_owned();
        let content = rows(&database, &format!("SELECT * FROM \"{table}\""));
        lines.extend(content.into_iter().map(|row| format!("{table} {row}")));
    }
    lines
}

fn rows(database: &Connection, sql: &str) -> Vec<String> {
    let mut statement = database.prepare(sql).expect("SQL");
    let width = statement.column_count();
    let read = statement.query_map([], |row| {
        let mut line = String::from("|");
        for column in 0..width {
            use rusqlite::types::ValueRef::{Blob, Integer, Null, Real, Text};
            match row.get_ref(column)? {
                Null => line.push_str("null"),
                Integer(number) => write!(line, "{number}").expect("text"),
                Real(number) => write!(line, "{number}").expect("text"),
                Text(text) => line.push_str(&String::from_utf8_lossy(text)),
                Blob(bytes) => write!(line, "{bytes:?}").expect("text"),
            }
            line.push('|');
        }
        Ok(line)
    });
    let read = read.expect("a query").collect::<Result<_, _>>();
    read.expect("readable rows")
}
