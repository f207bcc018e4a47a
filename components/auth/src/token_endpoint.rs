//! `POST /auth/token`: the OAuth 2.0 token endpoint (RFC 6749 §4.3 and §6) for clients that speak
//! nothing else. The client is public: it has no secret, and one that is sent is refused
//! (`client_authentication`).

use crate::authenticate::authenticate;
use crate::client_authentication::{self, Fault};
use crate::session::Session;
use crate::{login, refresh};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, PRAGMA, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, StatusCode};
use serde_json::json;
use std::collections::HashMap;
use wasmart_service::http::{Client, Problem, media_type, read_body};

const FORM: &str = "application/x-www-form-urlencoded";

/// The parameters that this endpoint reads; others are passed over (RFC 6749 §3.2).
const KNOWN: [&str; 9] = [
    "grant_type",
    "username",
    "password",
    "refresh_token",
    "scope",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
];

/// Why there is no token.
enum Refusal {
    /// As RFC 6749 §5.2 says it.
    Error(&'static str, &'static str),
    /// What OAuth has no word for: too much, too often, out of order.
    Problem(Problem),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        match fault {
            Fault::NoSecretHere => Refusal::Error(
                "invalid_client",
                "this client is public: it has no secret to show",
            ),
            Fault::Ambiguous(description) => invalid_request(description),
        }
    }
}

impl From<Problem> for Refusal {
    /// 401 means that what the client showed is not good: a password, a refresh token.
    fn from(problem: Problem) -> Refusal {
        if problem.status() == StatusCode::UNAUTHORIZED {
            Refusal::Error("invalid_grant", "what was shown is not valid, or no longer")
        } else {
            Refusal::Problem(problem)
        }
    }
}

pub async fn token(client: Client, request: Request<Body>) -> Response {
    let mut response = match grant(client, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    // Such a client keeps its tokens itself; a cookie would only be a second copy.
    headers.remove(SET_COOKIE);
    response
}

async fn grant(client: Client, request: Request<Body>) -> Result<Response, Refusal> {
    let headers = request.headers().clone();
    if media_type(&headers).as_deref() != Some(FORM) {
        return Err(invalid_request("send application/x-www-form-urlencoded"));
    }
    let given = parameters(&read_body(request).await?)?;
    let parameter = |name: &str| given.get(name).map(String::as_str);
    client_authentication::check(&headers, &parameter)?;
    if given.contains_key("scope") {
        return Err(Refusal::Error("invalid_scope", "there are no scopes here"));
    }
    let password = || -> Result<(&str, &str), Refusal> {
        parameter("username")
            .zip(parameter("password"))
            .ok_or_else(|| invalid_request("username and password are needed"))
    };
    let session = match parameter("grant_type") {
        Some("password") => log_in(password()?, client).await?,
        Some("refresh_token") => {
            let token = parameter("refresh_token");
            let token = token.ok_or_else(|| invalid_request("refresh_token is needed"))?;
            refresh::renew(token, client).await?
        }
        // Clients of seed 4 send no more than the two.
        None if given.contains_key("username") => log_in(password()?, client).await?,
        None => return Err(invalid_request("grant_type is needed")),
        Some(_) => {
            return Err(Refusal::Error(
                "unsupported_grant_type",
                "password and refresh_token are served here",
            ));
        }
    };
    Ok(session.answer(StatusCode::OK)?)
}

async fn log_in((username, password): (&str, &str), client: Client) -> Result<Session, Problem> {
    login::open_session(authenticate(username, password, client).await?).await
}

/// One that is empty counts as left out, one that comes twice is refused (RFC 6749 §3.2).
fn parameters(body: &[u8]) -> Result<HashMap<String, String>, Refusal> {
    if std::str::from_utf8(body).is_err() {
        return Err(invalid_request("the form is not UTF-8"));
    }
    let mut given = HashMap::new();
    let known = |(name, _): &(_, _)| KNOWN.contains(&<_ as AsRef<str>>::as_ref(name));
    for (name, value) in form_urlencoded::parse(body).filter(known) {
        if given
            .insert(name.into_owned(), value.into_owned())
            .is_some()
        {
            return Err(invalid_request("a parameter comes twice"));
        }
    }
    given.retain(|_, value| !value.is_empty());
    Ok(given)
}

fn invalid_request(description: &'static str) -> Refusal {
    Refusal::Error("invalid_request", description)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (code, description) = match self {
            Refusal::Problem(problem) => return problem.into_response(),
            Refusal::Error(code, description) => (code, description),
        };
        let body = json!({"error": code, "error_description": description});
        let status = if code == "invalid_client" {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::BAD_REQUEST
        };
        let mut response = (status, axum::Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let basic = HeaderValue::from_static("Basic realm=\"wasmart\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, basic);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8]) -> Option<HashMap<String, String>> {
        parameters(body).ok()
    }

    #[test]
    fn parameters_are_decoded_and_come_once() {
        let given =
            read(b"username=a%40b.c&password=x+y%26&other=1&other=2&scope=").expect("a form");
        assert_eq!(given["username"], "a@b.c");
        assert_eq!(given["password"], "x y&");
        assert_eq!(given.len(), 2);
        for twice in [
            &b"password=a&password=a"[..],
            b"grant_type=password&grant_type=",
            b"user%6eame=a&username=b",
            b"\xff\xfe=1",
        ] {
            assert!(read(twice).is_none(), "{twice:?}");
        }
    }
}
