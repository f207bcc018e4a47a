//! Errors of the API: `application/problem+json` (RFC 9457), each with a stable `type`.

use crate::db::DbError;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

/// An error as the client sees it.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    slug: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What is wrong with one field of the input.
#[derive(Clone, Debug, Serialize)]
pub struct FieldError {
    /// Its path: `lines[0].quantity`.
    pub field: String,
    /// What it must be.
    pub detail: String,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    /// Any problem: `slug` is the last segment of its `type`, `detail` a sentence for the client.
    pub fn new(status: StatusCode, slug: &'static str, detail: impl Into<String>) -> Problem {
        Problem {
            status,
            slug,
            detail: detail.into(),
            errors: vec![],
            headers: vec![],
        }
    }

    /// 404: nothing there, or nothing that this caller may know of.
    pub fn not_found(what: &str) -> Problem {
        Problem::new(
            StatusCode::NOT_FOUND,
            "not-found",
            format!("No such {what}"),
        )
    }

    /// 403: known, but not allowed.
    pub fn forbidden() -> Problem {
        Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "This account may not do that",
        )
    }

    /// 409: not in this state.
    pub fn conflict(slug: &'static str, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::CONFLICT, slug, detail)
    }

    /// 422: understood, but one field can't be.
    pub fn field(field: impl Into<String>, detail: impl ToString) -> Problem {
        Problem::fields(vec![FieldError {
            field: field.into(),
            detail: detail.to_string(),
        }])
    }

    /// 422: understood, but these fields can't be.
    pub fn fields(errors: Vec<FieldError>) -> Problem {
        let detail = errors.first().map_or_else(String::new, |error| {
            format!("{}: {}", error.field, error.detail)
        });
        Problem {
            errors,
            ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-input", detail)
        }
    }

    /// 503: try again in a second. `log` is for the log, not for the client.
    pub fn unavailable(log: impl AsRef<str>) -> Problem {
        log!("unavailable: {}", log.as_ref());
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Try again in a moment",
        )
        .with(RETRY_AFTER, "1")
    }

    /// 503, until an operator corrects the installation. `log` is for the log, not for the client.
    pub fn misconfigured(log: impl AsRef<str>) -> Problem {
        Problem::unavailable(log).retry_after(60)
    }

    /// 500: a defect. `log` is for the log, not for the client.
    pub fn internal(log: impl AsRef<str>) -> Problem {
        log!("internal error: {}", log.as_ref());
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong here",
        )
    }

    /// The status that it is answered with.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// With the challenge that a 401 owes (RFC 9110 §11.6.1).
    pub fn challenge(self, challenge: &'static str) -> Problem {
        self.with(WWW_AUTHENTICATE, challenge)
    }

    /// With the methods that a 405 owes.
    pub fn allow(mut self, methods: &str) -> Problem {
        let value = HeaderValue::from_str(methods).ok();
        self.headers.extend(value.map(|methods| (ALLOW, methods)));
        self
    }

    /// With the seconds after which the same may succeed (RFC 9110 §10.2.3).
    pub fn retry_after(mut self, seconds: u64) -> Problem {
        self.headers.retain(|(name, _)| name != RETRY_AFTER);
        self.headers.push((RETRY_AFTER, HeaderValue::from(seconds)));
        self
    }

    /// With another header field.
    pub fn with(mut self, name: HeaderName, value: &'static str) -> Problem {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Problem {
        match error {
            DbError::Busy(reason) => Problem::unavailable(format!("database busy: {reason}")),
            other => Problem::internal(other.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: format!("/problems/{}", self.slug),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
        };
        let body = serde_json::to_string(&body).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.extend(self.headers);
        response
    }
}
