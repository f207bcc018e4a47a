//! Rust traits and types for the interfaces of Spin, generated from the WIT in the `spin-sdk` crate.

#![allow(missing_docs, clippy::all, reason = "generated code")]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
