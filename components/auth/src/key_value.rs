//! The stores that auth shares with the guards. One that can't be read or written is 503.

use spin_sdk::key_value::{Error, Store};
use wasmart_service::http::Problem;

/// Where the guards look tokens up.
pub async fn open_default() -> Result<Store, Problem> {
    Store::open_default().await.map_err(unavailable)
}

/// Another store, by its label in the manifest.
pub async fn open(label: &str) -> Result<Store, Problem> {
    Store::open(label).await.map_err(unavailable)
}

pub fn unavailable(error: Error) -> Problem {
    Problem::unavailable(format!("key-value store: {error}"))
}
