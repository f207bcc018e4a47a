//! The refresh token with which a client stays logged in or logs out, in the body or the cookie.
//! Two that differ are refused before either has any effect: a sibling domain can plant a cookie,
//! and the order of cookies does not tell who set them.

use axum::body::Body;
use axum::extract::FromRequest;
use http::header::COOKIE;
use http::header::GetAll;
use http::{HeaderValue, Request, StatusCode};
use serde::Deserialize;
use wasmart_service::http::{OptionalInput, Problem, same_site_only};

/// The refresh token of a request, where it has one.
pub struct RefreshToken(pub Option<String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    refresh_token: Option<String>,
}

impl<S: Sync> FromRequest<S> for RefreshToken {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, state: &S) -> Result<RefreshToken, Problem> {
        let cookie =
            cookie(request.headers().get_all(COOKIE), "refresh_token").map_err(ambiguous)?;
        let own = same_site_only(request.uri(), request.headers()).await;
        let OptionalInput(given) = OptionalInput::<Given>::from_request(request, state).await?;
        let given = given.and_then(|given| given.refresh_token);
        if given.is_none() && cookie.is_some() {
            own?;
        }
        match (given, cookie) {
            (Some(given), Some(cookie)) if given != cookie => Err(ambiguous(Twice)),
            (given, cookie) => Ok(RefreshToken(given.or(cookie))),
        }
    }
}

/// There are several cookies of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Twice;

fn ambiguous(_: Twice) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "ambiguous-refresh-token",
        "There is more than one refresh token; send one",
    )
}

/// A cookie that has a value, among the `Cookie` fields of a request.
///
/// # Errors
/// [`Twice`] if several have one.
pub fn cookie(fields: GetAll<'_, HeaderValue>, name: &str) -> Result<Option<String>, Twice> {
    let mut found = fields
        .iter()
        .filter_map(|value| std::str::from_utf8(value.as_bytes()).ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .filter(|(key, value)| key.trim() == name && !value.is_empty())
        .map(|(_, value)| value.to_owned());
    let first = found.next();
    match found.next() {
        Some(_) => Err(Twice),
        None => Ok(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn found(fields: &[&'static str]) -> Result<Option<String>, Twice> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(COOKIE, HeaderValue::from_static(field));
        }
        cookie(headers.get_all(COOKIE), "refresh_token")
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        assert_eq!(found(&[]), Ok(None));
        let others = "a=b; xrefresh_token=no; refresh_token=";
        assert_eq!(found(&[others]), Ok(None));
        let yes = Ok(Some("yes=".to_owned()));
        assert_eq!(found(&[others, "c; refresh_token=yes=; d=e"]), yes);
    }

    #[test]
    fn two_cookies_of_one_name_are_refused_wherever_they_stand() {
        for fields in [
            &["refresh_token=a; refresh_token=b"][..],
            &["refresh_token=a", "refresh_token=b"],
            &["refresh_token=a; c=d;refresh_token=a"],
            &["refresh_token=a; refresh_token =b"],
        ] {
            assert_eq!(found(fields), Err(Twice), "{fields:?}");
        }
    }
}
