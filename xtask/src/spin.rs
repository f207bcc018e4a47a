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
    let address = url
        .strip_prefix("redis://")
        .unwrap_or(url)
        .trim_end_matches('/');
    let reachable = address
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
        "Spin needs a Redis server and there is none at {url}: start one, or name it with --redis URL"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
