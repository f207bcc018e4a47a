//! HTTP: the server, the routes, the pool of instances, and requests that components send.

pub(crate) mod body;
pub(crate) mod headers;
pub(crate) mod outbound;
pub(crate) mod pool;
pub(crate) mod problem;
pub(crate) mod routes;
pub(crate) mod server;

/// A request on its way to a component.
pub(crate) type Request = http::Request<wasmtime_wasi_http::WasiBody>;

/// A component's answer.
pub(crate) type Response = http::Response<wasmtime_wasi_http::WasiBody>;
