//! Reading bodies. Every fault becomes a problem that names the field.

use super::Problem;
use axum::body::Body;
use axum::extract::FromRequest;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;
use spin_sdk::wasip3::clocks::monotonic_clock::wait_for;
use std::pin::pin;

/// Bytes of a request body.
pub const MAX_BODY: usize = 64 * 1024;
/// A body that is too large is read up to this size and thrown away. So a client that is still sending can read the
/// refusal and keep its connection …
const MAX_DISCARDED: usize = 1024 * 1024;
/// … but only for this long, in nanoseconds: a slow client does not hold a place.
const MAX_DISCARDING: u64 = 2_000_000_000;

/// A JSON body. 415 if its type is not JSON or it is encoded, 413 beyond [`MAX_BODY`], 400 if it is
/// not JSON, 422 with the field when it is not the JSON asked for.
pub struct Input<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, _: &S) -> Result<Input<T>, Problem> {
        require_json(request.headers())?;
        parse(&read_body(request).await?).map(Input)
    }
}

/// An optional JSON body: an empty body counts as absent, whatever the header says, and so does a
/// body without a `Content-Type`.
pub struct OptionalInput<T>(pub Option<T>);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for OptionalInput<T> {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, _: &S) -> Result<OptionalInput<T>, Problem> {
        let (parts, body) = request.into_parts();
        if !parts.headers.contains_key(CONTENT_TYPE) {
            return Ok(OptionalInput(None));
        }
        let body = collect(&parts.headers, body).await?;
        if body.is_empty() {
            return Ok(OptionalInput(None));
        }
        require_json(&parts.headers)?;
        refuse_encoded(&parts.headers)?;
        parse(&body).map(|input| OptionalInput(Some(input)))
    }
}

/// The whole body, up to [`MAX_BODY`]; 415 when it is compressed.
pub async fn read_body(request: Request<Body>) -> Result<Vec<u8>, Problem> {
    let (parts, body) = request.into_parts();
    refuse_encoded(&parts.headers)?;
    collect(&parts.headers, body).await
}

/// The media type of the body, in lower case and without parameters. `None` if there is no such
/// field, if there are several, or if the charset is not UTF-8: JSON has no other encoding (RFC
/// 8259 §8.1), and forms are read as UTF-8.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let line = lines.next()?.to_str().ok()?;
    if lines.next().is_some() {
        return None;
    }
    let mut parts = line.split(';');
    let media = parts.next()?.trim().to_ascii_lowercase();
    let is_utf8 = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            let value = value.trim().trim_matches('"');
            ["utf-8", "utf8", "us-ascii"]
                .iter()
                .any(|charset| value.eq_ignore_ascii_case(charset))
        }
        _ => true,
    };
    parts.all(is_utf8).then_some(media)
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let is_json = |media: &str| {
        let structured = |(_, subtype): (&str, &str)| subtype.ends_with("+json");
        media == "application/json" || media.split_once('/').is_some_and(structured)
    };
    if media_type(headers).as_deref().is_some_and(is_json) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "Send application/json, in UTF-8",
    ))
}

/// Nothing is decompressed here. The field `Accept-Encoding` says that this is the reason (RFC 9110 §15.5.16).
fn refuse_encoded(headers: &HeaderMap) -> Result<(), Problem> {
    let is_plain = |line: &HeaderValue| {
        let codings = line.to_str().unwrap_or("unreadable").split(',');
        codings
            .map(str::trim)
            .all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case("identity"))
    };
    if headers.get_all(CONTENT_ENCODING).iter().all(is_plain) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "Send the body as it is, without Content-Encoding",
    )
    .with(ACCEPT_ENCODING, "identity"))
}

async fn collect(headers: &HeaderMap, mut body: Body) -> Result<Vec<u8>, Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    let announced = announced.and_then(|v| v.parse::<usize>().ok()).unwrap_or(0);
    // A client that waits for 100 Continue before it sends the body (RFC 9110 §10.1.1) need not send it.
    if announced > MAX_DISCARDED || (announced > MAX_BODY && headers.contains_key(EXPECT)) {
        return Err(too_large());
    }
    let mut data = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let reason = format!("The body could not be read: {error}");
            Problem::new(StatusCode::BAD_REQUEST, "bad-body", reason)
        })?;
        let Ok(bytes) = frame.into_data() else {
            continue;
        };
        if data.len() + bytes.len() > MAX_BODY {
            discard(body).await;
            return Err(too_large());
        }
        data.extend_from_slice(&bytes);
    }
    Ok(data)
}

/// Reads on and discards, within bounds.
async fn discard(mut body: Body) {
    let rest = async {
        let mut left = MAX_DISCARDED;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, |bytes| bytes.len());
            let Some(less) = left.checked_sub(length) else {
                break;
            };
            left = less;
        }
    };
    let time = wait_for(MAX_DISCARDING);
    futures::future::select(pin!(rest), pin!(time)).await;
}

fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body-too-large",
        format!("A body may have at most {MAX_BODY} bytes"),
    )
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // serde would take an array for a struct, its elements for the fields in their order.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::field("body", "must be an object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let input = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        classify(&path, error.into_inner())
    })?;
    deserializer.end().map_err(|error| classify("", error))?;
    Ok(input)
}

fn classify(path: &str, error: serde_json::Error) -> Problem {
    use serde_json::error::Category;
    // `at line 1 column 7` tells a client nothing that the path does not.
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or(&message);
    match error.classify() {
        // JSON knows no largest number (RFC 8259 §6); for serde_json, one past a double is no syntax.
        Category::Syntax if message.starts_with("number out of range") => {
            Problem::field(field_of(path, message), message)
        }
        Category::Data => Problem::field(field_of(path, message), message),
        _ => Problem::new(
            StatusCode::BAD_REQUEST,
            "malformed-json",
            format!("The body is not JSON: {error}"),
        ),
    }
}

/// serde reports a missing, unknown or repeated field at its parent's path, with the name in its message.
pub(super) fn field_of(path: &str, message: &str) -> String {
    let parent = if path == "." { "" } else { path };
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix))
        .and_then(|rest| rest.split('`').next());
    match named {
        Some(name) if parent.is_empty() => name.to_owned(),
        Some(name) if parent == name || parent.ends_with(&format!(".{name}")) => parent.to_owned(),
        Some(name) => format!("{parent}.{name}"),
        None if parent.is_empty() => "body".to_owned(),
        None => parent.to_owned(),
    }
}

/// The whole body of another service's answer, up to [`MAX_BODY`].
pub async fn read_response(response: spin_sdk::http::Response) -> Result<Vec<u8>, String> {
    let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
    body.map(|collected| collected.to_bytes().to_vec())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Line {
        quantity: i64,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Order {
        lines: Vec<Line>,
    }

    fn fault(body: &str) -> String {
        format!(
            "{:?}",
            parse::<Order>(body.as_bytes()).expect_err("a fault")
        )
    }

    #[test]
    fn the_field_at_fault_is_named() {
        for (body, field) in [
            (r#"{"lines":[{"quantity":"x"}]}"#, "lines[0].quantity"),
            (r#"{"lines":[{"quantity":1,"price":1}]}"#, "lines[0].price"),
            (r#"{"lines":[{}]}"#, "lines[0].quantity"),
            (r#"{"lines":[],"total":1}"#, "total"),
            (r#"{}"#, "lines"),
            (r#"[]"#, "body"),
            (r#"{"lines":[],"lines":[]}"#, "lines"),
            (r#"7"#, "body"),
            (r#"{"lines":[{"quantity":1e400}]}"#, "lines[0].quantity"),
        ] {
            let fault = fault(body);
            assert!(
                fault.contains(&format!("field: \"{field}\"")),
                "{body}: {fault}"
            );
            assert!(fault.contains("422"), "{body}: {fault}");
        }
    }

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn json_is_told_by_its_media_type() {
        for json in [
            "application/json",
            "Application/JSON",
            " application/json ; charset=UTF-8",
            "application/json; Charset=\"utf-8\"",
            "application/json;",
            "application/json; profile=x",
            "application/merge-patch+json",
        ] {
            assert!(
                require_json(&headers(&[("content-type", json)])).is_ok(),
                "{json}"
            );
        }
        for other in [
            "",
            "json",
            "+json",
            "text/json",
            "text/plain",
            "application/json, text/plain",
            "application/json; charset=iso-8859-1",
            "application/json; charset=utf-8; charset=utf-16",
        ] {
            assert!(
                require_json(&headers(&[("content-type", other)])).is_err(),
                "{other}"
            );
        }
        let json = ("content-type", "application/json");
        assert!(require_json(&headers(&[])).is_err());
        assert!(require_json(&headers(&[json, ("content-type", "text/plain")])).is_err());
        assert!(require_json(&headers(&[json, json])).is_err());
    }

    #[test]
    fn only_a_body_that_is_not_encoded_is_read() {
        for plain in ["identity", "Identity", "identity, identity", "", ","] {
            assert!(
                refuse_encoded(&headers(&[("content-encoding", plain)])).is_ok(),
                "{plain}"
            );
        }
        assert!(refuse_encoded(&headers(&[])).is_ok());
        for encoded in [
            "gzip",
            "GZIP",
            "br",
            "identity, gzip",
            "gzip, identity",
            "none",
            "*",
        ] {
            let refused = refuse_encoded(&headers(&[("content-encoding", encoded)]));
            let refused = format!("{:?}", refused.expect_err(encoded));
            assert!(refused.contains("415"), "{refused}");
            assert!(
                refused.contains(r#"("accept-encoding", "identity")"#),
                "{refused}"
            );
        }
        let lines = [
            ("content-encoding", "identity"),
            ("content-encoding", "gzip"),
        ];
        assert!(refuse_encoded(&headers(&lines)).is_err());
    }

    #[test]
    fn what_is_no_json_is_400() {
        for body in ["", "{", "nonsense", "{\"lines\":[]} x"] {
            assert!(fault(body).contains("status: 400"), "{body}");
        }
    }
}
