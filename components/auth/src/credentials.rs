//! What a client shows to stay logged in or to log out: a refresh token, in the body or the cookie.

use axum::body::Body;
use axum::extract::FromRequest;
use http::header::COOKIE;
use http::header::GetAll;
use http::{HeaderValue, Request};
use serde::Deserialize;
use wasmart_service::http::{OptionalInput, Problem, same_site_only};

/// The refresh token of a request, where it has one. The body wins over the cookie.
pub struct RefreshToken(pub Option<String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    refresh_token: Option<String>,
}

impl<S: Sync> FromRequest<S> for RefreshToken {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, state: &S) -> Result<RefreshToken, Problem> {
        let cookie = cookie(request.headers().get_all(COOKIE), "refresh_token");
        let own = same_site_only(request.uri(), request.headers()).await;
        let OptionalInput(given) = OptionalInput::<Given>::from_request(request, state).await?;
        let given = given.and_then(|given| given.refresh_token);
        if given.is_none() && cookie.is_some() {
            own?;
        }
        Ok(RefreshToken(given.or(cookie)))
    }
}

/// A cookie that has a value, among the `Cookie` fields of a request.
pub fn cookie(fields: GetAll<'_, HeaderValue>, name: &str) -> Option<String> {
    fields
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        assert_eq!(cookie(headers.get_all(COOKIE), "refresh_token"), None);
        headers.append(
            COOKIE,
            HeaderValue::from_static("a=b; xrefresh_token=no; refresh_token="),
        );
        assert_eq!(cookie(headers.get_all(COOKIE), "refresh_token"), None);
        headers.append(
            COOKIE,
            HeaderValue::from_static("c; refresh_token=yes=; d=e"),
        );
        assert_eq!(
            cookie(headers.get_all(COOKIE), "refresh_token").as_deref(),
            Some("yes=")
        );
    }
}
