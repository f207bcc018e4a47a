//! The host as an embedder sees it: real components, real sockets, temporary folders.

mod app;
mod channels;
mod clients;
mod composition;
mod faults;
mod grants;
mod hooks;
mod http;
mod key_value;
mod limits;
mod raw;
mod redis_server;
mod simulation;
mod sqlite;
mod stop;
