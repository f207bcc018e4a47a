//! Header fields that the host adds for a component, as Spin does, and those it takes away.

use std::net::SocketAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, Scheme, Uri};

use super::routes::Match;
use crate::allowed_hosts::INTERNAL_SUFFIX;

/// Every field that begins so comes from the host; a client's are dropped.
const OURS: &str = "spin-";

/// Takes away what a client may not say, and what only concerned its connection.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let internal = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .is_some_and(|host| {
            host.split(':')
                .next()
                .unwrap_or(host)
                .ends_with(INTERNAL_SUFFIX)
        });
    if internal {
        headers.remove(header::HOST);
    }
    headers.remove(header::CONNECTION);
    let forged: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(OURS))
        .cloned()
        .collect();
    for name in forged {
        headers.remove(name);
    }
}

/// Makes the URI absolute: an HTTP/1.1 client names the host in a header, an HTTP/2 client in the URI.
/// `None` when it names none, or two different ones.
pub(crate) fn absolute_uri(uri: &Uri, headers: &HeaderMap) -> Option<Uri> {
    let named = match headers.get(header::HOST) {
        Some(host) => Some(host.to_str().ok()?.parse::<Authority>().ok()?),
        None => None,
    };
    let authority = match (uri.authority(), named) {
        (Some(own), Some(named)) if *own != named => return None,
        (Some(own), _) => own.clone(),
        (None, Some(named)) => named,
        (None, None) => return None,
    };
    let mut parts = uri.clone().into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    Uri::from_parts(parts).ok()
}

/// What matched, for the component to know.
pub(crate) struct Matched<'a> {
    pub route: &'a str,
    pub prefix: &'a str,
    pub rest: &'a str,
    pub segments: &'a [(String, String)],
}

impl<'a> From<&'a Match<'a>> for Matched<'a> {
    fn from(found: &'a Match<'a>) -> Self {
        Self {
            route: &found.route.raw,
            prefix: &found.route.prefix,
            rest: &found.rest,
            segments: &found.segments,
        }
    }
}

impl<'a> Matched<'a> {
    /// For a call that names the component itself instead of a route.
    pub fn whole_path(path: &'a str) -> Self {
        Self {
            route: "/...",
            prefix: "/",
            rest: path,
            segments: &[],
        }
    }
}

/// Adds the fields. Values that cannot be a header field's are left out, as in Spin.
pub(crate) fn describe(
    headers: &mut HeaderMap,
    uri: &Uri,
    matched: &Matched<'_>,
    client: SocketAddr,
) {
    let mut put = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    put(HeaderName::from_static("spin-path-info"), matched.rest);
    put(HeaderName::from_static("spin-full-url"), &uri.to_string());
    put(HeaderName::from_static("spin-matched-route"), matched.route);
    put(HeaderName::from_static("spin-base-path"), "/");
    put(
        HeaderName::from_static("spin-raw-component-route"),
        matched.route,
    );
    put(
        HeaderName::from_static("spin-component-route"),
        matched.prefix,
    );
    put(
        HeaderName::from_static("spin-client-addr"),
        &client.to_string(),
    );
    for (name, value) in matched.segments {
        let name = format!(
            "spin-path-match-{}",
            name.replace('_', "-").to_ascii_lowercase()
        );
        if let Ok(name) = name.parse() {
            put(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v)))
            .collect()
    }

    #[test]
    fn a_client_cannot_speak_for_the_host() {
        let mut map = headers(&[
            ("spin-client-addr", "1.2.3.4:5"),
            ("spin-path-match-id", "7"),
            ("connection", "close"),
            ("host", "a.spin.internal:80"),
            ("accept", "x"),
        ]);
        strip(&mut map);
        assert_eq!(map, headers(&[("accept", "x")]));
        let mut map = headers(&[("host", "example.com")]);
        strip(&mut map);
        assert_eq!(map.len(), 1);
    }

    #[test]
    fn the_uri_becomes_absolute() {
        let map = headers(&[("host", "h:1")]);
        assert_eq!(
            absolute_uri(&"/a?b".parse().unwrap(), &map).unwrap(),
            "http://h:1/a?b"
        );
        let own = "http://h:1/a".parse().unwrap();
        assert_eq!(
            absolute_uri(&own, &HeaderMap::new()).unwrap(),
            "http://h:1/a"
        );
        assert_eq!(absolute_uri(&"http://other/a".parse().unwrap(), &map), None);
        assert_eq!(
            absolute_uri(&"/a".parse().unwrap(), &HeaderMap::new()),
            None
        );
    }

    #[test]
    fn a_component_learns_what_matched() {
        let mut map = HeaderMap::new();
        let uri = "http://h/u/7/x?q=1".parse().unwrap();
        let segments = [("user_id".to_owned(), "7".to_owned())];
        let matched = Matched {
            route: "/u/:user_id/...",
            prefix: "/u/:user_id",
            rest: "/x",
            segments: &segments,
        };
        describe(&mut map, &uri, &matched, "127.0.0.1:9".parse().unwrap());
        for (name, value) in [
            ("spin-path-info", "/x"),
            ("spin-full-url", "http://h/u/7/x?q=1"),
            ("spin-matched-route", "/u/:user_id/..."),
            ("spin-component-route", "/u/:user_id"),
            ("spin-client-addr", "127.0.0.1:9"),
            ("spin-path-match-user-id", "7"),
        ] {
            assert_eq!(map[name], value, "{name}");
        }
    }
}
