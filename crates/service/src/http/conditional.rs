//! Conditional requests (RFC 9110 §13): an `ETag` on what is read, 304 for a client that has it
//! already, and 412 for a change to a state that the client has not seen.
//!
//! There is one kind of tag: a hash of the JSON that a GET gives this caller. So a change is
//! compared with the same view that a GET shows.

use super::Problem;
use axum::Json;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use serde::Serialize;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What a client says about the state that it knows: `If-Match` and `If-None-Match`.
pub struct Conditions {
    if_match: Option<Known>,
    if_none_match: Option<Known>,
}

/// The tags of one of the fields.
struct Known {
    /// `*`: any representation.
    any: bool,
    strong: Vec<String>,
    weak: Vec<String>,
}

impl Conditions {
    pub(super) fn of(headers: &HeaderMap) -> Conditions {
        Conditions {
            if_match: Known::read(headers, &IF_MATCH),
            if_none_match: Known::read(headers, &IF_NONE_MATCH),
        }
    }

    /// Whether the request has neither field.
    pub fn is_empty(&self) -> bool {
        self.if_match.is_none() && self.if_none_match.is_none()
    }

    /// Refuses (412) a change if the client does not know the current state. `current` is what a
    /// GET would show this caller now; read it in the transaction of the change, so that of two
    /// changes under one tag only the first is made.
    pub fn check(&self, current: &impl Serialize) -> Result<(), Problem> {
        if self.is_empty() {
            return Ok(());
        }
        let tag = opaque(&serde_json::to_vec(current).unwrap_or_default());
        let fails = self
            .if_match
            .as_ref()
            .is_some_and(|it| !it.is_strongly(&tag))
            || self
                .if_none_match
                .as_ref()
                .is_some_and(|it| it.is_weakly(&tag));
        if fails { Err(failed()) } else { Ok(()) }
    }
}

impl<S: Sync> FromRequestParts<S> for Conditions {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Conditions, Infallible> {
        Ok(Conditions::of(&parts.headers))
    }
}

impl Known {
    /// `None` if the field is absent.
    fn read(headers: &HeaderMap, name: &HeaderName) -> Option<Known> {
        let mut known = Known {
            any: false,
            strong: vec![],
            weak: vec![],
        };
        let mut lines = headers.get_all(name).iter().peekable();
        lines.peek()?;
        for line in lines.filter_map(|line| line.to_str().ok()) {
            known.any |= line.trim() == "*";
            known.read_tags(line);
        }
        Some(known)
    }

    /// Reads a list of tags (RFC 9110 §8.8.3). Anything that is not a tag ends the list.
    fn read_tags(&mut self, line: &str) {
        let mut rest = line;
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            let (tags, quoted) = match rest.strip_prefix("W/") {
                Some(quoted) => (&mut self.weak, quoted),
                None => (&mut self.strong, rest),
            };
            let tag = quoted.strip_prefix('"').and_then(|q| q.split_once('"'));
            let Some((tag, after)) = tag else { return };
            tags.push(tag.to_owned());
            rest = after;
        }
    }

    /// A weak tag never matches: representations that share one may differ.
    fn is_strongly(&self, tag: &str) -> bool {
        self.any || self.strong.iter().any(|known| known == tag)
    }

    /// A proxy that compresses makes a tag weak.
    fn is_weakly(&self, tag: &str) -> bool {
        self.is_strongly(tag) || self.weak.iter().any(|known| known == tag)
    }
}

/// The answer to a change: JSON that shows what a GET shows now, with its tag.
pub struct Tagged<T>(pub T);

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = Json(self.0).into_response();
        response.headers_mut().insert(ETAG, etag(&body));
        response
    }
}

/// The tag of a body, as the field `ETag` has it.
pub(crate) fn etag(body: &[u8]) -> HeaderValue {
    HeaderValue::try_from(format!("\"{}\"", opaque(body)))
        .unwrap_or(HeaderValue::from_static("\"\""))
}

fn opaque(body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Adds a tag to the answer to a GET, or answers 304 to a client that has it already.
pub(super) async fn tagged(response: Response, conditions: Conditions) -> Response {
    // An answer that the handler marks as `no-store` needs no tag and must not become a 304.
    let kept = response.headers().get(CACHE_CONTROL);
    if response.status() != StatusCode::OK || kept.is_some_and(|value| value == "no-store") {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let body = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) => return Problem::internal(error.to_string()).into_response(),
    };
    let tag = opaque(&body);
    let Conditions {
        if_match,
        if_none_match,
    } = conditions;
    if if_match.is_some_and(|known| !known.is_strongly(&tag)) {
        return failed().into_response();
    }
    parts.headers.insert(ETAG, etag(&body));
    if if_none_match.is_some_and(|known| known.is_weakly(&tag)) {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(CONTENT_TYPE);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(body))
}

fn failed() -> Problem {
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "precondition-failed",
        "This has changed since you read it; read it again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: &str = "what is there";

    fn passes(fields: &[(HeaderName, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value.parse().expect("a value"));
        }
        match Conditions::of(&headers).check(&VIEW) {
            Ok(()) => true,
            Err(problem) => {
                assert_eq!(problem.status(), StatusCode::PRECONDITION_FAILED);
                false
            }
        }
    }

    fn tag_of_view() -> String {
        let body = serde_json::to_vec(VIEW).expect("JSON");
        etag(&body).to_str().expect("ASCII").to_owned()
    }

    #[test]
    fn a_change_needs_the_tag_of_what_is_there() {
        let tag = tag_of_view();
        assert!(passes(&[]));
        for good in [
            tag.clone(),
            format!("  {tag} "),
            "*".to_owned(),
            format!("\"x\", {tag}"),
            format!("\"a,b\",W/\"y\",{tag}"),
            format!(", {tag} ,"),
        ] {
            assert!(passes(&[(IF_MATCH, &good)]), "{good}");
        }
        let bare = tag.trim_matches('"').to_owned();
        for bad in [
            String::new(),
            "\"x\"".to_owned(),
            format!("W/{tag}"),
            format!("w/{tag}"),
            bare.clone(),
            "\"*\"".to_owned(),
            "* x".to_owned(),
            tag.to_uppercase().replace("\"", "\"0"),
            // The quotes are of two other tags.
            format!("\"x,{bare}\""),
        ] {
            assert!(!passes(&[(IF_MATCH, &bad)]), "{bad}");
        }
        assert!(passes(&[(IF_MATCH, "\"x\""), (IF_MATCH, &tag)]));
    }

    #[test]
    fn a_change_that_must_find_nothing_is_refused_where_there_is_something() {
        let tag = tag_of_view();
        for refused in ["*".to_owned(), tag.clone(), format!("W/{tag}")] {
            assert!(!passes(&[(IF_NONE_MATCH, &refused)]), "{refused}");
        }
        assert!(passes(&[(IF_NONE_MATCH, "\"x\"")]));
        assert!(!passes(&[(IF_NONE_MATCH, "\"x\""), (IF_MATCH, "\"y\"")]));
    }
}
