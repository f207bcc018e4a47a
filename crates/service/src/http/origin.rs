//! Origins (RFC 6454): decides whether a page is the shop's own, under whatever name the client
//! reached the shop.

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri};
use std::fmt;

/// The fields in which a trusted proxy reports the host and scheme of the client's request.
const FORWARDED_HOST: &str = "x-forwarded-host";
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Scheme, host and port in one spelling: lower case, no default port. So two origins are the same when they are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    /// Reads `scheme://host[:port]`, as a browser writes it in `Origin`. None for anything else, `null` included.
    pub fn parse(text: &str) -> Option<Origin> {
        let (scheme, authority) = text.split_once("://")?;
        Origin::new(scheme, authority)
    }

    fn new(scheme: &str, authority: &str) -> Option<Origin> {
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
            return None;
        }
        // No user, no path: `http` reads them as parts of what follows the scheme.
        if authority.contains(['@', '/', '?', '#', '\\']) {
            return None;
        }
        let authority: Authority = authority.parse().ok()?;
        let scheme = scheme.to_ascii_lowercase();
        let host = authority.host().to_ascii_lowercase();
        let port = match authority.as_str()[host.len()..].strip_prefix(':') {
            None | Some("") => None,
            Some(port) => Some(port.parse().ok()?),
        };
        let is_default = |port: &u16| match scheme.as_str() {
            "http" => *port == 80,
            "https" => *port == 443,
            _ => false,
        };
        Some(Origin {
            port: port.filter(|port| !is_default(port)),
            scheme,
            host,
        })
    }

    /// The origin of a URL.
    pub fn of_url(url: &str) -> Option<Origin> {
        let uri: Uri = url.parse().ok()?;
        Origin::new(uri.scheme_str()?, uri.authority()?.as_str())
    }

    /// Whether pages of this origin come over TLS.
    pub fn is_secure(&self) -> bool {
        self.scheme == "https"
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Whether a page of `origin` sent this request to its own origin.
///
/// The host is the one that the client named: a browser lets no page choose it. Only a trusted
/// proxy (`from_proxy`) may report which host and scheme the client used. Without such a report,
/// `https` is accepted as well if `shop`, the shop's configured origin, has it: something in front
/// then terminates TLS. Under the shop's own name, only its own scheme is accepted.
pub(super) fn is_same(
    origin: &Origin,
    uri: &Uri,
    headers: &HeaderMap,
    from_proxy: bool,
    shop: Option<&Origin>,
) -> bool {
    let said = |name: &str| last(headers, name).filter(|_| from_proxy);
    let connected = || {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        uri.authority().map(Authority::as_str).or(host)
    };
    let Some(authority) = said(FORWARDED_HOST).or_else(connected) else {
        return false;
    };
    let by = |scheme: &str| Origin::new(scheme, authority);
    if let Some(scheme) = said(FORWARDED_PROTO) {
        return by(scheme).as_ref() == Some(origin);
    }
    if shop.is_some_and(Origin::is_secure) {
        let secure = by("https");
        if secure.as_ref() == Some(origin) {
            return true;
        }
        if secure.as_ref() == shop {
            return false;
        }
    }
    by(uri.scheme_str().unwrap_or("http")).as_ref() == Some(origin)
}

/// The last element of a list to which each proxy adds: the report of the nearest one.
fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let line = headers.get_all(name).iter().next_back();
    let line = line.map(HeaderValue::to_str)?.ok()?;
    line.rsplit(',').next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn an_origin_has_one_spelling() {
        for (text, spelling) in [
            ("http://localhost:3000", "http://localhost:3000"),
            ("HTTP://LocalHost:3000", "http://localhost:3000"),
            ("http://shop:80", "http://shop"),
            ("http://shop:", "http://shop"),
            ("https://shop:443", "https://shop"),
            ("https://shop:80", "https://shop:80"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("http://[::1]", "http://[::1]"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            assert_eq!(origin(text).to_string(), spelling);
        }
        for none in [
            "null",
            "",
            "shop",
            "://shop",
            "http://",
            "http://shop/",
            "http://shop/path",
            "http://me@shop",
            "http://shop?x",
            "http://shop:port",
            "http://shop:99999",
            "http://a http://b",
            "http://a, http://b",
        ] {
            assert_eq!(Origin::parse(none), None, "{none}");
        }
        let of_url = Origin::of_url("https://Shop.example:443/path?x").expect("an origin");
        assert_eq!(of_url.to_string(), "https://shop.example");
    }

    /// Whether it is the same origin; `from` is the page, `to` the request's address as the guest sees it.
    fn same(from: &str, to: &str, said: &[(&'static str, &str)], shop: &str) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in said {
            headers.append(*name, value.parse().expect("a value"));
        }
        let uri = to.parse().expect("a URI");
        // Some cases come from a proxy, and say so.
        let from_proxy = headers.remove("trusted").is_some();
        let shop = Origin::parse(shop);
        is_same(&origin(from), &uri, &headers, from_proxy, shop.as_ref())
    }

    #[test]
    fn the_name_that_the_client_used_is_the_shop() {
        for (from, to) in [
            ("http://localhost:3000", "http://localhost:3000/api"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000/api"),
            ("http://[::1]:3000", "http://[::1]:3000/api"),
            ("http://shop", "http://shop:80/api"),
            ("http://shop:80", "http://shop/api"),
            ("http://shop", "http://SHOP/api"),
            ("https://shop", "https://shop:443/api"),
        ] {
            assert!(same(from, to, &[], "http://127.0.0.1:3000"), "{from} {to}");
        }
        for (from, to) in [
            ("http://evil.example", "http://localhost:3000/api"),
            ("http://localhost:3001", "http://localhost:3000/api"),
            ("http://localhost", "http://localhost:3000/api"),
            ("https://localhost:3000", "http://localhost:3000/api"),
            ("http://localhost:3000", "https://localhost:3000/api"),
            ("http://localhost:3000", "http://127.0.0.1:3000/api"),
            ("http://localhost.:3000", "http://localhost:3000/api"),
            ("https://shop:80", "http://shop/api"),
            ("http://localhost:3000", "/api"),
        ] {
            assert!(!same(from, to, &[], "http://127.0.0.1:3000"), "{from} {to}");
        }
    }

    #[test]
    fn the_field_host_counts_where_the_address_names_none() {
        let host = [("host", "localhost:3000")];
        assert!(same("http://localhost:3000", "/api", &host, ""));
        let to = "http://127.0.0.1:3000/api";
        assert!(!same("http://localhost:3000", to, &host, ""));
    }

    #[test]
    fn only_a_trusted_proxy_says_what_the_client_asked_for() {
        let host = ("x-forwarded-host", "shop.example");
        let proto = ("x-forwarded-proto", "https");
        let trusted = ("trusted", "yes");
        let to = "http://10.0.0.1:3000/api";
        let shop = "http://127.0.0.1:3000";
        assert!(same(
            "https://shop.example",
            to,
            &[trusted, host, proto],
            shop
        ));
        assert!(same("http://shop.example", to, &[trusted, host], shop));
        assert!(same("https://10.0.0.1:3000", to, &[trusted, proto], shop));
        for from in ["https://shop.example", "http://shop.example"] {
            assert!(!same(from, to, &[host, proto], shop), "{from}");
        }
        assert!(!same(
            "http://shop.example",
            to,
            &[trusted, host, proto],
            shop
        ));
        assert!(!same("http://10.0.0.1:3000", to, &[trusted, host], shop));
        // The nearest proxy stands last.
        let two = ("x-forwarded-host", "evil.example, shop.example");
        assert!(same("http://shop.example", to, &[trusted, two], shop));
        assert!(!same("http://evil.example", to, &[trusted, two], shop));
    }

    #[test]
    fn tls_that_ends_before_the_host_counts_where_the_shop_is_configured_for_it() {
        let shop = "https://shop.example";
        assert!(same(
            "https://www.shop.example",
            "http://www.shop.example/",
            &[],
            shop
        ));
        assert!(same(
            "http://localhost:3000",
            "http://localhost:3000/",
            &[],
            shop
        ));
        assert!(same(
            "https://shop.example",
            "http://shop.example/",
            &[],
            shop
        ));
        assert!(!same(
            "http://shop.example",
            "http://shop.example/",
            &[],
            shop
        ));
    }
}
