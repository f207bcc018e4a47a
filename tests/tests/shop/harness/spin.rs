//! The shop on Spin's command line: the same files, unchanged, in processes of their own.

use crate::harness::redis::{free_port, publish, subscribers};
use crate::harness::running::Setting;
use crate::harness::wait::within;
use crate::harness::workspace;
use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Spin has no timer; the host's period in `spin.toml` is the same.
const TICK: Duration = Duration::from_millis(500);
/// A start may have to compile all components first.
const START: Duration = Duration::from_secs(180);
/// The services that want to be knocked at.
const TICKED: [&str; 5] = ["orders", "billing", "auth", "stock", "notifications"];

/// A running `spin up`.
pub(crate) struct Spin {
    child: Child,
    address: SocketAddr,
    redis: String,
    ticks: JoinHandle<()>,
}

impl Spin {
    pub async fn start(setting: &Setting) -> Spin {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let redis = setting
            .redis
            .clone()
            .expect("Spin has no channels of its own");
        let ticks = tokio::spawn(tick(address, variable(setting, "internal_secret")));
        let mut spin = Spin {
            child: spawn(setting, address, &redis),
            address,
            redis,
            ticks,
        };
        spin.wait_until_ready().await;
        spin
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn publish(&self, channel: &str, message: &[u8]) -> Result<(), String> {
        publish(&self.redis, channel, message).map_err(|error| error.to_string())
    }

    pub fn stop(self) {
        drop(self);
    }

    /// Spin serves HTTP and channels in processes that start each at its own pace.
    async fn wait_until_ready(&mut self) {
        let client = crate::harness::client();
        let (health, redis) = (
            format!("http://{}/api/v1/health", self.address),
            self.redis.clone(),
        );
        let child = &mut self.child;
        within(START, "Spin", async || {
            assert!(matches!(child.try_wait(), Ok(None)), "`spin up` has ended");
            let served = client
                .get(&health)
                .send()
                .await
                .is_ok_and(|a| a.status().is_success());
            let subscribed = subscribers(&redis, "acks").is_ok_and(|count| count > 0);
            (served && subscribed).then_some(())
        })
        .await;
    }
}

impl Drop for Spin {
    fn drop(&mut self) {
        self.ticks.abort();
        // To the whole group: `spin up` runs a process for each kind of trigger.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-TERM", "--", &group]).status();
        let _ = self.child.wait();
    }
}

fn variable(setting: &Setting, name: &str) -> String {
    let found = setting.variables.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

fn spawn(setting: &Setting, address: SocketAddr, redis: &str) -> Child {
    let root = workspace::root();
    std::fs::create_dir_all(setting.folder.join(".wasmart")).expect("a folder");
    // A copy, as Spin has the key-value stores beside it: each shop its own.
    let config = setting.folder.join("runtime-config.toml");
    std::fs::copy(root.join("runtime-config.toml"), &config).expect("a copy");
    let log = File::options()
        .create(true)
        .append(true)
        .open(setting.folder.join("log"));
    let log = log.expect("a log file");
    let mut command = Command::new("spin");
    command
        .current_dir(&setting.folder)
        .arg("up")
        .arg("--from")
        .arg(setting.manifest())
        .arg("--runtime-config-file")
        .arg(config)
        .arg("--state-dir")
        .arg(setting.folder.join("state"))
        .args(["--quiet", "--listen", &address.to_string()])
        .env("SPIN_VARIABLE_REDIS_URL", redis)
        .stdout(log.try_clone().expect("a log file"))
        .stderr(log)
        .stdin(Stdio::null())
        .process_group(0);
    for (name, value) in &setting.variables {
        command.env(format!("SPIN_VARIABLE_{}", name.to_uppercase()), value);
    }
    command
        .spawn()
        .unwrap_or_else(|error| panic!("spin can't be run: {error}"))
}

async fn tick(address: SocketAddr, secret: String) {
    let client = crate::harness::client();
    loop {
        tokio::time::sleep(TICK).await;
        for service in TICKED {
            let url = format!("http://{address}/internal/{service}/tick");
            // One that fails is made up for by the next.
            let _ = client
                .post(url)
                .header("x-internal-secret", &secret)
                .send()
                .await;
        }
    }
}
