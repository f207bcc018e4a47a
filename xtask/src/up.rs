//! `cargo xtask up`: from a fresh clone to a running shop.

use crate::{HostKind, build, root, spin};
use anyhow::{Context, bail};
use clap::Args;
use rustix::fs::Mode;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use wasmart_demo::{ADMIN, USERS};
use wasmart_keys::KeySet;

/// Where Redis is when Spin needs one and none is named.
const DEFAULT_REDIS: &str = "redis://127.0.0.1:6379";
/// How long a host may take to answer for the first time; compiling a cold cache is most of it.
const START: Duration = Duration::from_secs(120);

#[derive(Args)]
pub struct Up {
    /// Address to serve on
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,

    /// Put a catalogue, an administrator and two users with money in
    #[arg(long)]
    demo: bool,

    /// A Redis server for the channels (redis://host:port); without, the embedded host delivers itself
    #[arg(long, value_name = "URL")]
    redis: Option<String>,

    /// What runs the components
    #[arg(long, value_enum, default_value_t = HostKind::Embedded)]
    host: HostKind,
}

impl Up {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if self.host == HostKind::Spin {
            spin::check_version()?;
            spin::check_redis(self.redis.as_deref().unwrap_or(DEFAULT_REDIS))?;
        }
        if TcpStream::connect_timeout(&self.listen, Duration::from_millis(200)).is_ok() {
            bail!(
                "{} is in use: stop what serves there, or choose another with --listen",
                self.listen
            );
        }
        build::components()?;
        let keys = KeySet::load_or_create(&key_folder())?;
        let command = self.command(&keys)?;
        keep_private(&data_folder()).context("the data folder can't be closed to other users")?;
        let mut host = Running::start(command)?;
        host.wait_until_ready(self.listen)?;
        if self.demo {
            let (email, password) = admin();
            wasmart_demo::seed(&self.base(), &email, &password)
                .context("the shop runs, but the demonstration could not be put in")?;
        }
        self.greet();
        let _ticks = (self.host == HostKind::Spin).then(|| Ticks::start(&self.base(), &keys));
        host.wait()
    }

    fn command(&self, keys: &KeySet) -> anyhow::Result<Command> {
        let mut command = match self.host {
            HostKind::Spin => spin::up(self.listen),
            HostKind::Embedded => {
                let mut command = Command::new(build::host()?);
                command
                    .args(["up", "--listen"])
                    .arg(self.listen.to_string())
                    .current_dir(root());
                command
            }
        };
        let base = self.base();
        let (email, password) = admin();
        let mut variables = keys.variables().to_vec();
        if self.host == HostKind::Embedded {
            // Passed as files, so that a rotation needs no restart.
            for (name, path) in KeySet::changing(&key_folder()) {
                if std::env::var_os(variable(name)).is_none() {
                    command
                        .arg("--variable-file")
                        .arg(format!("{name}={}", path.display()));
                    variables.retain(|(other, _)| *other != name);
                }
            }
        }
        variables.push(("issuer", &base));
        if self.demo {
            variables.extend([
                ("admin_email", email.as_str()),
                ("admin_password", &password),
            ]);
        }
        // What the environment says goes first, but for what was said on the command line.
        variables.retain(|(name, _)| std::env::var_os(variable(name)).is_none());
        variables.extend(self.redis.as_deref().map(|url| ("redis_url", url)));
        command.envs(
            variables
                .into_iter()
                .map(|(name, value)| (variable(name), value)),
        );
        Ok(command)
    }

    fn base(&self) -> String {
        format!("http://{}", self.listen)
    }

    fn greet(&self) {
        let base = self.base();
        println!("\nThe shop is open at {base}");
        println!("  items            {base}/api/v1/items");
        println!("  public keys      {base}/.well-known/jwks.json");
        println!("  data and keys    .wasmart/ (remove with `cargo xtask clean-data`)");
        if self.demo {
            println!("  administrator    {} / {}", admin().0, admin().1);
            for (user, _) in USERS {
                println!("  customer         {} / {}", user.email, user.password);
            }
        }
        println!("\nFirst steps (the rest is in README.md):");
        println!("  curl -s {base}/api/v1/auth/register -H 'content-type: application/json' \\");
        println!("    -d '{{\"email\": \"me@example.com\", \"password\": \"correct horse\"}}'");
        println!("\nCtrl-C stops it.");
    }
}

fn data_folder() -> PathBuf {
    root().join(".wasmart")
}

fn key_folder() -> PathBuf {
    data_folder().join("keys")
}

/// Keeps the shop's data from other users of this machine: what is there, and what this process and the host that it
/// starts will write. The embedded host does so by itself, but Spin creates its files with the usual modes.
fn keep_private(data: &Path) -> std::io::Result<()> {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    wasmart_private::create_folder(data)?;
    wasmart_private::close_all(data)
}

/// The environment's name of an application variable, for both hosts.
fn variable(name: &str) -> String {
    format!("SPIN_VARIABLE_{}", name.to_uppercase())
}

/// The demonstration's administrator, unless the environment names another.
fn admin() -> (String, String) {
    let or = |name: &str, default: &str| {
        std::env::var(variable(name)).unwrap_or_else(|_| default.to_owned())
    };
    (
        or("admin_email", ADMIN.email),
        or("admin_password", ADMIN.password),
    )
}

/// The host's process. It stops when this one is told to.
struct Running {
    child: Child,
    stopping: Arc<AtomicBool>,
}

impl Running {
    fn start(mut command: Command) -> anyhow::Result<Running> {
        static HOST: OnceLock<u32> = OnceLock::new();
        let program = command.get_program().to_owned();
        let stopping = Arc::new(AtomicBool::new(false));
        let seen = stopping.clone();
        // Ctrl-C reaches the host from the terminal, a plain `kill` of this process does not: pass it on.
        // A host that was told twice still stops once.
        ctrlc::set_handler(move || {
            seen.store(true, Ordering::Relaxed);
            if let Some(pid) = HOST.get() {
                Command::new("kill")
                    .args(["-TERM", &pid.to_string()])
                    .status()
                    .ok();
            }
        })
        .context("can't listen for Ctrl-C")?;
        let child = command
            .spawn()
            .with_context(|| format!("can't start {}", program.display()))?;
        HOST.get_or_init(|| child.id());
        Ok(Running { child, stopping })
    }

    fn wait_until_ready(&mut self, listen: SocketAddr) -> anyhow::Result<()> {
        let started = Instant::now();
        while TcpStream::connect_timeout(&listen, Duration::from_millis(200)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the host ended before it served ({status}); its own words are above");
            }
            if started.elapsed() > START {
                self.child.kill().ok();
                bail!("the host does not serve after {} s", START.as_secs());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn wait(mut self) -> anyhow::Result<ExitCode> {
        let status = self.child.wait()?;
        if status.success() || self.stopping.load(Ordering::Relaxed) {
            return Ok(ExitCode::SUCCESS);
        }
        bail!("the host ended ({status})")
    }
}

/// Spin has no timer: this calls the tick's paths, as a cron job would.
struct Ticks {
    stop: Arc<AtomicBool>,
}

impl Ticks {
    const EVERY: Duration = Duration::from_millis(500);

    fn start(base: &str, keys: &KeySet) -> Ticks {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let secret = keys.internal_secret().to_owned();
        let agent = wasmart_demo::agent();
        let paths: Vec<String> = ["orders", "billing", "auth", "stock", "notifications"]
            .iter()
            .map(|service| format!("{base}/internal/{service}/tick"))
            .collect();
        std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for path in &paths {
                    // A tick that fails is followed by another.
                    agent
                        .post(path)
                        .header("x-internal-secret", &secret)
                        .send_empty()
                        .ok();
                }
                std::thread::sleep(Ticks::EVERY);
            }
        });
        Ticks { stop }
    }
}

impl Drop for Ticks {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_spin_has_written_and_will_write_is_kept_from_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join(".wasmart");
        std::fs::create_dir(&data).expect("made");
        let mode = |path: &Path| {
            let found = std::fs::metadata(path).expect("there");
            found.permissions().mode() & 0o777
        };
        let open = |path: &Path, mode| {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("changed");
        };
        let (old, new) = (data.join("auth.db"), data.join("logs"));
        std::fs::write(&old, "x").expect("written");
        open(&data, 0o755);
        open(&old, 0o644);
        keep_private(&data).expect("mended");
        // As the host does, which is a child of this process.
        let child = Command::new("touch").arg(&new).status();
        assert!(child.is_ok_and(|status| status.success()));
        assert_eq!((mode(&data), mode(&old), mode(&new)), (0o700, 0o600, 0o600));
        keep_private(&folder.path().join("deep/new")).expect("made");
        assert_eq!(mode(&folder.path().join("deep/new")), 0o700);
    }
}
