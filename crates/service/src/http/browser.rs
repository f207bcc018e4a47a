//! What protects people who use the shop from a browser: which origins may read answers (the Fetch
//! standard's CORS), what an answer may be used for, and whether a cookie came with a request of our own.

use super::Problem;
use super::settings::Settings;
use http::header::{
    AUTHORIZATION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, LOCATION,
    ORIGIN, REFERRER_POLICY, RETRY_AFTER, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
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
            .allow_origin(settings.origins.clone())
            .allow_credentials(true)
            .allow_methods([
                Method::GET,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
            ])
            .allow_headers([AUTHORIZATION, CONTENT_TYPE, IDEMPOTENCY_KEY, IF_NONE_MATCH])
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
pub async fn same_site_only(headers: &HeaderMap) -> Result<(), Problem> {
    let settings = Settings::get().await;
    if is_own(headers, &settings.own_origin, &settings.origins) {
        Ok(())
    } else {
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "cross-site-request",
            "This cookie works for pages of the shop only",
        ))
    }
}

fn is_own(headers: &HeaderMap, own_origin: &str, origins: &[HeaderValue]) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        let site = headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
        return matches!(site, None | Some(b"same-origin" | b"none"));
    };
    // Whatever name the shop is reached by is its own, too: a browser lets no page choose `Host`.
    let is_host = || {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let after = |scheme: &str| origin.as_bytes().strip_prefix(scheme.as_bytes());
        let named = after("https://").or_else(|| after("http://"));
        host.is_some() && named == host.map(str::as_bytes)
    };
    origins.contains(origin) || origin.as_bytes() == own_origin.as_bytes() || is_host()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_shop_bring_its_cookie() {
        let origins = [HeaderValue::from_static("https://app.example")];
        let own = |fields: &[(&'static str, &'static str)]| {
            let fields = fields.iter().map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            });
            is_own(&fields.collect(), "https://shop.example", &origins)
        };
        let host = ("host", "10.0.0.1:3000");
        for fields in [
            &[][..],
            &[("origin", "https://shop.example")],
            &[
                ("origin", "https://app.example"),
                ("sec-fetch-site", "same-site"),
            ],
            &[("origin", "http://10.0.0.1:3000"), host],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
        ] {
            assert!(own(fields), "{fields:?}");
        }
        for fields in [
            &[("origin", "https://evil.example")][..],
            &[("origin", "null")],
            &[("origin", "https://shop.example.evil.example")],
            &[("origin", "http://shop.example")],
            &[("origin", "10.0.0.1:3000"), host],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
        ] {
            assert!(!own(fields), "{fields:?}");
        }
    }
}
