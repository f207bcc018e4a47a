//! A store in an SQLite file, in the table layout that Spin uses.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use crate::private_files::prepare;
use crate::runtime_config::Place;
use crate::sqlite::connect;

const CREATE: &str = "CREATE TABLE IF NOT EXISTS spin_key_value (
    store TEXT NOT NULL,
    key   TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (store, key)
)";

/// Another process may hold the file for a moment.
const BUSY: Duration = Duration::from_secs(5);

/// Connections that look up: as many as threads may look at once without waiting for each other, and one more for
/// the thread that has the least priority.
const READERS: usize = 4;

/// One label in one file. Readers and writers have connections of their own, so that a look-up does not wait for
/// a write to reach the disk.
pub(crate) struct FileStore {
    label: String,
    readers: Vec<Arc<Mutex<Connection>>>,
    writer: Arc<Mutex<Connection>>,
}

impl FileStore {
    pub fn open(label: &str, place: &Place) -> rusqlite::Result<Self> {
        let connect = || match place {
            Place::Memory => connect(None),
            Place::File(path) => {
                prepare(path)
                    .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
                connect(Some(path))
            }
        };
        let writer = connect()?;
        writer.busy_timeout(BUSY)?;
        // With the log, a write does not block readers.
        let _: String = writer.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        // As in Spin, what has been written survives a power cut. A component may rely on that, as
        // auth does when it records that the store has a revocation.
        writer.execute_batch("PRAGMA synchronous = FULL")?;
        writer.execute_batch(CREATE)?;
        let writer = Arc::new(Mutex::new(writer));
        let readers = match place {
            // A second connection would be a second, empty database.
            Place::Memory => vec![writer.clone()],
            Place::File(_) => {
                let reader = |_| {
                    let reader = connect()?;
                    reader.busy_timeout(BUSY)?;
                    Ok(Arc::new(Mutex::new(reader)))
                };
                (0..READERS).map(reader).collect::<rusqlite::Result<_>>()?
            }
        };
        Ok(Self {
            label: label.to_owned(),
            readers,
            writer,
        })
    }

    /// One that nobody uses at the moment, or else the first, once it is free.
    fn reader(&self) -> MutexGuard<'_, Connection> {
        let mut free = self
            .readers
            .iter()
            .filter_map(|reader| reader.try_lock().ok());
        free.next().unwrap_or_else(|| lock(&self.readers[0]))
    }

    pub fn get(&self, key: &str) -> rusqlite::Result<Option<Vec<u8>>> {
        self.reader()
            .prepare_cached("SELECT value FROM spin_key_value WHERE store = ?1 AND key = ?2")?
            .query_row([self.label.as_str(), key], |row| match row.get_ref(0)? {
                rusqlite::types::ValueRef::Text(bytes) | rusqlite::types::ValueRef::Blob(bytes) => {
                    Ok(bytes.to_vec())
                }
                _ => row.get(0),
            })
            .optional()
    }

    pub fn exists(&self, key: &str) -> rusqlite::Result<bool> {
        self.reader()
            .prepare_cached("SELECT 1 FROM spin_key_value WHERE store = ?1 AND key = ?2")?
            .exists([self.label.as_str(), key])
    }

    pub fn keys(&self) -> rusqlite::Result<Vec<String>> {
        self.reader()
            .prepare_cached("SELECT key FROM spin_key_value WHERE store = ?1")?
            .query_map([self.label.as_str()], |row| row.get(0))?
            .collect()
    }

    pub fn set(&self, key: &str, value: &[u8]) -> rusqlite::Result<()> {
        lock(&self.writer)
            .prepare_cached(
                "INSERT INTO spin_key_value (store, key, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT (store, key) DO UPDATE SET value = excluded.value",
            )?
            .execute((self.label.as_str(), key, value))
            .map(drop)
    }

    pub fn delete(&self, key: &str) -> rusqlite::Result<()> {
        lock(&self.writer)
            .prepare_cached("DELETE FROM spin_key_value WHERE store = ?1 AND key = ?2")?
            .execute([self.label.as_str(), key])
            .map(drop)
    }
}

/// A panic while the lock was held leaves SQLite as it was.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(place: &Place) {
        let store = FileStore::open("a", place).unwrap();
        assert_eq!(store.get("k").unwrap(), None);
        store.set("k", b"1").unwrap();
        store.set("k", b"2").unwrap();
        store.set("l", b"").unwrap();
        assert_eq!(store.get("k").unwrap().unwrap(), b"2");
        assert!(store.exists("l").unwrap());
        assert_eq!(store.keys().unwrap(), ["k", "l"]);
        store.delete("k").unwrap();
        store.delete("k").unwrap();
        assert!(!store.exists("k").unwrap());
    }

    #[test]
    fn values_are_kept_in_memory_and_in_a_file() {
        check(&Place::Memory);
        check(&Place::File(crate::test_folder("kv").join("deep/er/kv.db")));
    }

    #[test]
    fn what_has_been_written_survives_the_loss_of_power() {
        let place = Place::File(crate::test_folder("kv").join("durable.db"));
        let store = FileStore::open("a", &place).unwrap();
        let pragma = |name: &str| -> i64 {
            let sql = format!("PRAGMA {name}");
            lock(&store.writer)
                .query_row(&sql, [], |row| row.get(0))
                .unwrap()
        };
        // FULL: each commit waits until it is on the disk (https://www.sqlite.org/pragma.html#pragma_synchronous).
        assert_eq!(pragma("synchronous"), 2);
        assert_eq!(pragma("secure_delete"), 1);
    }

    #[test]
    fn labels_in_one_file_do_not_see_each_other() {
        let place = Place::File(crate::test_folder("kv").join("shared.db"));
        let (one, two) = (
            FileStore::open("1", &place).unwrap(),
            FileStore::open("2", &place).unwrap(),
        );
        one.set("k", b"x").unwrap();
        assert_eq!(two.get("k").unwrap(), None);
        assert_eq!(one.get("k").unwrap().unwrap(), b"x");
    }
}
