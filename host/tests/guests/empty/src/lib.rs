//! A component that answers 200 and does nothing else: what a request costs the host alone.

#![allow(unsafe_code, reason = "the generated exports")]

use spin_sdk::http::{EmptyBody, Request, Response};
use spin_sdk::http_service;

#[http_service]
async fn handle(_: Request) -> Response<EmptyBody> {
    Response::new(EmptyBody::new())
}
