//! `allowed_outbound_hosts`: which addresses a component may reach, by Spin's rules.

use std::borrow::Cow;

use url::{Host, Url};

/// `component.spin.internal` is the component of that name in this application.
pub(crate) const INTERNAL_SUFFIX: &str = ".spin.internal";

/// The resolved list of one component. Empty allows nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct AllowedHosts(Vec<Rule>);

#[derive(Debug, Clone, PartialEq)]
struct Rule {
    /// `None` is any scheme.
    scheme: Option<String>,
    host: HostRule,
    ports: Ports,
}

#[derive(Debug, Clone, PartialEq)]
enum HostRule {
    Any,
    /// The domain with its leading dot.
    Subdomains(String),
    /// The application itself, addressed by a URL without host or as `self.alt`.
    Own,
    Exactly(Host),
}

#[derive(Debug, Clone, PartialEq)]
enum Ports {
    Any,
    /// First to last; a range's end is exclusive in the manifest.
    Within(u16, u16),
}

impl AllowedHosts {
    /// Reads resolved entries. What an empty variable leaves over (`""`, `http://`) allows nothing.
    pub fn parse(entries: &[String]) -> Result<Self, String> {
        let rules = entries
            .iter()
            .filter(|entry| !matches!(entry.as_str(), "" | "http://" | "https://"))
            .map(|entry| {
                let entry = reachable(entry.trim());
                rule(&entry).map_err(|why| format!("`{entry}` {why}"))
            });
        Ok(Self(rules.collect::<Result<_, _>>()?))
    }

    /// Whether `address` may be reached; `scheme` is assumed when the address has none.
    pub fn allows(&self, address: &str, scheme: &str) -> bool {
        let parsed = Url::parse(address).ok().filter(Url::has_host);
        let Some(url) = parsed.or_else(|| Url::parse(&format!("{scheme}://{address}")).ok()) else {
            return false;
        };
        // For schemes it does not know, `Url` leaves the host unparsed: do it here.
        let Some(host) = url.host_str().and_then(|host| Host::parse(host).ok()) else {
            return false;
        };
        let port = url.port().or_else(|| well_known_port(url.scheme()));
        self.0.iter().any(|rule| {
            rule.allows_scheme(url.scheme()) && rule.allows_host(&host) && rule.allows_port(port)
        })
    }

    /// Whether the component may call its own application over `http` or `https`.
    pub fn allows_own(&self) -> bool {
        self.0.iter().any(|rule| {
            (rule.allows_scheme("http") || rule.allows_scheme("https"))
                && matches!(rule.host, HostRule::Any | HostRule::Own)
        })
    }

    /// Whether some entry leads to other components of the application by name.
    pub fn chains(&self) -> bool {
        self.chained().next().is_some()
            || self.0.iter().any(|rule| match &rule.host {
                HostRule::Subdomains(suffix) => suffix == INTERNAL_SUFFIX,
                _ => false,
            })
    }

    /// The components named by `component.spin.internal` entries.
    pub fn chained(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|rule| match &rule.host {
            HostRule::Exactly(Host::Domain(domain)) => domain.strip_suffix(INTERNAL_SUFFIX),
            _ => None,
        })
    }
}

impl Rule {
    fn allows_scheme(&self, scheme: &str) -> bool {
        self.scheme
            .as_deref()
            .is_none_or(|allowed| allowed == scheme)
    }

    fn allows_host(&self, host: &Host) -> bool {
        match (&self.host, host) {
            (HostRule::Any, _) => true,
            (HostRule::Subdomains(suffix), Host::Domain(domain)) => domain.ends_with(suffix),
            (HostRule::Exactly(allowed), host) => allowed == host,
            (HostRule::Subdomains(_) | HostRule::Own, _) => false,
        }
    }

    fn allows_port(&self, port: Option<u16>) -> bool {
        match (&self.ports, port) {
            (Ports::Any, _) => true,
            (Ports::Within(first, last), Some(port)) => (*first..=*last).contains(&port),
            (Ports::Within(..), None) => false,
        }
    }
}

/// An entry without the parts that an error must not show. Applications grant a Redis address as
/// they connect to it, so it may contain a user, a password and a database (Spin refuses those).
fn reachable(entry: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = entry.split_once("://") else {
        return entry.into();
    };
    let is_redis = matches!(scheme, "redis" | "rediss" | "valkey" | "valkeys");
    // A password may contain characters that would otherwise end an address, so it ends at the last
    // `@`.
    let place = rest.rsplit_once('@').map(|(_, place)| place);
    match (is_redis, place) {
        (false, None) => entry.into(),
        (false, Some(place)) => format!("{scheme}://…@{place}").into(),
        (true, place) => {
            let place = place.unwrap_or(rest);
            let place = place.split(['/', '?', '#']).next().unwrap_or(place);
            format!("{scheme}://{place}").into()
        }
    }
}

fn rule(entry: &str) -> Result<Rule, String> {
    let (scheme, rest) = entry
        .split_once("://")
        .ok_or("needs a scheme, as in \"https://example.com\"")?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = split_port(rest);
    Ok(Rule {
        host: host_rule(host)?,
        ports: ports(port, scheme)?,
        scheme: scheme_rule(scheme)?,
    })
}

/// `[::1]:80`, `host:80` and `host`; the colons inside an IPv6 address are its own.
fn split_port(rest: &str) -> (&str, &str) {
    match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (rest, ""),
    }
}

fn scheme_rule(scheme: &str) -> Result<Option<String>, String> {
    if scheme == "*" {
        return Ok(None);
    }
    if scheme.is_empty() || !scheme.chars().all(char::is_alphabetic) {
        return Err(format!(
            "has the scheme {scheme:?}; only letters or `*` are allowed"
        ));
    }
    Ok(Some(scheme.to_owned()))
}

fn host_rule(host: &str) -> Result<HostRule, String> {
    match host {
        "*" => return Ok(HostRule::Any),
        "self" | "self.alt" => return Ok(HostRule::Own),
        _ => {}
    }
    if host.contains('/') {
        // Spin takes networks in CIDR form too; nobody here needs them yet.
        return Err("must not have a path, and networks are not supported by this host".into());
    }
    let parse = |name: &str| Host::parse(name).map_err(|error| format!("has a bad host: {error}"));
    if let Some(domain) = host
        .strip_prefix("*.")
        .filter(|domain| !domain.contains('*'))
    {
        return match parse(domain)? {
            Host::Domain(domain) => Ok(HostRule::Subdomains(format!(".{domain}"))),
            _ => Err("may use `*.` only before a domain".into()),
        };
    }
    if host.contains('*') {
        return Err("may use `*` only as the whole host or its first label".into());
    }
    Ok(HostRule::Exactly(parse(host)?))
}

fn ports(port: &str, scheme: &str) -> Result<Ports, String> {
    let number = |text: &str| {
        text.parse::<u16>()
            .map_err(|_| format!("has the port {text:?}, which is not a number"))
    };
    if port == "*" {
        return Ok(Ports::Any);
    }
    if port.is_empty() {
        let port = well_known_port(scheme)
            .ok_or_else(|| format!("needs a port: scheme {scheme:?} has no usual one"))?;
        return Ok(Ports::Within(port, port));
    }
    match port.split_once("..") {
        Some((first, end)) => Ok(Ports::Within(
            number(first)?,
            number(end)?.saturating_sub(1),
        )),
        None => number(port).map(|port| Ports::Within(port, port)),
    }
}

fn well_known_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        "redis" | "rediss" | "valkey" | "valkeys" => Some(6379),
        "postgres" => Some(5432),
        "mysql" => Some(3306),
        "mqtt" => Some(1883),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(entries: &[&str]) -> AllowedHosts {
        AllowedHosts::parse(&entries.iter().map(|e| (*e).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn nothing_is_allowed_by_default() {
        assert!(!hosts(&[]).allows("http://example.com", "https"));
        assert!(!hosts(&["", "https://"]).allows("http://example.com", "https"));
        assert!(!hosts(&[]).allows_own());
    }

    #[test]
    fn scheme_host_and_port_must_all_match() {
        let allowed = hosts(&[
            "https://example.com",
            "http://127.0.0.1:8080",
            "http://[::1]:90",
        ]);
        assert!(allowed.allows("https://example.com/any/path?q", "https"));
        assert!(allowed.allows("https://example.com:443", "https"));
        assert!(allowed.allows("example.com", "https"));
        assert!(allowed.allows("http://127.0.0.1:8080/x", "https"));
        assert!(allowed.allows("http://[::1]:90/x", "https"));
        for refused in [
            "http://example.com",
            "https://example.com:8443",
            "https://example.com.evil.org",
            "https://evil-example.com",
            "https://user@evil.org/@example.com",
            "http://127.0.0.1:80",
            "http://0x7f000001:8081",
            "not a url",
        ] {
            assert!(!allowed.allows(refused, "https"), "{refused}");
        }
    }

    #[test]
    fn wildcards_and_ranges() {
        let allowed = hosts(&[
            "*://*.example.com:*",
            "redis://db:6000..6002",
            "http://self",
        ]);
        assert!(allowed.allows("ftp://a.example.com:21", "https"));
        assert!(!allowed.allows("https://example.com", "https"));
        assert!(allowed.allows("redis://db:6000", "redis"));
        assert!(allowed.allows("redis://user:pw@db:6001/0", "redis"));
        assert!(!allowed.allows("redis://db:6002", "redis"));
        assert!(allowed.allows_own());
        assert!(hosts(&["*://*:*"]).allows("gopher://x:70", "https"));
    }

    #[test]
    fn a_redis_address_is_granted_as_it_is_connected_to() {
        let allowed = hosts(&["rediss://shop:p:a/s#s@db:6390/2#stock", "redis://local/0"]);
        assert!(allowed.allows("rediss://shop:p:a%2Fs%23s@db:6390/2", "redis"));
        assert!(allowed.allows("rediss://db:6390", "redis"));
        assert!(allowed.allows("redis://local", "redis"));
        for refused in [
            "redis://db:6390",
            "rediss://db:6379",
            "rediss://db",
            "rediss://shop@other:6390",
            "rediss://local:6379",
            "redis://db:6390@other:6390",
        ] {
            assert!(!allowed.allows(refused, "redis"), "{refused}");
        }
    }

    #[test]
    fn no_error_shows_a_password() {
        for entry in [
            "redis://u:hunter2@h:x",
            "https://u:hunter2@h",
            "redis://:hunter2@h:1:2",
        ] {
            let error = AllowedHosts::parse(&[entry.to_owned()]).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn chained_components_are_named() {
        let allowed = hosts(&["http://stock.spin.internal", "http://*.spin.internal"]);
        assert_eq!(allowed.chained().collect::<Vec<_>>(), ["stock"]);
        assert!(allowed.allows("http://users.spin.internal/x", "https"));
        assert!(allowed.chains() && hosts(&["http://*.spin.internal"]).chains());
        assert!(!hosts(&["http://self", "http://spin.internal.example.com"]).chains());
    }

    #[test]
    fn bad_entries_say_why() {
        for (entry, part) in [
            ("example.com", "scheme"),
            ("https://example.com/path", "path"),
            ("foo://example.com", "port"),
            ("https://a.*.com", "`*`"),
            ("https://x:y", "number"),
        ] {
            let error = AllowedHosts::parse(&[entry.to_owned()]).unwrap_err();
            assert!(error.contains(part) && error.contains(entry), "{error}");
        }
    }
}
