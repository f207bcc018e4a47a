//! One request of a client and its answer.

use std::sync::Arc;

use http::{HeaderValue, Method, Version, header};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::{Answer, gather, head_only, untouched};
use super::client::Client;
use super::problem::Problem;
use super::receive::{Progress, receive};
use super::{Request, Response};
use crate::app::App;
use crate::limits::REQUEST_BODY_BYTES;

/// The answer to one request; there always is one.
pub(crate) async fn answer(
    app: &App,
    client: &Arc<Client>,
    request: http::Request<Incoming>,
) -> http::Response<Answer> {
    let under_way = client.begin();
    let (is_head, version) = (request.method() == Method::HEAD, request.version());
    let (response, turn) = respond(app, client, request).await;
    // The answer to HEAD has a length but no body; leave it as the component made it.
    match (is_head, version) {
        (false, _) => gather(response, under_way, turn).await,
        (true, Version::HTTP_2) => head_only(response, under_way),
        (true, _) => untouched(response, under_way),
    }
}

async fn respond(
    app: &App,
    client: &Client,
    mut request: http::Request<Incoming>,
) -> (Response, Option<OwnedSemaphorePermit>) {
    let version = request.version();
    let refuse = |problem: Problem| (cut(problem.response(), version), None);
    if request.body().size_hint().lower() > REQUEST_BODY_BYTES as u64 {
        return refuse(Problem::BodyTooLarge);
    }
    // Required even if the target names the host (RFC 9112, section 3.2).
    if version == Version::HTTP_11 && !request.headers().contains_key(header::HOST) {
        return refuse(Problem::BadRequest);
    }
    let id = match app.admit(&mut request, client.address) {
        Ok(id) => id,
        Err(response) if request.body().is_end_stream() => return (*response, None),
        Err(response) => return (cut(*response, version), None),
    };
    // Before the request takes any place, so that a client that sends slowly holds up nobody.
    let (parts, body) = request.into_parts();
    let (body, sent) = match receive(body, client).await {
        Ok(received) => received,
        Err(problem) => return refuse(problem),
    };
    let turn = match version {
        Version::HTTP_2 => match client.turn().await {
            Some(turn) => Some(turn),
            None => return refuse(Problem::Overloaded),
        },
        _ => None,
    };
    let working = client.work();
    let request = Request::from_parts(parts, body);
    let response = app.serve(&id, request).await;
    drop(working);
    match sent.progress() {
        Progress::Ended => (response, turn),
        Progress::Late => refuse(Problem::RequestTimeout),
        Progress::TooLarge => refuse(Problem::BodyTooLarge),
        Progress::Open if response.status() == Problem::Timeout.status() => {
            refuse(Problem::RequestTimeout)
        }
        Progress::Open => (cut(response, version), turn),
    }
}

/// An answer to a request whose body was not read to its end: on HTTP/1 no other request can
/// follow.
fn cut(mut response: Response, version: Version) -> Response {
    if version < Version::HTTP_2 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}
