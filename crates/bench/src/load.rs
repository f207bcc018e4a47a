//! The load generator: clients that each keep one connection and send the next request when the last
//! is answered.
//!
//! An own one, because nothing on crates.io fits: `oha` 1.16 prints what it measures instead of returning
//! it, and its SQLite cannot be linked beside ours; `goose` 0.19 brings a command line, logs and reports of
//! its own and 200 crates, and can't follow an order to its end from outside. What is left is small.
//! How far it goes is in the table: the native server with an empty handler.

use crate::windows::{Measured, Pace, Windows};
use anyhow::{Context, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// A request of this generator.
pub type Request = hyper::Request<Full<Bytes>>;

/// After this time a request has failed.
const TIMEOUT: Duration = Duration::from_secs(40);

/// One client's connection; opened when first used, and again when the server has closed it.
pub struct Connection {
    at: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// A whole answer.
pub struct Answer {
    pub status: u16,
    pub body: Bytes,
}

impl Connection {
    pub fn new(at: SocketAddr) -> Connection {
        Connection { at, sender: None }
    }

    /// Sends a request and reads the answer to its end.
    pub async fn send(&mut self, request: Request) -> anyhow::Result<Answer> {
        let path = request.uri().path().to_owned();
        let answer = tokio::time::timeout(TIMEOUT, self.exchange(request)).await;
        let answer = answer.with_context(|| format!("{path}: no answer"))?;
        if answer.is_err() {
            self.sender = None;
        }
        answer.with_context(|| path)
    }

    async fn exchange(&mut self, mut request: Request) -> anyhow::Result<Answer> {
        let host = HeaderValue::from_str(&self.at.to_string())?;
        request.headers_mut().insert(HOST, host);
        let response = self.sender().await?.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Answer { status, body })
    }

    async fn sender(&mut self) -> anyhow::Result<&mut SendRequest<Full<Bytes>>> {
        if let Some(sender) = &mut self.sender
            && sender.ready().await.is_err()
        {
            self.sender = None;
        }
        let sender = match self.sender.take() {
            Some(sender) => sender,
            None => {
                let stream = TcpStream::connect(self.at).await?;
                stream.set_nodelay(true)?;
                let (sender, connection) = handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                sender
            }
        };
        Ok(self.sender.insert(sender))
    }
}

impl Answer {
    /// The body, when the status is the expected one.
    pub fn expect(&self, status: u16) -> anyhow::Result<Value> {
        let text = String::from_utf8_lossy(&self.body);
        ensure!(self.status == status, "status {}: {text}", self.status);
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {text}"))
    }
}

/// `GET`, with a token where there is one.
pub fn get(path: &str, token: Option<&str>) -> Request {
    build(hyper::Request::get(path), token, Bytes::new())
}

/// `POST` of JSON, with a token where there is one.
pub fn post(path: &str, token: Option<&str>, body: &Value) -> Request {
    let request = hyper::Request::post(path).header(CONTENT_TYPE, "application/json");
    build(request, token, body.to_string().into())
}

fn build(mut request: hyper::http::request::Builder, token: Option<&str>, body: Bytes) -> Request {
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    // Paths, tokens and bodies are all made here, of characters that a request may have.
    request
        .body(Full::new(body))
        .unwrap_or_else(|error| panic!("a request that can't be built: {error}"))
}

/// Clients that send what `make` makes (client, number of the request), and want this status.
pub async fn drive(
    at: SocketAddr,
    clients: usize,
    pace: Pace,
    status: u16,
    make: impl Fn(usize, usize) -> Request + Send + Sync + 'static,
) -> anyhow::Result<Measured> {
    let (make, begun) = (Arc::new(make), Instant::now());
    let mut tasks = Vec::with_capacity(clients);
    for client in 0..clients {
        let make = make.clone();
        tasks.push(tokio::spawn(async move {
            let mut connection = Connection::new(at);
            let mut windows = Windows::new(pace, begun)?;
            let mut number = 0;
            while windows.is_open() {
                let request = make(client, number);
                number += 1;
                let sent = Instant::now();
                let answer = connection.send(request).await?;
                let now = Instant::now();
                if answer.status != status {
                    let text = String::from_utf8_lossy(&answer.body);
                    anyhow::bail!("status {} instead of {status}: {text}", answer.status);
                }
                windows.record(now, now - sent);
            }
            anyhow::Ok(windows)
        }));
    }
    let mut all = Windows::new(pace, begun)?;
    for task in tasks {
        all.merge(&task.await??)?;
    }
    Ok(all.measured())
}
