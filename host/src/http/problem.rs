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
    /// The component trapped, could not be started or answered with an error.
    ComponentFailed,
    Overloaded,
    Timeout,
}

impl Problem {
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::NoSuchRoute => StatusCode::NOT_FOUND,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
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
            Self::ComponentFailed => ("component-failed", "The component failed"),
            Self::Overloaded => ("overloaded", "Too many requests at once"),
            Self::Timeout => ("timeout", "The component did not answer in time"),
        }
    }

    pub fn response(self) -> Response {
        let (kind, title) = self.kind();
        let status = self.status();
        let body = serde_json::json!({
            "type": format!("/problems/{kind}"),
            "title": title,
            "status": status.as_u16(),
        });
        let body = Full::new(Bytes::from(body.to_string()));
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
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
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
}
