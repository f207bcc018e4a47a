//! The HTTP server: HTTP/1.1 and HTTP/2 with prior knowledge on one port.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body::Body as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::body::{limited, settle};
use super::problem::Problem;
use super::{Request, Response};
use crate::app::App;
use crate::limits;
use crate::stop::Stop;

/// The client's address when there is no client: a call between components.
pub(crate) const NO_CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// After a failure to accept, such as too many open files, a pause instead of a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until told to stop, then lets the running requests finish.
pub(crate) async fn run(listener: TcpListener, app: Arc<App>, mut stop: Stop) {
    let room = Arc::new(Semaphore::new(limits::CONNECTIONS));
    let graceful = GracefulShutdown::new();
    // Belongs to this task: when the host is dropped, the connections end with it.
    let mut connections = JoinSet::new();
    let builder = builder();
    loop {
        // Room first: beyond the limit, clients wait in the kernel's queue.
        let permit = tokio::select! {
            biased;
            () = stop.requested() => break,
            permit = room.clone().acquire_owned() => permit.expect("the semaphore is never closed"),
        };
        let (stream, client) = tokio::select! {
            biased;
            () = stop.requested() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        while connections.try_join_next().is_some() {}
        let connection = connection(&builder, &graceful, stream, client, app.clone());
        connections.spawn(async move {
            connection.await;
            drop(permit);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADER_READ_TIMEOUT)
        .max_buf_size(limits::REQUEST_HEAD_BYTES)
        .max_headers(limits::REQUEST_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(limits::REQUEST_HEAD_BYTES as u32)
        .max_concurrent_streams(limits::HTTP2_STREAMS);
    builder
}

/// One connection, to its end.
fn connection(
    builder: &Builder<TokioExecutor>,
    graceful: &GracefulShutdown,
    stream: TcpStream,
    client: SocketAddr,
    app: Arc<App>,
) -> impl Future<Output = ()> + use<> {
    // A small answer must not wait for the acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let service = service_fn(move |request| {
        let app = app.clone();
        async move { Ok::<_, Infallible>(answer(&app, request, client).await) }
    });
    let connection = builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned();
    let connection = graceful.watch(connection);
    async move {
        if let Err(error) = connection.await {
            tracing::debug!(%client, %error, "connection ended");
        }
    }
}

async fn answer(app: &App, request: http::Request<Incoming>, client: SocketAddr) -> Response {
    if request.body().size_hint().lower() > limits::REQUEST_BODY_BYTES as u64 {
        return Problem::BodyTooLarge.response();
    }
    let is_head = request.method() == http::Method::HEAD;
    let request: Request = request.map(|body| limited(body, limits::REQUEST_BODY_BYTES));
    let response = app.route(request, client).await;
    // The answer to HEAD has a length but no body; leave it as the component made it.
    if is_head {
        response
    } else {
        settle(response).await
    }
}
