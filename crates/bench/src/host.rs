//! A host to be measured: a process of its own, embedded or Spin, and what the system says of it.

use crate::redis::subscribers;
use crate::setting::{self, Kind, Setting};
use anyhow::{Context, bail, ensure};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use wasmart_demo::ADMIN;

/// A start may have to compile everything first, beside other work.
const START: Duration = Duration::from_secs(180);
/// Spin has no timer; the embedded host has the same pace from `spin.toml`.
const TICK: Duration = Duration::from_millis(500);
const TICKED: [&str; 4] = ["orders", "billing", "auth", "stock"];
/// `sysconf(_SC_CLK_TCK)` is 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running host.
pub struct Host {
    child: Child,
    pub at: SocketAddr,
    stopped: Arc<AtomicBool>,
}

/// What a host is started with.
pub struct Start<'a> {
    pub setting: &'a Setting,
    /// Databases, stores and compiled code are below this.
    pub folder: &'a Path,
    /// Another application than the shop.
    pub manifest: Option<PathBuf>,
    /// Where the channels are.
    pub redis: Option<String>,
    /// Values for some of the application's variables.
    pub variables: Vec<(&'a str, String)>,
}

impl<'a> Start<'a> {
    /// The shop, in a folder.
    pub fn shop(setting: &'a Setting, folder: &'a Path) -> Start<'a> {
        Start {
            setting,
            folder,
            manifest: None,
            redis: setting.redis.clone(),
            variables: vec![],
        }
    }

    pub fn variable(mut self, name: &'a str, value: impl Into<String>) -> Start<'a> {
        self.variables.push((name, value.into()));
        self
    }

    pub fn redis(mut self, url: &str) -> Start<'a> {
        self.redis = Some(url.to_owned());
        self
    }

    /// The application that does nothing, of one component.
    pub fn empty(mut self) -> anyhow::Result<Start<'a>> {
        std::fs::create_dir_all(self.folder)?;
        let manifest = self.folder.join("spin.toml");
        let wasm = setting::wasm("host_test_empty");
        std::fs::write(
            &manifest,
            format!(
                "spin_manifest_version = 2\n[application]\nname = \"empty\"\nversion = \"0.1.0\"\n\
                 [[trigger.http]]\nroute = \"/...\"\ncomponent = \"empty\"\n\
                 [component.empty]\nsource = {:?}\n",
                wasm.display().to_string()
            ),
        )?;
        self.manifest = Some(manifest);
        self.redis = None;
        Ok(self)
    }

    /// Starts it and waits until it serves.
    pub fn run(self) -> anyhow::Result<Host> {
        std::fs::create_dir_all(self.folder)?;
        match self.setting.kind {
            Kind::Embedded => self.embedded(),
            Kind::Spin => self.spin(),
        }
    }

    fn embedded(self) -> anyhow::Result<Host> {
        let mut command = Command::new(setting::program("wasmart")?);
        command
            .args(["up", "--listen", "127.0.0.1:0", "--from"])
            .arg(self.manifest())
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped());
        if let Some(url) = &self.redis {
            command.args(["--redis", url]);
        }
        let mut child = self.spawn(command)?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let first = lines.next().context("the host ended before it served")??;
        let at = first
            .strip_prefix("Serving http://")
            .with_context(|| format!("an unexpected first line: {first}"))?
            .parse()?;
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Host {
            child,
            at,
            stopped: Arc::default(),
        })
    }

    /// The component that does nothing, served by `wasmtime serve`; none where that is not on PATH.
    pub fn by_wasmtime() -> anyhow::Result<Option<Host>> {
        let at: SocketAddr = ([127, 0, 0, 1], free_port()?).into();
        let child = Command::new("wasmtime")
            .args(["serve", "-Sp3,cli", "-Wcomponent-model-async", "--addr"])
            .arg(at.to_string())
            .arg(setting::wasm("host_test_empty"))
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match child {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            child => child.context("can't start wasmtime")?,
        };
        let host = Host {
            child,
            at,
            stopped: Arc::default(),
        };
        let begun = Instant::now();
        while TcpStream::connect(at).is_err() {
            ensure!(begun.elapsed() < START, "wasmtime does not serve");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Some(host))
    }

    /// `spin up` on the same files; ticked from here.
    fn spin(self) -> anyhow::Result<Host> {
        let at: SocketAddr = ([127, 0, 0, 1], free_port()?).into();
        let mut command = Command::new("spin");
        command
            .args(["up", "--quiet", "--listen", &at.to_string(), "--from"])
            .arg(self.manifest())
            .arg("--state-dir")
            .arg(self.folder.join("state"))
            .stdout(Stdio::null());
        if self.manifest.is_none() {
            command.arg("--runtime-config-file");
            command.arg(setting::root().join("runtime-config.toml"));
            std::fs::create_dir_all(self.folder.join(".wasmart"))?;
        }
        if let Some(url) = &self.redis {
            command.env("SPIN_VARIABLE_REDIS_URL", url);
        }
        let mut host = Host {
            child: self.spawn(command)?,
            at,
            stopped: Arc::default(),
        };
        let begun = Instant::now();
        let listens = || TcpStream::connect_timeout(&at, Duration::from_millis(200)).is_ok();
        let hears = || match &self.redis {
            Some(url) if self.manifest.is_none() => subscribers(url, "acks").is_ok_and(|n| n > 0),
            _ => true,
        };
        while !(listens() && hears()) {
            if let Some(status) = host.child.try_wait()? {
                bail!("`spin up` ended before it served ({status})");
            }
            ensure!(begun.elapsed() < START, "Spin does not serve");
            std::thread::sleep(Duration::from_millis(20));
        }
        if self.manifest.is_none() {
            tick(
                at,
                self.setting.keys.internal_secret().to_owned(),
                host.stopped.clone(),
            );
        }
        Ok(host)
    }

    fn manifest(&self) -> PathBuf {
        let own = self.manifest.clone();
        own.unwrap_or_else(|| setting::root().join("spin.toml"))
    }

    fn spawn(&self, mut command: Command) -> anyhow::Result<Child> {
        command
            .current_dir(self.folder)
            .stdin(Stdio::null())
            // Set, it makes wasmtime walk the stack at every guarded request: 8 µs that no shop pays.
            .env_remove("RUST_BACKTRACE");
        let mut set = |name: &str, value: &str| {
            command.env(format!("SPIN_VARIABLE_{}", name.to_uppercase()), value);
        };
        for (name, value) in self.setting.keys.variables() {
            set(name, value);
        }
        set("admin_email", ADMIN.email);
        set("admin_password", ADMIN.password);
        // The load comes from one address.
        set("rate_limit_per_minute", "0");
        // A few accounts stand for all customers of a shop.
        for limit in ["orders_per_day", "payments_per_day", "keys_per_account"] {
            set(limit, "0");
        }
        for (name, value) in &self.variables {
            set(name, value);
        }
        let program = command.get_program().to_owned();
        command
            .spawn()
            .with_context(|| format!("can't start {}", program.display()))
    }
}

impl Host {
    /// `VmRSS` of its processes (proc(5)), in megabytes.
    pub fn resident_mb(&self) -> u64 {
        let kb = self.processes().into_iter().filter_map(|id| {
            let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        });
        kb.sum::<u64>() / 1000
    }

    /// Processor time that its processes have used.
    pub fn cpu(&self) -> Duration {
        let ticks = self.processes().into_iter().filter_map(|id| {
            let fields = stat(id)?;
            // utime and stime, the 14th and 15th; the first two are cut off.
            Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
        });
        Duration::from_secs_f64(ticks.sum::<f64>() / TICKS_PER_SECOND)
    }

    /// The process that was started and those that it started: Spin runs one for each kind of trigger.
    fn processes(&self) -> Vec<u32> {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let parent = stat(id).and_then(|fields| fields.get(1)?.parse().ok());
            if let Some(parent) = parent {
                children.entry(parent).or_default().push(id);
            }
        }
        let mut all = vec![self.child.id()];
        let mut seen = 0;
        while let Some(id) = all.get(seen) {
            let more = children.remove(id).unwrap_or_default();
            all.extend(more);
            seen += 1;
        }
        all
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        for id in self.processes() {
            let id = id.to_string();
            Command::new("kill").args(["-TERM", &id]).status().ok();
        }
        self.child.wait().ok();
    }
}

/// The fields of `/proc/ID/stat` behind the name, which may contain anything.
fn stat(id: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Knocks at the services, as a cron job would.
fn tick(at: SocketAddr, secret: String, stopped: Arc<AtomicBool>) {
    tokio::spawn(async move {
        let mut connection = crate::load::Connection::new(at);
        while !stopped.load(Ordering::Relaxed) {
            for service in TICKED {
                let path = format!("/internal/{service}/tick");
                let mut request = crate::load::post(&path, None, &serde_json::Value::Null);
                if let Ok(secret) = secret.parse() {
                    request.headers_mut().insert("x-internal-secret", secret);
                }
                // A tick that fails is followed by another.
                connection.send(request).await.ok();
            }
            tokio::time::sleep(TICK).await;
        }
    });
}
