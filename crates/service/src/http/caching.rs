//! What caches may do with an answer: nothing, unless the route says that it is the same for everybody.

use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CACHE_CONTROL, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};

/// An answer that anybody may read: caches may keep it but must check each time that it is current. That holds only
/// for requests without a token, because a caller with a token may see more.
pub struct Public<T>(pub T);

/// The mark of [`Public`] on a response.
#[derive(Clone, Copy)]
struct IsPublic;

impl<T: IntoResponse> IntoResponse for Public<T> {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        response.extensions_mut().insert(IsPublic);
        response
    }
}

/// Whether a request says who sent it.
pub(super) fn shows_token(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION)
}

/// Sets `Cache-Control` where the handler has not. Every route is private unless it answers with [`Public`], and so is
/// every error.
pub(super) fn label(response: &mut Response, token_shown: bool) {
    let is_public = response.extensions().get::<IsPublic>().is_some();
    let is_success = matches!(response.status(), StatusCode::OK | StatusCode::NOT_MODIFIED);
    let headers = response.headers_mut();
    if is_public {
        headers.append(VARY, HeaderValue::from_static("authorization"));
    }
    if !headers.contains_key(CACHE_CONTROL) {
        let value = match is_public && is_success && !token_shown {
            true => "public, no-cache",
            false => "no-store",
        };
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(mut response: Response, token_shown: bool) -> String {
        label(&mut response, token_shown);
        let value = response.headers()[CACHE_CONTROL].to_str().expect("ASCII");
        value.to_owned()
    }

    #[test]
    fn only_what_is_said_to_be_public_may_be_kept() {
        assert_eq!(labelled("mine".into_response(), false), "no-store");
        assert_eq!(labelled("mine".into_response(), true), "no-store");
        let all = || Public("all").into_response();
        assert_eq!(labelled(all(), false), "public, no-cache");
        assert_eq!(labelled(all(), true), "no-store");
        let error = Public(StatusCode::NOT_FOUND).into_response();
        assert_eq!(labelled(error, false), "no-store");
        let own = [(CACHE_CONTROL, "public, max-age=300")].into_response();
        assert_eq!(labelled(own, true), "public, max-age=300");
    }

    #[test]
    fn caches_learn_that_a_token_makes_a_difference() {
        let mut response = Public("all").into_response();
        label(&mut response, false);
        assert_eq!(response.headers()[VARY], "authorization");
    }
}
