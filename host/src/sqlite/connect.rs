//! How every connection of this host is opened, those behind the key-value stores too.

use std::ffi::c_int;
use std::path::Path;
use std::sync::Once;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

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
