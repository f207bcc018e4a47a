//! HTTP: the server, the routes, the pool of instances, and requests that components send.

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod client;
pub(crate) mod exchange;
pub(crate) mod headers;
pub(crate) mod outbound;
pub(crate) mod places;
pub(crate) mod pool;
pub(crate) mod problem;
pub(crate) mod receive;
pub(crate) mod routes;
pub(crate) mod server;
pub(crate) mod socket;

/// A request on its way to a component.
pub(crate) type Request = http::Request<wasmtime_wasi_http::WasiBody>;

/// A component's answer.
pub(crate) type Response = http::Response<wasmtime_wasi_http::WasiBody>;
