//! What protects people who use the shop from a browser: which origins may read answers (the Fetch
//! standard's CORS), what an answer may be used for, and whether a cookie came with a request of our own.

use super::origin::{Origin, is_same};
use super::settings::Settings;
use super::{Client, Problem};
use http::header::{
    AUTHORIZATION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION,
    ORIGIN, REFERRER_POLICY, RETRY_AFTER, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use std::time::Duration;
use tower_http::cors::CorsLayer;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// How long a browser may keep what it was told about an origin.
const PREFLIGHT_KEPT: Duration = Duration::from_secs(600);

/// Answers preflights, and lets the configured origins read answers; none where no origin is configured.
pub(super) fn cors(settings: &Settings) -> Option<CorsLayer> {
    if settings.origins.is_empty() {
        return None;
    }
    Some(
        CorsLayer::new()
            .allow_origin(settings.cors_origins())
            .allow_credentials(true)
            .allow_methods([
                Method::GET,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
            ])
            .allow_headers([
                AUTHORIZATION,
                CONTENT_TYPE,
                IDEMPOTENCY_KEY,
                IF_MATCH,
                IF_NONE_MATCH,
            ])
            .expose_headers([
                AUTHORIZATION,
                ETAG,
                LOCATION,
                RETRY_AFTER,
                HeaderName::from_static("ratelimit"),
                HeaderName::from_static("ratelimit-policy"),
            ])
            .max_age(PREFLIGHT_KEPT),
    )
}

/// Says that an answer is data and nothing else: it runs nothing, is shown in no frame, no other site may
/// embed it, and none is told the address it came from, which may hold a code (OWASP's REST Security Cheat Sheet).
pub(super) fn harden(headers: &mut HeaderMap, settings: &Settings) {
    let mut set = |name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    );
    set(REFERRER_POLICY, "no-referrer");
    set(RESOURCE_POLICY, "same-origin");
    if settings.is_secure() {
        set(STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}

/// Refuses (403) a request whose cookie another site had sent along. For requests that a cookie alone decides; a
/// token in a field of its own is nothing that a browser adds by itself. What is no browser says neither `Origin`
/// nor `Sec-Fetch-Site`.
pub async fn same_site_only(uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let settings = Settings::get().await;
    let from_proxy = Client::is_proxy(headers).await;
    if is_own(uri, headers, from_proxy, settings) {
        Ok(())
    } else {
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "cross-site-request",
            "This cookie works for pages of the shop only",
        ))
    }
}

fn is_own(uri: &Uri, headers: &HeaderMap, from_proxy: bool, settings: &Settings) -> bool {
    let site = headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return matches!(site, None | Some(b"same-origin" | b"none"));
    };
    let origin = origin.to_str().ok().and_then(Origin::parse);
    // A browser sends one, and never a list.
    let Some(origin) = origin.filter(|_| origins.next().is_none()) else {
        return false;
    };
    let shop = settings.own_origin.as_ref();
    if shop == Some(&origin) || settings.origins.contains(&origin) {
        return true;
    }
    // Any name under which the shop was reached is its own, too.
    matches!(site, None | Some(b"same-origin")) && is_same(&origin, uri, headers, from_proxy, shop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_shop_bring_its_cookie() {
        let origin = |text: &str| Origin::parse(text).expect("an origin");
        let settings = Settings {
            requests_per_minute: None,
            origins: vec![origin("https://app.example")],
            own_origin: Some(origin("https://shop.example")),
        };
        let uri = Uri::from_static("http://10.0.0.1:3000/api/v1/auth/refresh");
        let own = |fields: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            is_own(&uri, &headers, false, &settings)
        };
        for fields in [
            &[][..],
            &[("origin", "https://shop.example")],
            &[("origin", "HTTPS://SHOP.example:443")],
            &[
                ("origin", "https://app.example"),
                ("sec-fetch-site", "same-site"),
            ],
            &[("origin", "http://10.0.0.1:3000")],
            &[
                ("origin", "http://10.0.0.1:3000"),
                ("sec-fetch-site", "same-origin"),
            ],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
        ] {
            assert!(own(fields), "{fields:?}");
        }
        for fields in [
            &[("origin", "https://evil.example")][..],
            &[("origin", "null")],
            &[("origin", "")],
            &[("origin", "https://shop.example.evil.example")],
            &[("origin", "http://shop.example")],
            &[("origin", "10.0.0.1:3000")],
            &[("origin", "http://10.0.0.1")],
            &[
                ("origin", "http://10.0.0.1:3000"),
                ("sec-fetch-site", "cross-site"),
            ],
            &[
                ("origin", "http://10.0.0.1:3000"),
                ("origin", "https://evil.example"),
            ],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
        ] {
            assert!(!own(fields), "{fields:?}");
        }
    }
}
