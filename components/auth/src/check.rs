//! `ANY /auth/check/**` and `/auth/istio/**`: may this request pass? For a proxy that asks before it hands
//! a request on, as Envoy's and Istio's `ext_authz` over HTTP do: same method, the path behind ours, no
//! body. 200 lets it pass, everything else is handed to the client.
//!
//! Only the token counts. Identity fields that the client sent are not looked at, and each of ours is in
//! every 200, empty where there is nothing to say: so the proxy, which puts our fields in place of the
//! client's, leaves none of the client's standing.

use crate::{SERVICE, store};
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use wasmart_service::db::Db;
use wasmart_service::guard::Caller;
use wasmart_service::http::Problem;

/// The method and the path do not matter: every service of the shop knows best what a role may do there.
pub async fn check(caller: Caller) -> Result<Response, Problem> {
    let roles = caller.roles().join(",");
    let (email, username) = names(&caller).await?;
    let fields = [
        ("x-user-id", value(&caller.id)),
        ("x-user-roles", value(&roles)),
        ("x-user-email", value(&email)),
        ("x-user-name", value(&username)),
    ];
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    // An answer that may change with the next logout, and must not become a 304.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(fields.map(|(name, value)| (http::HeaderName::from_static(name), value)));
    Ok(response)
}

/// The account's email and username. Our own tokens contain them. The names in another issuer's token are never passed
/// on: they may be those of a different person here.
async fn names(caller: &Caller) -> Result<(String, String), Problem> {
    let said = (caller.email.clone(), caller.username.clone());
    let (email, username) = match said {
        (None, None) => {
            let account = store::by_id(&Db::open(&SERVICE).await?, &caller.id).await?;
            account.map_or((None, None), |account| (account.email, account.username))
        }
        said => said,
    };
    Ok((email.unwrap_or_default(), username.unwrap_or_default()))
}

/// Names may be in any script, header fields are ASCII (RFC 9110 §5.5): what is not is percent-encoded.
fn value(text: &str) -> HeaderValue {
    let mut ascii = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => ascii.push(char::from(byte)),
            _ => ascii.push_str(&format!("%{byte:02X}")),
        }
    }
    HeaderValue::try_from(ascii).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn a_name_in_any_script_fits_a_header_field() {
        for (text, field) in [
            ("ann@example.com", "ann@example.com"),
            ("аня", "%D0%B0%D0%BD%D1%8F"),
            (
                "a%2C\r\nx-user-roles: admin",
                "a%252C%0D%0Ax-user-roles: admin",
            ),
            ("", ""),
        ] {
            assert_eq!(value(text), field);
        }
    }
}
