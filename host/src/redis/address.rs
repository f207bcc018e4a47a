//! The part of a Redis address that may be shown: where it leads, not who logs in there.

use url::Url;

/// An address for logs and errors, without user, password and query.
pub(crate) fn for_log(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else {
        // It may hold a password all the same.
        return "an address that is not a URL".to_owned();
    };
    url.set_query(None);
    url.set_fragment(None);
    if url.username().is_empty() && url.password().is_none() {
        return url.into();
    }
    let host = url.host_str().unwrap_or_default();
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    format!("{}://…@{host}{port}{}", url.scheme(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_learns_a_password_from_the_log() {
        for (address, shown) in [
            ("redis://h", "redis://h"),
            ("redis://127.0.0.1:6379#stock", "redis://127.0.0.1:6379"),
            ("redis://:pw@h:1/2", "redis://…@h:1/2"),
            (
                "rediss://user:pw@h/0?protocol=resp3#stock",
                "rediss://…@h/0",
            ),
            ("rediss://user@[::1]:7", "rediss://…@[::1]:7"),
            (
                "redis+unix:///run/redis?user=u&pass=pw",
                "redis+unix:///run/redis",
            ),
            ("redis://u:p w@h:port", "an address that is not a URL"),
            (":pw@h:1", "an address that is not a URL"),
        ] {
            assert_eq!(for_log(address), shown, "{address}");
        }
    }
}
