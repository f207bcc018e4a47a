//! `spin:redis`: connections to Redis servers, or to the channels inside this process.

mod address;
mod host;
mod link;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::channels::Channels;
use crate::limits::REDIS_ADDRESSES;

pub(crate) use address::for_log;
pub(crate) use link::{Link, client};

/// What a guest holds.
#[derive(Clone)]
pub struct OpenConnection(Target);

/// Where a connection leads.
#[derive(Clone)]
enum Target {
    Server(Link),
    InProcess(Arc<Channels>),
}

/// All Redis connections of the host: one for each address, shared by every component.
pub(crate) enum Connections {
    Server(Mutex<HashMap<String, Link>>),
    /// No server: publishing goes to the channels, nothing else works.
    InProcess(Arc<Channels>),
}

impl Connections {
    pub fn to_servers() -> Self {
        Self::Server(Mutex::default())
    }

    /// The connection to `address`; the server need not be there yet.
    fn open(&self, address: &str) -> Result<OpenConnection, OpenError> {
        let links = match self {
            Self::InProcess(channels) => {
                return Ok(OpenConnection(Target::InProcess(channels.clone())));
            }
            Self::Server(links) => links,
        };
        let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.get(address) {
            return Ok(OpenConnection(Target::Server(link.clone())));
        }
        if links.len() >= REDIS_ADDRESSES {
            return Err(OpenError::TooMany);
        }
        let link = Link::open(address).map_err(|_| OpenError::BadAddress)?;
        links.insert(address.to_owned(), link.clone());
        Ok(OpenConnection(Target::Server(link)))
    }

    /// Publishes as a guest would.
    pub async fn publish(
        &self,
        address: &str,
        channel: &str,
        payload: Bytes,
    ) -> Result<(), String> {
        let connection = self
            .open(address)
            .map_err(|error| format!("{}: {error:?}", for_log(address)))?;
        connection.publish(channel, payload).await
    }
}

#[derive(Debug)]
enum OpenError {
    BadAddress,
    TooMany,
}

impl OpenConnection {
    async fn publish(&self, channel: &str, payload: Bytes) -> Result<(), String> {
        match &self.0 {
            Target::InProcess(channels) => {
                channels.deliver(channel, &payload);
                Ok(())
            }
            Target::Server(link) => link
                .query(redis::cmd("PUBLISH").arg(channel).arg(&*payload))
                .await
                .map_err(|error| error.to_string()),
        }
    }

    fn server(&self) -> Result<&Link, String> {
        match &self.0 {
            Target::Server(link) => Ok(link),
            Target::InProcess(_) => Err(
                "no Redis server: this host delivers channels itself and offers only `publish`; \
                     start it with --redis URL for the rest"
                    .into(),
            ),
        }
    }
}
