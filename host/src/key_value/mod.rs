//! `spin:key-value`: stores in a file of Spin's layout or in Redis.

mod file;
mod host;

use std::sync::Arc;

use crate::bindings::spin::key_value::key_value::Error;
use crate::limits::{KEY_BYTES, RESULT_BYTES};
use crate::redis::Link;
use crate::runtime_config::{Place, StorePlace};
use crate::world::World;

use file::FileStore;

/// One store of the application, shared by every component it is granted to.
pub(crate) enum Store {
    File(FileStore),
    Redis(Link),
}

/// What a guest holds.
pub struct OpenStore(Arc<Store>);

impl Store {
    /// Opens a store. A file is created when absent; Redis is connected at the first use.
    pub fn open(label: &str, place: &StorePlace) -> Result<Self, String> {
        match place {
            StorePlace::Sqlite(place) => {
                FileStore::open(label, place)
                    .map(Self::File)
                    .map_err(|error| {
                        let file = match place {
                            Place::File(path) => path.display().to_string(),
                            Place::Memory => "in memory".into(),
                        };
                        format!("key-value store `{label}` ({file}) cannot be opened: {error}")
                    })
            }
            StorePlace::Redis(url) => Link::open(url)
                .map(Self::Redis)
                .map_err(|error| format!("key-value store `{label}`: {error}")),
        }
    }

    async fn get(self: &Arc<Self>, key: &str) -> Result<Option<Vec<u8>>, Error> {
        check_key(key)?;
        let value = match &**self {
            // A look-up takes microseconds: less than handing it to another thread would.
            Self::File(store) => store.get(key).map_err(other)?,
            Self::Redis(link) => link
                .query(redis::cmd("GET").arg(key))
                .await
                .map_err(other)?,
        };
        match value {
            Some(value) if value.len() > RESULT_BYTES => Err(too_large()),
            value => Ok(value),
        }
    }

    async fn set(
        self: &Arc<Self>,
        world: &World,
        key: String,
        value: Vec<u8>,
    ) -> Result<(), Error> {
        check_key(&key)?;
        match &**self {
            Self::File(_) => {
                let set = move |store: &FileStore| store.set(&key, &value);
                self.blocking(world, set).await
            }
            Self::Redis(link) => link
                .query(redis::cmd("SET").arg(key).arg(value))
                .await
                .map_err(other),
        }
    }

    async fn delete(self: &Arc<Self>, world: &World, key: String) -> Result<(), Error> {
        check_key(&key)?;
        match &**self {
            Self::File(_) => self.blocking(world, move |store| store.delete(&key)).await,
            Self::Redis(link) => link.query(redis::cmd("DEL").arg(key)).await.map_err(other),
        }
    }

    async fn exists(self: &Arc<Self>, key: &str) -> Result<bool, Error> {
        check_key(key)?;
        match &**self {
            Self::File(store) => store.exists(key).map_err(other),
            Self::Redis(link) => link
                .query(redis::cmd("EXISTS").arg(key))
                .await
                .map_err(other),
        }
    }

    async fn keys(self: &Arc<Self>, world: &World) -> Result<Vec<String>, Error> {
        let keys = match &**self {
            Self::File(_) => self.blocking(world, FileStore::keys).await?,
            // `KEYS` would stop the whole server while it runs.
            Self::Redis(link) => link.scan().await.map_err(other)?,
        };
        let bytes: usize = keys.iter().map(|key| size_of::<String>() + key.len()).sum();
        if bytes > RESULT_BYTES {
            Err(too_large())
        } else {
            Ok(keys)
        }
    }

    async fn blocking<R: Send + 'static>(
        self: &Arc<Self>,
        world: &World,
        work: impl FnOnce(&FileStore) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, Error> {
        let store = self.clone();
        let work = move || match &*store {
            Self::File(store) => work(store).map_err(other),
            Self::Redis(_) => unreachable!("asked only of a file"),
        };
        world.blocking(work).await.map_err(other)?
    }
}

fn check_key(key: &str) -> Result<(), Error> {
    if key.len() > KEY_BYTES {
        return Err(Error::Other(format!(
            "key exceeds limit of {KEY_BYTES} bytes"
        )));
    }
    Ok(())
}

fn too_large() -> Error {
    Error::Other(format!(
        "query result exceeds limit of {RESULT_BYTES} bytes"
    ))
}

fn other(error: impl std::fmt::Display) -> Error {
    Error::Other(error.to_string())
}
