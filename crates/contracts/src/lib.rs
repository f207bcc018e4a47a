//! What travels between the services: the CloudEvents envelope and the payloads of every channel.
//!
//! The payload types are generated from `wit/saga/messages.wit`, so the wire has one definition.

pub mod envelope;
pub mod signature;

#[allow(missing_docs, unsafe_code, clippy::all)]
mod generated {
    wit_bindgen::generate!({
        inline: "
            package wasmart:contracts;
            world contracts { import wasmart:saga/messages@1.0.0; }
        ",
        path: "../../wit/saga",
        generate_all,
        generate_unused_types: true,
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

/// The payload records; one per event type.
pub use generated::wasmart::saga::messages;
