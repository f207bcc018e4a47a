//! Reading what clients send: bodies, ids in paths, query strings. Every fault becomes a problem
//! that names the field.

use super::Problem;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Query};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

/// Bytes of a request body.
pub const MAX_BODY: usize = 64 * 1024;

/// A JSON body. 415 when it does not say so, 413 past [`MAX_BODY`], 400 when it is no JSON, 422 with
/// the field when it is not the JSON asked for.
pub struct Input<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, _: &S) -> Result<Input<T>, Problem> {
        let is_json = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|media| {
                let media = media.trim().to_ascii_lowercase();
                media == "application/json" || media.ends_with("+json")
            });
        if !is_json {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "Send application/json",
            ));
        }
        parse(&read_body(request).await?).map(Input)
    }
}

/// The whole body, up to [`MAX_BODY`].
pub async fn read_body(request: Request<Body>) -> Result<Vec<u8>, Problem> {
    let too_large = || {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            format!("A body may have at most {MAX_BODY} bytes"),
        )
    };
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok());
    if announced
        .and_then(|v| v.parse::<usize>().ok())
        .is_some_and(|length| length > MAX_BODY)
    {
        return Err(too_large());
    }
    match Limited::new(request.into_body(), MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes().to_vec()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "bad-body",
            format!("The body could not be read: {error}"),
        )),
    }
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
fn field_of(path: &str, message: &str) -> String {
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

/// A UUID in the path; anything else names nothing (404). In the one spelling that is stored.
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Id, Problem> {
        let Path(id) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::not_found("resource"))?;
        canonical_id(&id)
            .map(Id)
            .ok_or_else(|| Problem::not_found("resource"))
    }
}

/// A UUID in the one spelling that is stored; none when it is no UUID.
pub fn canonical_id(id: &str) -> Option<String> {
    uuid::Uuid::try_parse(id).ok().map(|id| id.to_string())
}

/// The whole body of another service's answer, up to [`MAX_BODY`].
pub async fn read_response(response: spin_sdk::http::Response) -> Result<Vec<u8>, String> {
    let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
    body.map(|collected| collected.to_bytes().to_vec())
        .map_err(|error| error.to_string())
}

/// The query string; 422 where it can't be read.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Params<T>, Problem> {
        let Query(query) = Query::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::field("query", rejection.body_text()))?;
        Ok(Params(query))
    }
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

    #[test]
    fn what_is_no_json_is_400() {
        for body in ["", "{", "nonsense", "{\"lines\":[]} x"] {
            assert!(fault(body).contains("status: 400"), "{body}");
        }
    }
}
