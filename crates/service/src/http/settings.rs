//! What an installation says about requests, read once in the life of an instance.

use crate::config;
use http::HeaderValue;
use std::sync::OnceLock;

/// From the variables `rate_limit_per_minute`, `cors_origins` and `issuer`.
pub(super) struct Settings {
    /// For each address and route; none for no limit.
    pub requests_per_minute: Option<u32>,
    /// Origins whose pages may read answers and use cookies: `https://shop.example.com`.
    pub origins: Vec<HeaderValue>,
    /// The shop's own origin.
    pub own_origin: String,
}

static SETTINGS: OnceLock<Settings> = OnceLock::new();

/// Where `rate_limit_per_minute` is no number: a typing error must not open the door.
const REQUESTS_PER_MINUTE: u32 = 600;

impl Settings {
    pub async fn get() -> &'static Settings {
        if let Some(settings) = SETTINGS.get() {
            return settings;
        }
        let limit = config::optional("rate_limit_per_minute").await;
        let origins = config::optional("cors_origins").await;
        let issuer = config::optional("issuer").await;
        let settings = Settings {
            requests_per_minute: limit.as_deref().and_then(limit_of),
            origins: origins.as_deref().map(list).unwrap_or_default(),
            own_origin: issuer.as_deref().map(origin_of).unwrap_or_default(),
        };
        SETTINGS.get_or_init(|| settings)
    }

    /// Whether clients come over TLS.
    pub fn is_secure(&self) -> bool {
        self.own_origin.starts_with("https://")
    }
}

fn limit_of(text: &str) -> Option<u32> {
    let limit = text.trim().parse().unwrap_or_else(|_| {
        log!("rate_limit_per_minute: {text:?} is no number; it is {REQUESTS_PER_MINUTE}");
        REQUESTS_PER_MINUTE
    });
    (limit > 0).then_some(limit)
}

/// `*` is no origin: with cookies a browser would not take it, and everybody is not configured.
fn list(text: &str) -> Vec<HeaderValue> {
    let entries = text.split([',', ' ']).filter(|entry| !entry.is_empty());
    entries
        .filter(|entry| {
            let is_origin = origin_of(entry) == *entry;
            if !is_origin {
                log!("cors_origins: {entry:?} is no origin (scheme://host[:port])");
            }
            is_origin
        })
        .filter_map(|entry| HeaderValue::from_str(entry).ok())
        .collect()
}

/// The origin of a URL (RFC 6454 §4): scheme, host and port as they are written; empty for what is none.
fn origin_of(url: &str) -> String {
    match url.parse::<http::Uri>() {
        Ok(uri) => match (uri.scheme_str(), uri.authority()) {
            (Some(scheme), Some(authority)) => format!("{scheme}://{authority}"),
            _ => String::new(),
        },
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_origin_is_left_out() {
        let origins = "https://a.example, http://localhost:8080 * https://b.example/ null,x";
        assert_eq!(
            list(origins),
            ["https://a.example", "http://localhost:8080"]
        );
    }

    #[test]
    fn a_limit_of_zero_is_none_and_nonsense_is_the_usual_one() {
        assert_eq!(limit_of("10"), Some(10));
        assert_eq!(limit_of("0"), None);
        assert_eq!(limit_of("ten"), Some(600));
        assert_eq!(limit_of("-1"), Some(600));
    }
}
