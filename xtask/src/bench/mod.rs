//! `cargo xtask bench`: the figures of `docs/performance.md`, measured on this machine in one run.

use crate::{build, root};
use anyhow::{Context, ensure};
use clap::Args;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use ureq::Agent;
use wasmart_demo::ADMIN;
use wasmart_keys::KeySet;

#[derive(Args)]
pub struct Bench {
    /// Orders to follow from POST to paid, one after the other
    #[arg(long, default_value_t = 300)]
    orders: usize,

    /// Keep databases in this folder instead of a temporary one (disks differ in how they sync)
    #[arg(long)]
    folder: Option<PathBuf>,
}

impl Bench {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        build::components()?;
        let binary = build::host()?;
        let folder = self.folder.clone().unwrap_or_else(|| {
            std::env::temp_dir().join(format!("wasmart-bench-{}", std::process::id()))
        });
        std::fs::create_dir_all(&folder)?;
        let keys = KeySet::load_or_create(&folder.join("keys"))?;

        println!("| what | figure |\n|---|---|");
        let (cold, host) = Host::start(&binary, &folder, &keys)?;
        row("host start, no compiled code kept", &ms(cold));
        drop(host);
        let begun = Instant::now();
        let (warm, host) = Host::start(&binary, &folder, &keys)?;
        row("host start, compiled code kept", &ms(warm));
        let mut shop = Shop::open(host.base.clone())?;
        shop.settle_one()?;
        row(
            "start of the host to the first paid order (kept code, empty shop)",
            &ms(begun.elapsed()),
        );
        row(
            "resident memory after that",
            &format!("{} MB", host.resident_mb()?),
        );
        let mut times = Vec::with_capacity(self.orders);
        for _ in 0..self.orders {
            times.push(shop.settle_one()?);
        }
        times.sort();
        row(
            &format!("POST /orders to paid, p50 of {} one by one", times.len()),
            &ms(at(&times, 50)),
        );
        row("the same, p99", &ms(at(&times, 99)));
        drop(host);
        for name in build::COMPONENTS {
            let path = root().join("target").join(build::TARGET).join("release");
            let bytes = std::fs::metadata(path.join(format!("{name}.wasm")))?.len();
            row(&format!("{name}.wasm"), &format!("{} kB", bytes / 1000));
        }
        if self.folder.is_none() {
            std::fs::remove_dir_all(&folder).ok();
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(what: &str, figure: &str) {
    println!("| {what} | {figure} |");
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

fn at(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}

/// A host of its own, on a port of its own.
struct Host {
    child: Child,
    base: String,
}

impl Host {
    /// Starts a host in `folder`; gives how long it took until it served.
    fn start(binary: &Path, folder: &Path, keys: &KeySet) -> anyhow::Result<(Duration, Host)> {
        let begun = Instant::now();
        let mut command = Command::new(binary);
        command
            .args(["up", "--listen", "127.0.0.1:0", "--from"])
            .arg(root().join("spin.toml"))
            .current_dir(folder)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped());
        for (name, value) in keys.variables() {
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
    fn resident_mb(&self) -> anyhow::Result<u64> {
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

/// A customer with money enough, and an item with pieces enough.
struct Shop {
    agent: Agent,
    base: String,
    token: String,
    item: String,
}

impl Shop {
    fn open(base: String) -> anyhow::Result<Shop> {
        let agent =
            Agent::new_with_config(Agent::config_builder().http_status_as_error(true).build());
        let mut shop = Shop {
            agent,
            base,
            token: String::new(),
            item: String::new(),
        };
        let login = json!({"login": ADMIN.email, "password": ADMIN.password});
        shop.token = text(&shop.post("/auth/login", &login)?, "access_token")?;
        let item = json!({"name": "Thing", "price": 100, "quantity": 1_000_000});
        shop.item = text(&shop.post("/items", &item)?, "id")?;
        shop.post(
            "/billing/account/deposit",
            &json!({"amount": 1_000_000_000}),
        )?;
        Ok(shop)
    }

    /// Orders one piece and asks until it is paid; gives the time from the POST's first byte.
    fn settle_one(&mut self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let lines = json!({"lines": [{"item_id": self.item, "quantity": 1}]});
        let order = text(&self.post("/orders", &lines)?, "id")?;
        loop {
            let status = text(&self.get(&format!("/orders/{order}"))?, "status")?;
            if status == "paid" {
                return Ok(begun.elapsed());
            }
            ensure!(status == "pending", "the order is {status}");
            ensure!(
                begun.elapsed() < Duration::from_secs(30),
                "the order is not paid after 30 s"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.agent.get(format!("{}/api/v1{path}", self.base));
        let request = request.header("authorization", format!("Bearer {}", self.token));
        Ok(request.call()?.body_mut().read_json()?)
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.agent.post(format!("{}/api/v1{path}", self.base));
        let request = request.header("authorization", format!("Bearer {}", self.token));
        Ok(request.send_json(body)?.body_mut().read_json()?)
    }
}

fn text(value: &Value, field: &str) -> anyhow::Result<String> {
    value[field]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("no {field} in {value}"))
}
