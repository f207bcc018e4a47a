//! A running host.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::builder::HostBuilder;
use crate::calls::Gate;
use crate::engine::Heartbeat;
use crate::http::body::full;
use crate::http::server::NO_CLIENT;
use crate::limits::STOP_TIMEOUT;
use crate::redis::Connections;
use crate::sqlite::empty_log;
use crate::stop::StopSender;
use crate::tick::Ticker;

/// A host that serves one application. Dropping it ends everything at once; [`Host::stop`] lets running
/// work finish.
pub struct Host {
    parts: Parts,
}

/// What a running host consists of.
pub(crate) struct Parts {
    pub address: SocketAddr,
    pub app: Arc<App>,
    pub connections: Arc<Connections>,
    /// Where [`Host::publish`] goes when there is a server.
    pub redis_address: String,
    pub stop: StopSender,
    pub tasks: Vec<JoinHandle<()>>,
    pub tickers: Vec<Arc<Ticker>>,
    pub gate: Arc<Gate>,
    /// Those of databases and stores.
    pub files: Vec<PathBuf>,
    /// Beats until it is dropped.
    pub _heartbeat: Option<Heartbeat>,
}

impl Host {
    /// Starts with the default options.
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// The address that is served, with its real port.
    pub fn addr(&self) -> SocketAddr {
        self.parts.address
    }

    /// The routes with the components behind them.
    pub fn routes(&self) -> Vec<(String, String)> {
        self.parts.app.routes.list()
    }

    /// Publishes a message as a component would.
    ///
    /// # Errors
    ///
    /// When there is a Redis server and it does not take the message.
    pub async fn publish(&self, channel: &str, payload: impl Into<Bytes>) -> Result<(), String> {
        self.parts
            .connections
            .publish(&self.parts.redis_address, channel, payload.into())
            .await
    }

    /// Answers a request as if it had come from a client, and gives the whole answer.
    ///
    /// # Errors
    ///
    /// When the answer breaks off.
    pub async fn request(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, String> {
        let answer = self.parts.app.route(request.map(full), NO_CLIENT).await;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| format!("{error:?}"))?;
        Ok(http::Response::from_parts(head, body.to_bytes()))
    }

    /// Runs every tick of `[application.tool.wasmart]` once, now, and waits for their ends.
    pub async fn tick(&self) {
        futures::future::join_all(self.parts.tickers.iter().map(|ticker| ticker.once())).await;
    }

    /// The calls that a component has made into the host since the start; `None` if it is unknown.
    pub fn calls(&self, component: &str) -> Option<u64> {
        Some(
            self.parts
                .app
                .components
                .get(component)?
                .instances
                .calls
                .made(),
        )
    }

    /// Accepts and receives nothing more, waits up to ten seconds for running work, then ends.
    /// Empties the write-ahead logs, so that deleted data is not left in them.
    pub async fn stop(mut self) {
        self.parts.stop.send();
        let tasks = std::mem::take(&mut self.parts.tasks);
        let aborts: Vec<_> = tasks.iter().map(JoinHandle::abort_handle).collect();
        if tokio::time::timeout(STOP_TIMEOUT, futures::future::join_all(tasks))
            .await
            .is_err()
        {
            tracing::warn!("work was still running after {STOP_TIMEOUT:?}; it is cut off");
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
        self.parts.files.iter().for_each(|file| empty_log(file));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // What still runs in some instance ends at its next call, without effect.
        self.parts.gate.close();
        self.parts.stop.send();
        self.parts.tasks.iter().for_each(JoinHandle::abort);
    }
}
