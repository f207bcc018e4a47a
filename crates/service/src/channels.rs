//! Publishing to Redis channels. At most once: who needs more keeps an outbox.

use crate::config;
use spin_sdk::redis::{Connection, Error};
use std::sync::OnceLock;
use thiserror::Error as ThisError;
use wasmart_contracts::envelope::{Event, write_batch};

/// Why nothing was published.
#[derive(Debug, ThisError)]
pub enum PublishError {
    /// The variable `redis_url` is missing: a fault of the installation.
    #[error("no redis_url: {0}")]
    NoAddress(String),
    /// Redis is out of reach or refuses.
    #[error("can't publish to {channel}: {reason}")]
    Failed {
        /// Where to.
        channel: String,
        /// What Redis or the host says.
        reason: String,
    },
}

static ADDRESS: OnceLock<String> = OnceLock::new();

/// Publishes one message to a channel.
pub async fn publish_bytes(channel: &str, message: &[u8]) -> Result<(), PublishError> {
    let failed = |error: Error| PublishError::Failed {
        channel: channel.to_owned(),
        reason: error.to_string(),
    };
    let connection = Connection::open(address().await?).await.map_err(failed)?;
    connection.publish(channel, message).await.map_err(failed)
}

/// Publishes events as one batch.
pub async fn publish(channel: &str, events: &[Event]) -> Result<(), PublishError> {
    publish_bytes(channel, &write_batch(events)).await
}

async fn address() -> Result<&'static str, PublishError> {
    if let Some(address) = ADDRESS.get() {
        return Ok(address);
    }
    let address = config::get("redis_url")
        .await
        .map_err(|error| PublishError::NoAddress(error.to_string()))?;
    Ok(ADDRESS.get_or_init(|| address))
}
