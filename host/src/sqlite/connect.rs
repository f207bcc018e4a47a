//! How every connection of this host is opened, those behind the key-value stores too.

use std::ffi::c_int;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

/// How long the last to stop waits for others.
const PATIENCE: Duration = Duration::from_secs(1);

/// Opens a file, or a database of its own in memory.
pub(crate) fn connect(file: Option<&Path>) -> rusqlite::Result<Connection> {
    settle();
    let connection = file.map_or_else(Connection::open_in_memory, Connection::open)?;
    // Without, SQLite prepares a statement again whenever a parameter has another value, to choose its plan by it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // What is deleted is overwritten; otherwise it stays readable in the file until its place is used again.
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

/// Brings a file's write-ahead log into the file and empties it. Earlier versions of what was changed or deleted
/// would stay readable there until the log is written over. One that another process uses stays as it is.
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
