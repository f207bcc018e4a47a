//! Requests to other issuers. Where they may lead, `spin.toml` grants; what may come back is bounded in
//! size and time, whatever the other side does. Redirects are not followed.

use futures::future::{Either, select};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use spin_sdk::http::{Response, send};
use spin_sdk::wasip3::clocks::monotonic_clock::wait_for;
use spin_sdk::wasip3::http::types::RequestOptions;
use spin_sdk::wasip3::http_compat::RequestOptionsExtension;
use std::pin::pin;

/// Bytes of an answer. A key set has some thousand.
const MAX_ANSWER: usize = 256 * 1024;
/// Nanoseconds for all of it.
const MAX_TIME: u64 = 8_000_000_000;
/// Nanoseconds to connect.
const MAX_CONNECT: u64 = 3_000_000_000;

/// `GET` of a JSON object.
pub async fn get(url: &str) -> Result<Value, String> {
    let (status, body) = exchange(Method::GET, url, None, String::new()).await?;
    if status == 200 && body.is_object() {
        Ok(body)
    } else {
        Err(format!("{url} answers {status}, or no object"))
    }
}

/// `POST` of a form; the status and what JSON there is.
pub async fn post_form(
    url: &str,
    authorization: Option<String>,
    form: String,
) -> Result<(u16, Value), String> {
    exchange(Method::POST, url, authorization, form).await
}

async fn exchange(
    method: Method,
    url: &str,
    authorization: Option<String>,
    body: String,
) -> Result<(u16, Value), String> {
    let mut request = Request::builder()
        .method(method)
        .uri(url)
        .header(ACCEPT, "application/json");
    if !body.is_empty() {
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let mut request = request
        .body(body)
        .map_err(|error| format!("{url}: {error}"))?;
    let options = RequestOptions::new();
    // A host may know no such limit; the one below holds in any case.
    let _ = options.set_connect_timeout(Some(MAX_CONNECT));
    request
        .extensions_mut()
        .insert(RequestOptionsExtension(options));
    let answered = async {
        let response = send(request).await.map_err(|error| error.to_string())?;
        read(response).await
    };
    match select(pin!(answered), pin!(wait_for(MAX_TIME))).await {
        Either::Left((answer, _)) => answer.map_err(|error| format!("{url}: {error}")),
        Either::Right(_) => Err(format!("{url}: no whole answer in time")),
    }
}

async fn read(response: Response) -> Result<(u16, Value), String> {
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), MAX_ANSWER)
        .collect()
        .await
        .map_err(|error| error.to_string())?;
    let json = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    Ok((status, json))
}
