//! Publishes to Redis channels; signs if there are keys. Delivery is at most once: a sender that
//! needs more keeps an outbox.

use crate::config;
use serde_json::{Map, Value};
use spin_sdk::redis::{Connection, Error};
use std::sync::OnceLock;
use thiserror::Error as ThisError;
use wasmart_contracts::envelope::Event;
use wasmart_contracts::signature::ChannelKeys;

/// Why nothing was published.
#[derive(Debug, ThisError)]
pub enum PublishError {
    /// The variable `redis_url` is missing: a fault of the installation.
    #[error("no redis_url: {0}")]
    NoAddress(String),
    /// The variable `channel_keys` is missing or wrong: a fault of the installation. Nothing is
    /// sent unsigned then.
    #[error("{0}")]
    NoKeys(String),
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
/// Read once in the life of an instance, which is short on every host, so changed keys take effect
/// within seconds.
static KEYS: OnceLock<Option<ChannelKeys>> = OnceLock::new();

async fn publish_bytes(channel: &str, message: &[u8]) -> Result<(), PublishError> {
    let failed = |error: Error| PublishError::Failed {
        channel: channel.to_owned(),
        reason: error.to_string(),
    };
    let connection = Connection::open(address().await?).await.map_err(failed)?;
    connection.publish(channel, message).await.map_err(failed)
}

/// Publishes events as one batch.
pub async fn publish(channel: &str, events: &[Event]) -> Result<(), PublishError> {
    let texts: Vec<String> = events
        .iter()
        .map(|event| serde_json::to_string(event).unwrap_or_default())
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    publish_texts(channel, &texts).await
}

/// Publishes events that are JSON already as one batch. They are signed now, not when they were
/// written, so that an event that has waited in an outbox is signed with a current key.
pub(crate) async fn publish_texts(channel: &str, events: &[&str]) -> Result<(), PublishError> {
    let keys = keys().await.map_err(PublishError::NoKeys)?;
    let batch = match keys {
        None => format!("[{}]", events.join(",")),
        Some(keys) => {
            let signed: Vec<String> = events
                .iter()
                .map(|event| sign(keys, channel, event))
                .collect();
            format!("[{}]", signed.join(","))
        }
    };
    publish_bytes(channel, batch.as_bytes()).await
}

fn sign(keys: &ChannelKeys, channel: &str, event: &str) -> String {
    match serde_json::from_str::<Map<String, Value>>(event) {
        Ok(mut event) => {
            keys.sign(channel, &mut event);
            Value::Object(event).to_string()
        }
        // Not an event; its receiver says so.
        Err(_) => event.to_owned(),
    }
}

/// The keys that sign and verify; `None` if nothing is signed.
///
/// # Errors When the variable is not granted or can't be read. That is not the same as empty: a
/// grant that was forgotten must not make a service trust everybody.
pub(crate) async fn keys() -> Result<Option<&'static ChannelKeys>, String> {
    if let Some(keys) = KEYS.get() {
        return Ok(keys.as_ref());
    }
    let text = config::get("channel_keys")
        .await
        .map_err(|error| format!("no channel_keys: {error}"))?;
    let keys = ChannelKeys::parse(&text)?;
    Ok(KEYS.get_or_init(|| keys).as_ref())
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
