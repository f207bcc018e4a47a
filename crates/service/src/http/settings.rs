//! What an installation says about requests, read once in the life of an instance.

use super::origin::Origin;
use crate::config;
use http::HeaderValue;
use std::sync::OnceLock;

/// From the variables `rate_limit_per_minute`, `cors_origins` and `issuer`.
pub(super) struct Settings {
    /// For each address and route; none for no limit.
    pub requests_per_minute: Option<u32>,
    /// Origins whose pages may read answers and use cookies: `https://shop.example.com`.
    pub origins: Vec<Origin>,
    /// The shop's own origin; `None` if the issuer is not a URL.
    pub own_origin: Option<Origin>,
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
            own_origin: issuer.as_deref().and_then(Origin::of_url),
        };
        SETTINGS.get_or_init(|| settings)
    }

    /// Whether clients come over TLS.
    pub fn is_secure(&self) -> bool {
        self.own_origin.as_ref().is_some_and(Origin::is_secure)
    }

    /// `origins`, as a browser writes them.
    pub fn cors_origins(&self) -> Vec<HeaderValue> {
        let written = self.origins.iter().map(Origin::to_string);
        written
            .filter_map(|origin| HeaderValue::try_from(origin).ok())
            .collect()
    }
}

fn limit_of(text: &str) -> Option<u32> {
    let limit = text.trim().parse().unwrap_or_else(|_| {
        log!("rate_limit_per_minute: {text:?} is not a number; using {REQUESTS_PER_MINUTE}");
        REQUESTS_PER_MINUTE
    });
    (limit > 0).then_some(limit)
}

/// `*` is no origin: with cookies a browser would not take it, and everybody is not configured.
fn list(text: &str) -> Vec<Origin> {
    let entries = text.split([',', ' ']).filter(|entry| !entry.is_empty());
    entries
        .filter_map(|entry| {
            let origin = Origin::parse(entry);
            if origin.is_none() {
                log!("cors_origins: {entry:?} is not an origin (scheme://host[:port])");
            }
            origin
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_origin_is_left_out() {
        let origins = "https://a.example, http://localhost:8080 * https://b.example/ null,x";
        let written: Vec<String> = list(origins).iter().map(Origin::to_string).collect();
        assert_eq!(written, ["https://a.example", "http://localhost:8080"]);
    }

    #[test]
    fn a_limit_of_zero_is_none_and_nonsense_is_the_usual_one() {
        assert_eq!(limit_of("10"), Some(10));
        assert_eq!(limit_of("0"), None);
        assert_eq!(limit_of("ten"), Some(600));
        assert_eq!(limit_of("-1"), Some(600));
    }
}
