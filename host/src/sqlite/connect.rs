//! How every connection of this host is opened, those behind the key-value stores too.

use std::ffi::c_int;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

/// How long to wait for other users of the file.
const PATIENCE: Duration = Duration::from_secs(1);

/// Opens a file, or a database of its own in memory.
pub(crate) fn connect(file: Option<&Path>) -> rusqlite::Result<Connection> {
    settle();
    let connection = file.map_or_else(Connection::open_in_memory, Connection::open)?;
    // Without, SQLite prepares a statement again whenever a parameter has another value, to choose its plan by it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Deleted data is overwritten; otherwise it stays readable in the file until its place is used
    // again.
    connection.pragma_update(None, "secure_delete", true)?;
    Ok(connection)
}

/// Has SQLite keep no count of its memory: for each piece, all connections would wait for one lock. Only before
/// the first connection of the process; later it is refused, which harms nothing.
#[allow(unsafe_code, reason = "rusqlite has no safe call for it")]
fn settle() {
    static ONCE: Once = Once::new();
    // SAFETY: this option takes one `int`; once SQLite is in use, it answers `SQLITE_MISUSE` and does nothing.
    ONCE.call_once(|| unsafe {
        rusqlite::ffi::sqlite3_config(rusqlite::ffi::SQLITE_CONFIG_MEMSTATUS, 0 as c_int);
    });
}

/// Writes a file's write-ahead log back into the file and empties the log. It would otherwise keep
/// old versions of changed and deleted rows until it is overwritten. A log that another process
/// uses stays unchanged.
pub(crate) fn empty_log(file: &Path) {
    if !file.exists() {
        return;
    }
    let emptied = connect(Some(file)).and_then(|connection| {
        connection.busy_timeout(PATIENCE)?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
    });
    match emptied {
        Ok(false) => {}
        Ok(true) => tracing::warn!(file = %file.display(), "its log is in use, and is not emptied"),
        Err(error) => tracing::warn!(file = %file.display(), %error, "its log is not emptied"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deleted_is_in_no_file_once_the_log_is_emptied() {
        let file = crate::test_folder("erased").join("a.db");
        let open = || {
            let connection = connect(Some(&file)).unwrap();
            connection
                .pragma_update(None, "journal_mode", "WAL")
                .unwrap();
            connection
        };
        let has = |word: &str| {
            let files = ["a.db", "a.db-wal"].map(|name| file.with_file_name(name));
            let bytes = files
                .iter()
                .flat_map(|file| std::fs::read(file).unwrap_or_default());
            let bytes: Vec<u8> = bytes.collect();
            bytes
                .windows(word.len())
                .any(|part| part == word.as_bytes())
        };
        // Stays open, as a component's connection does.
        let connection = open();
        connection
            .execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, text TEXT)")
            .unwrap();
        for number in 0..200 {
            let row = (
                number as i64,
                format!("name-{number}-here"),
                "text of somebody ".repeat(number),
            );
            connection
                .execute("INSERT INTO t VALUES (?, ?, ?)", row)
                .unwrap();
        }
        assert!(has("name-150-here") && has("text of somebody"));
        connection.execute("UPDATE t SET text = NULL", []).unwrap();
        connection
            .execute("DELETE FROM t WHERE id > 10", [])
            .unwrap();
        empty_log(&file);
        for gone in ["name-11-here", "name-150-here", "text of somebody"] {
            assert!(!has(gone), "{gone}");
        }
        assert!(has("name-10-here"), "the rest is there");
    }
}
