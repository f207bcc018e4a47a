//! Requests from one service to another, with the secret that they share. A manifest grants the way:
//! `http://<service>.spin.internal` in `allowed_outbound_hosts`.

use crate::config;
use crate::http::INTERNAL_SECRET;
use http::{Method, Request};
use spin_sdk::http::{EmptyBody, Response, send};
use thiserror::Error;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum InternalError {
    /// The variable `internal_secret` is missing: a fault of the installation.
    #[error("variable internal_secret: {0}")]
    NoSecret(String),
    /// The path is none.
    #[error("the request to {service}: {reason}")]
    Malformed {
        /// Whom to ask.
        service: &'static str,
        /// What is wrong.
        reason: http::Error,
    },
    /// The other service does not answer, or may not be asked.
    #[error("{service} can't be reached: {reason}")]
    Unreachable {
        /// Whom to ask.
        service: &'static str,
        /// What the host says.
        reason: String,
    },
}

/// Sends a request without a body to a path of another service (`/internal/stock/items?…`).
pub async fn request(
    method: Method,
    service: &'static str,
    path: &str,
) -> Result<Response, InternalError> {
    let secret = config::get("internal_secret")
        .await
        .map_err(|error| InternalError::NoSecret(error.to_string()))?;
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{service}.spin.internal{path}"))
        .header(INTERNAL_SECRET, secret)
        .body(EmptyBody::new())
        .map_err(|reason| InternalError::Malformed { service, reason })?;
    send(request)
        .await
        .map_err(|error| InternalError::Unreachable {
            service,
            reason: error.to_string(),
        })
}
