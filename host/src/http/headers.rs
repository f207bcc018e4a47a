//! Header fields that the host adds for a component, as Spin does, and those it takes away.

use std::net::SocketAddr;

use http::Version;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, Scheme, Uri};

use super::routes::Match;
use crate::allowed_hosts::INTERNAL_SUFFIX;

/// Every field that begins so comes from the host; a client's are dropped.
const OURS: &str = "spin-";

/// Removes fields that a client may not set, and those that only concern its connection. The
/// component learns the host from the URI alone.
pub(crate) fn strip(headers: &mut HeaderMap) {
    headers.remove(header::HOST);
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

/// The request does not name its host, or not clearly.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadHost;

/// The URI with its host. A target in absolute form names the host, whatever the field `Host` says
/// (RFC 9112, section 3.2.2); otherwise `Host` names it. HTTP/1.1 must have that field exactly
/// once. HTTP/1.0 may leave it out; the host is then `own`. In HTTP/2 the two must not differ (RFC
/// 9113, section 8.3.1).
pub(crate) fn absolute_uri<B>(
    request: &http::Request<B>,
    own: impl FnOnce() -> String,
) -> Result<Uri, BadHost> {
    let (uri, version) = (request.uri(), request.version());
    let mut fields = request.headers().get_all(header::HOST).iter();
    let named = match (fields.next(), fields.next()) {
        (_, Some(_)) => return Err(BadHost),
        (Some(host), None) => Some(authority(host.to_str().map_err(|_| BadHost)?)?),
        (None, None) => None,
    };
    let target = match uri.authority() {
        Some(target) => Some(authority(target.as_str())?),
        None => None,
    };
    let authority = match (target, named) {
        (Some(target), Some(named)) if version == Version::HTTP_2 && target != named => {
            return Err(BadHost);
        }
        (Some(target), Some(_)) => target,
        // Without a client there is no such field: a component or the embedder calls the
        // application.
        (Some(target), None) if uri.scheme().is_some() => target,
        (None, Some(named)) => named,
        (None, None) if version < Version::HTTP_11 => own().parse().map_err(|_| BadHost)?,
        _ => return Err(BadHost),
    };
    let mut parts = uri.clone().into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    Uri::from_parts(parts).map_err(|_| BadHost)
}

/// A host with or without a port, as a client may name it: without a user, and not one of the names
/// that only components use.
fn authority(text: &str) -> Result<Authority, BadHost> {
    let authority: Authority = text.parse().map_err(|_| BadHost)?;
    let host = authority.host();
    let is_port = |port: &str| port.is_empty() || port.parse::<u16>().is_ok();
    let port = match text.strip_prefix(host) {
        Some("") => "",
        Some(rest) => rest.strip_prefix(':').ok_or(BadHost)?,
        // A user before the host.
        None => return Err(BadHost),
    };
    let is_internal = host.to_ascii_lowercase().ends_with(INTERNAL_SUFFIX);
    if host.is_empty() || !is_port(port) || is_internal {
        return Err(BadHost);
    }
    Ok(authority)
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
    }

    fn absolute(version: Version, uri: &str, hosts: &[&'static str]) -> Option<String> {
        let mut request = http::Request::new(());
        *request.version_mut() = version;
        *request.uri_mut() = uri.parse().unwrap();
        for host in hosts {
            let host = HeaderValue::from_static(host);
            request.headers_mut().append(header::HOST, host);
        }
        let uri = absolute_uri(&request, || "127.0.0.1:3000".to_owned());
        uri.ok().map(|uri| uri.to_string())
    }

    #[test]
    fn the_uri_becomes_absolute() {
        let (v1_0, v1_1, v2) = (Version::HTTP_10, Version::HTTP_11, Version::HTTP_2);
        for (version, uri, hosts, expected) in [
            (v1_1, "/a?b", &["h:1"][..], "http://h:1/a?b"),
            (v1_1, "/", &["[::1]:80"], "http://[::1]:80/"),
            (v1_1, "http://h/a", &["other"], "http://h/a"),
            (v1_1, "http://h", &["h"], "http://h/"),
            (v1_0, "/a", &["h"], "http://h/a"),
            (v1_0, "/a", &[], "http://127.0.0.1:3000/a"),
            (v1_0, "http://h/a", &["other"], "http://h/a"),
            (v2, "http://h/a", &[], "http://h/a"),
            (v2, "http://h/a", &["h"], "http://h/a"),
            (v2, "/a", &["h"], "http://h/a"),
        ] {
            let found = absolute(version, uri, hosts);
            assert_eq!(
                found.as_deref(),
                Some(expected),
                "{version:?} {uri} {hosts:?}"
            );
        }
    }

    #[test]
    fn a_host_that_is_missing_unclear_or_no_host_is_refused() {
        let (v1_0, v1_1, v2) = (Version::HTTP_10, Version::HTTP_11, Version::HTTP_2);
        for (version, uri, hosts) in [
            (v1_1, "/", &[][..]),
            (v1_1, "/", &["h", "h"]),
            (v1_1, "/", &["h", "other"]),
            (v1_1, "http://h/", &["h", "h"]),
            (v1_0, "/", &["h", "h"]),
            (v2, "http://h/", &["h", "h"]),
            (v2, "http://h/", &["other"]),
            (v2, "/", &[]),
            (v1_1, "h:443", &[]),
        ] {
            assert_eq!(
                absolute(version, uri, hosts),
                None,
                "{version:?} {uri} {hosts:?}"
            );
        }
        for host in [
            "",
            " ",
            ":80",
            "u@h",
            "u:p@h",
            "h/a",
            "h:x",
            "h:65536",
            "h:-1",
            "a b",
            "http://h",
            "h:80:80",
            "auth.spin.internal",
            "AUTH.Spin.Internal:80",
        ] {
            let mut request = http::Request::new(());
            let host = HeaderValue::from_static(host);
            request.headers_mut().insert(header::HOST, host.clone());
            let own = || "h".to_owned();
            assert_eq!(absolute_uri(&request, own), Err(BadHost), "{host:?}");
        }
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
