//! A host to be measured.

use crate::root;
use anyhow::Context;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use wasmart_demo::ADMIN;
use wasmart_keys::KeySet;

/// A host of its own, on a port of its own.
pub struct Host {
    child: Child,
    /// `http://127.0.0.1:12345`
    pub base: String,
}

impl Host {
    /// Starts a host in `folder`, with values for some of the application's variables; gives how long it
    /// took until it served.
    pub fn start(
        binary: &Path,
        folder: &Path,
        keys: &KeySet,
        variables: &[(&str, &str)],
    ) -> anyhow::Result<(Duration, Host)> {
        let begun = Instant::now();
        let mut command = Command::new(binary);
        command
            .args(["up", "--listen", "127.0.0.1:0", "--from"])
            .arg(root().join("spin.toml"))
            .current_dir(folder)
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped());
        for (name, value) in keys.variables().iter().chain(variables) {
            command.env(format!("SPIN_VARIABLE_{}", name.to_uppercase()), value);
        }
        command.env("SPIN_VARIABLE_ADMIN_EMAIL", ADMIN.email);
        command.env("SPIN_VARIABLE_ADMIN_PASSWORD", ADMIN.password);
        let mut child = command.spawn().context("can't start the host")?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let first = lines.next().context("the host ended before it served")??;
        let base = first
            .strip_prefix("Serving ")
            .context("an unexpected first line")?
            .to_owned();
        std::thread::spawn(move || lines.for_each(drop));
        Ok((begun.elapsed(), Host { child, base }))
    }

    /// `VmRSS` of the process (proc(5)).
    pub fn resident_mb(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kb = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kb = kb
            .and_then(|rest| rest.split_whitespace().next())
            .context("no VmRSS")?;
        Ok(kb.parse::<u64>()? / 1000)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .ok();
        self.child.wait().ok();
    }
}
