//! The Spin CLI as the host: is it there, is it new enough, how it is started.

use crate::root;
use anyhow::{Context, bail};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::process::Command;
use std::time::Duration;

/// The first version that speaks WASI 0.3.0.
const OLDEST: (u32, u32) = (4, 1);
const HELP: &str = "Spin 4.1 or newer must be on PATH: see https://spinframework.dev/install, or build \
    it from source. Without it, `cargo xtask up` runs the shop on the embedded host.";

/// Fails with a way out unless a Spin that can run the components is on PATH.
pub fn check_version() -> anyhow::Result<()> {
    let output = Command::new("spin")
        .arg("--version")
        .output()
        .context(HELP)?;
    let text = String::from_utf8_lossy(&output.stdout);
    match parse_version(&text) {
        Some(version) if version >= OLDEST => Ok(()),
        _ => bail!("this is `{}`. {HELP}", text.trim()),
    }
}

/// `spin 4.1.0 (abc 2026-01-01)` → (4, 1)
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split_whitespace().nth(1)?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// `spin up` on the project's own files, unchanged.
pub fn up(listen: SocketAddr) -> Command {
    let mut command = Command::new("spin");
    command
        .args([
            "up",
            "--from",
            "spin.toml",
            "--runtime-config-file",
            "runtime-config.toml",
        ])
        .args(["--state-dir", ".wasmart", "--quiet", "--listen"])
        .arg(listen.to_string())
        .current_dir(root());
    command
}

/// Spin has no channels of its own, and ends when it can't reach Redis: better said before.
pub fn check_redis(url: &str) -> anyhow::Result<()> {
    let address = authority(url);
    let reachable = (address.host, address.port)
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .is_some_and(|address| {
            TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_ok()
        });
    if reachable {
        return Ok(());
    }
    bail!(
        "Spin needs a Redis server and there is none at {}:{}: start one, or name it with --redis URL",
        address.host,
        address.port
    )
}

/// Where a Redis URL leads to, without the user and the password.
#[derive(Debug, PartialEq, Eq)]
struct Authority<'a> {
    host: &'a str,
    port: u16,
}

/// `rediss://user:password@host:port/database`
fn authority(url: &str) -> Authority<'_> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
        _ => (place, None),
    };
    Authority {
        host: host.trim_start_matches('[').trim_end_matches(']'),
        port: port.unwrap_or(6379),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_url_leads_to_a_host_and_a_port_whoever_logs_in() {
        for (url, host, port) in [
            ("redis://127.0.0.1:6380", "127.0.0.1", 6380),
            ("redis://localhost/", "localhost", 6379),
            (
                "rediss://shop:p:a@ss@redis.example.com:6390/2",
                "redis.example.com",
                6390,
            ),
            ("redis://:secret@[::1]:7000/0#stock", "::1", 7000),
            ("rediss://[::1]", "::1", 6379),
        ] {
            assert_eq!(authority(url), Authority { host, port }, "{url}");
        }
    }

    #[test]
    fn versions_are_read_and_compared() {
        assert_eq!(
            parse_version("spin 4.1.0-pre0 (1234567 2026-08-20)"),
            Some((4, 1))
        );
        assert_eq!(parse_version("spin 10.0.2"), Some((10, 0)));
        assert!(parse_version("spin 4.0.3").is_some_and(|version| version < OLDEST));
        assert_eq!(parse_version("nonsense"), None);
    }
}
