//! The HTTP server: HTTP/1.1 and HTTP/2 with prior knowledge on one port. The limits on clients are
//! in [`crate::limits`]; `client.rs` decides when a client has reached one.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::client::{Client, Clients, Next};
use super::exchange;
use super::problem;
use super::socket::Socket;
use crate::app::App;
use crate::limits::{self, ClientLimits};
use crate::open_files;
use crate::stop::Stop;

/// The client's address when there is no client: a call between components.
pub(crate) const NO_CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// After a failure to accept, such as too many open files, a pause instead of a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An idle connection that was asked to end has this long to do so.
const FINISH_TIME: Duration = Duration::from_secs(1);

/// How many clients without a place get an answer at the same time; the connections of others just
/// close.
const TURNED_AWAY: usize = 64;

/// Accepts connections until told to stop, then lets the running requests finish.
pub(crate) async fn run(
    listener: TcpListener,
    app: Arc<App>,
    limits: ClientLimits,
    mut stop: Stop,
) {
    let connections = open_files::for_connections(limits.connections);
    let limits = ClientLimits {
        connections,
        ..limits
    };
    let clients = Clients::new(limits);
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY));
    // Belongs to this task: when the host is dropped, the connections end with it.
    let mut connections = JoinSet::new();
    let builder = builder();
    loop {
        let (stream, address) = tokio::select! {
            biased;
            () = stop.requested() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    // Most likely there are too many open files.
                    clients.connections.take_from_idlest();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        while connections.try_join_next().is_some() {}
        let client = Client::new(address, clients.clone());
        match clients.connections.enter(client.network, client.clone()) {
            Some(place) => {
                let connection = connection(builder.clone(), stream, client, app.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            None => {
                tracing::warn!(%address, limit = limits.connections, "too many connections");
                if let Ok(permit) = turned_away.clone().try_acquire_owned() {
                    connections.spawn(async move {
                        turn_away(stream).await;
                        drop(permit);
                    });
                }
            }
        }
    }
    drop(listener);
    clients.connections.for_each(|client| client.finish());
    while connections.join_next().await.is_some() {}
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // The connection's own timer runs for both protocols, and before the protocol is known.
        .header_read_timeout(None)
        .max_buf_size(limits::REQUEST_HEAD_BYTES)
        .max_headers(limits::REQUEST_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW)
        .initial_connection_window_size(limits::HTTP2_WINDOW)
        .max_send_buf_size(2 * limits::ANSWER_PART_BYTES)
        .max_header_list_size(limits::REQUEST_HEAD_BYTES as u32)
        .max_concurrent_streams(limits::HTTP2_STREAMS);
    builder
}

/// Serves one connection until it ends by itself, the client's time is over, or the host stops.
async fn connection(
    builder: Builder<TokioExecutor>,
    stream: TcpStream,
    client: Arc<Client>,
    app: Arc<App>,
) {
    // A small answer must not wait for the acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let service = service_fn(|request: http::Request<Incoming>| {
        let (app, client) = (app.clone(), client.clone());
        async move { Ok::<_, Infallible>(exchange::answer(&app, &client, request).await) }
    });
    let socket = Socket::new(stream, client.clone());
    let mut connection = pin!(builder.serve_connection(socket, service));
    let limits = &client.clients.limits;
    let first = limits.header_timeout.min(limits.write_timeout);
    let mut timer = pin!(tokio::time::sleep(first));
    let mut finishing = false;
    poll_fn(|context| {
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(context) {
                if let Err(error) = ended {
                    tracing::debug!(client = %client.address, %error, "connection ended");
                }
                return Poll::Ready(());
            }
            let next = match client.ordered(context) {
                Some(next) => next,
                None if timer.as_mut().poll(context).is_pending() => return Poll::Pending,
                None if finishing && client.is_idle() => Next::Abort,
                None => client.next(),
            };
            match next {
                Next::Wait(until) if finishing => {
                    timer
                        .as_mut()
                        .reset(until.min(Instant::now() + FINISH_TIME));
                }
                Next::Wait(until) => timer.as_mut().reset(until),
                Next::Finish => {
                    finishing = true;
                    connection.as_mut().graceful_shutdown();
                    timer.as_mut().reset(Instant::now() + FINISH_TIME);
                }
                Next::Abort => {
                    tracing::debug!(client = %client.address, "connection closed by the host");
                    client.abort();
                    return Poll::Ready(());
                }
            }
        }
    })
    .await;
}

/// Tells a client that there is no place for it. Reads and discards what it sends meanwhile;
/// otherwise it might never see the answer.
async fn turn_away(mut stream: TcpStream) {
    let say = async {
        stream.write_all(problem::no_place().as_bytes()).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(FINISH_TIME, say).await;
}
