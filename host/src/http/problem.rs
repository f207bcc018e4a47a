//! The host's own answers: RFC 9457 problem details with stable types.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Full};

use super::Response;

/// Why the host answers instead of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The request itself cannot be served, whatever the path.
    BadRequest,
    NoSuchRoute,
    BodyTooLarge,
    /// The client did not send its body in time.
    RequestTimeout,
    /// The component trapped, could not be started or answered with an error.
    ComponentFailed,
    Overloaded,
    Timeout,
}

/// Seconds after which an overloaded host may have room again: instances without work end after
/// one.
const RETRY_AFTER: &str = "2";

/// For a connection without a place: an HTTP/1 answer, which clients of other protocols at least
/// see in their logs.
pub(crate) fn no_place() -> String {
    let body = Problem::Overloaded.body();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: {RETRY_AFTER}\r\nconnection: close\r\n\
         content-type: application/problem+json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

impl Problem {
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::NoSuchRoute => StatusCode::NOT_FOUND,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::ComponentFailed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    fn kind(self) -> (&'static str, &'static str) {
        match self {
            Self::BadRequest => ("bad-request", "The request is malformed"),
            Self::NoSuchRoute => ("no-such-route", "No route leads here"),
            Self::BodyTooLarge => ("body-too-large", "The request body is too large"),
            Self::RequestTimeout => ("request-timeout", "The body did not arrive in time"),
            Self::ComponentFailed => ("component-failed", "The component failed"),
            Self::Overloaded => ("overloaded", "Too many requests at once"),
            Self::Timeout => ("timeout", "The component did not answer in time"),
        }
    }

    fn body(self) -> String {
        let (kind, title) = self.kind();
        let body = serde_json::json!({
            "type": format!("/problems/{kind}"),
            "title": title,
            "status": self.status().as_u16(),
        });
        body.to_string()
    }

    pub fn response(self) -> Response {
        let status = self.status();
        let body = Full::new(Bytes::from(self.body()));
        let mut response = http::Response::new(body.map_err(|never| match never {}).boxed_unsync());
        *response.status_mut() = status;
        for (name, value) in [
            (header::CONTENT_TYPE, "application/problem+json"),
            // It is data, whatever a browser would make of it.
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; frame-ancestors 'none'",
            ),
        ] {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        if self == Self::Overloaded {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_problem_is_json_with_type_title_and_status() {
        let response = Problem::NoSuchRoute.response();
        assert_eq!(response.status(), 404);
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["type"], "/problems/no-such-route");
        assert_eq!(body["status"], 404);
    }

    #[test]
    fn who_is_turned_away_learns_when_to_come_back() {
        let response = Problem::Overloaded.response();
        let seconds = response.headers()["retry-after"].to_str().unwrap();
        assert!((1..60).contains(&seconds.parse::<u32>().unwrap()));
        let text = no_place();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())));
        assert!(head.contains("\r\nretry-after: ") && head.contains("\r\nconnection: close"));
    }
}
