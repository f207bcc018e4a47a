//! Where a request comes from: the address that attempts and requests are counted by.
//!
//! The host says who is at the other end of the connection (`spin-client-addr`). Behind a proxy that is
//! the proxy; what it says of the client (`x-forwarded-for`) is believed only of proxies that the
//! variable `trusted_proxies` names. It is a list of networks: `10.0.0.0/8, 2001:db8::/32, 192.0.2.7`.

use super::Problem;
use crate::config;
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use ipnet::{IpNet, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::OnceLock;

/// The field in which the host says who is connected.
const CLIENT_ADDR: &str = "spin-client-addr";
/// The field in which each proxy adds who was connected to it, the nearest last.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// What is given to one subscriber at least, so all of it counts as one (RFC 6177).
const IPV6_PREFIX: u8 = 64;

/// The client of a request: taken as an argument, or by [`Client::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address as far as it can be believed; `0.0.0.0` where the host says none.
    pub address: IpAddr,
}

impl Client {
    /// The client behind these header fields.
    pub async fn of(headers: &HeaderMap) -> Client {
        Client {
            address: client(headers, trusted().await),
        }
    }

    /// Whether a trusted proxy is at the other end of the connection.
    pub(super) async fn is_proxy(headers: &HeaderMap) -> bool {
        let trusted = trusted().await;
        let connected = connected(headers);
        trusted.iter().any(|network| network.contains(&connected))
    }

    /// The key to count under: the address, of IPv6 its first 64 bits (`2001:db8:1:2::/64`).
    pub fn network(&self) -> String {
        match self.address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => Ipv6Net::new_assert(address, IPV6_PREFIX)
                .trunc()
                .to_string(),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Client, Problem> {
        Ok(Client::of(&parts.headers).await)
    }
}

static TRUSTED: OnceLock<Vec<IpNet>> = OnceLock::new();

/// Read once in the life of an instance. An entry that is no network is left out and said so: to believe
/// too few only makes clients of that proxy share one count.
async fn trusted() -> &'static [IpNet] {
    if let Some(networks) = TRUSTED.get() {
        return networks;
    }
    let list = config::optional("trusted_proxies")
        .await
        .unwrap_or_default();
    TRUSTED.get_or_init(|| networks(&list))
}

fn networks(list: &str) -> Vec<IpNet> {
    let entries = list.split([',', ' ']).filter(|entry| !entry.is_empty());
    entries
        .filter_map(|entry| {
            let network = entry
                .parse()
                .or_else(|_| entry.parse::<IpAddr>().map(IpNet::from));
            network
                .inspect_err(|_| log!("trusted_proxies: {entry:?} is not a network"))
                .ok()
        })
        .collect()
}

/// From the nearest hop outwards, the first that is no trusted proxy. What can't be read ends the way:
/// the hop that said it is then the last one known.
fn client(headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut hop = connected(headers);
    let lines: Vec<&HeaderValue> = headers.get_all(FORWARDED_FOR).iter().collect();
    let said = lines.iter().rev().flat_map(|line| {
        let line = line.to_str().unwrap_or("unreadable");
        line.split(',').rev()
    });
    for next in said {
        if !trusted.iter().any(|network| network.contains(&hop)) {
            break;
        }
        match parse(next.trim()) {
            Some(next) => hop = next,
            None => break,
        }
    }
    hop
}

/// Who is at the other end of the connection. Spin puts its own field after one that a client may have sent.
fn connected(headers: &HeaderMap) -> IpAddr {
    let connected = headers.get_all(CLIENT_ADDR).iter().next_back();
    connected
        .and_then(address)
        .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

fn address(value: &HeaderValue) -> Option<IpAddr> {
    parse(value.to_str().ok()?)
}

/// An address with or without a port, `[…]` around IPv6 or not. IPv4 in IPv6's clothes is IPv4.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = || text.trim_start_matches('[').trim_end_matches(']').parse();
    let with_port = text.parse::<SocketAddr>().map(|socket| socket.ip());
    with_port
        .or_else(|_| bare())
        .ok()
        .map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(trusted: &str, connected: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(CLIENT_ADDR, connected.parse().expect("a value"));
        for line in forwarded {
            headers.append(FORWARDED_FOR, line.parse().expect("a value"));
        }
        client(&headers, &networks(trusted)).to_string()
    }

    #[test]
    fn without_trusted_proxies_nobody_is_believed() {
        for forwarded in ["8.8.8.8", "127.0.0.1", "10.0.0.1, 8.8.8.8", "nonsense", ""] {
            assert_eq!(
                found("", "203.0.113.9:4711", &[forwarded]),
                "203.0.113.9",
                "{forwarded}"
            );
        }
        assert_eq!(found("", "[2001:db8::1]:1", &["8.8.8.8"]), "2001:db8::1");
        // A proxy that is not on the list.
        assert_eq!(found("10.0.0.0/8", "11.0.0.1:1", &["8.8.8.8"]), "11.0.0.1");
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy_is_the_client() {
        let proxies = "10.0.0.0/8, 2001:db8:ffff::/48 192.0.2.7";
        for (forwarded, client) in [
            (&["198.51.100.4"][..], "198.51.100.4"),
            // What stands left of it came from the client itself.
            (&["1.1.1.1, 198.51.100.4"], "198.51.100.4"),
            (&["1.1.1.1", "198.51.100.4"], "198.51.100.4"),
            (&["198.51.100.4, 10.9.9.9"], "198.51.100.4"),
            (&["198.51.100.4, 192.0.2.7", "10.9.9.9"], "198.51.100.4"),
            (&["2001:db8::5, 2001:db8:ffff::1"], "2001:db8::5"),
            (&["[2001:db8::5]:443"], "2001:db8::5"),
            (&["198.51.100.4:5555"], "198.51.100.4"),
            (&["::ffff:198.51.100.4"], "198.51.100.4"),
            // All of them are proxies: the outermost.
            (&["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
            // Unreadable: whoever said it is the last one known.
            (&["198.51.100.4, unknown, 10.2.2.2"], "10.2.2.2"),
            (&["198.51.100.4,"], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(
                found(proxies, "10.0.0.1:80", forwarded),
                client,
                "{forwarded:?}"
            );
        }
    }

    #[test]
    fn a_client_can_not_speak_for_the_host() {
        let mut headers = HeaderMap::new();
        assert_eq!(client(&headers, &[]).to_string(), "0.0.0.0");
        headers.append(CLIENT_ADDR, HeaderValue::from_static("10.0.0.1:1"));
        headers.append(CLIENT_ADDR, HeaderValue::from_static("203.0.113.9:1"));
        assert_eq!(client(&headers, &[]).to_string(), "203.0.113.9");
    }

    #[test]
    fn what_is_no_network_is_left_out() {
        assert_eq!(
            networks("10.0.0.0/8,,x, 10.0.0.0/99 , ::1"),
            ["10.0.0.0/8", "::1/128"].map(|network| network.parse::<IpNet>().expect("a network"))
        );
    }

    #[test]
    fn an_ipv6_subscriber_counts_as_one() {
        let network = |address: &str| {
            let address = address.parse().expect("an address");
            Client { address }.network()
        };
        assert_eq!(network("203.0.113.9"), "203.0.113.9");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(
            network("2001:db8:1:2:ffff::"),
            network("2001:db8:1:2:3:4:5:6")
        );
        assert_ne!(network("2001:db8:1:3::"), network("2001:db8:1:2:3:4:5:6"));
    }
}
