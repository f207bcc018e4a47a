//! A simulated shop: the real host and the real components, without a port, a thread or a clock of their own.

use super::client::Client;
use super::watch::{Rules, Watch};
use crate::harness::app::{ADMIN, databases};
use crate::harness::books::Books;
use crate::harness::logs;
use crate::harness::workspace;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::sleep;
use wasmart_host::{Host, Redis, Simulation};

/// A killed process is back after this.
const DOWNTIME: Duration = Duration::from_millis(200);
/// Between two looks for whether all is quiet.
const LOOK: Duration = Duration::from_secs(1);
/// All is quiet after this at the latest: some of the longest waits for an answer, in simulated time.
const PATIENCE: u32 = 900;

/// A shop in a run.
pub struct Shop {
    folder: TempDir,
    manifest: PathBuf,
    simulation: Simulation,
    pub watch: Arc<Watch>,
    host: RefCell<Option<Rc<Host>>>,
    /// Counts the ends of hosts.
    ends: watch::Sender<u32>,
}

impl Shop {
    /// Starts an empty shop.
    pub async fn start(seed: u64, rules: Arc<dyn Rules>) -> Shop {
        Shop::start_in(folder(), seed, rules, None).await
    }

    /// Starts a shop on what is in `folder`, with the components of another manifest if one is given.
    pub async fn start_in(
        folder: TempDir,
        seed: u64,
        rules: Arc<dyn Rules>,
        manifest: Option<PathBuf>,
    ) -> Shop {
        let shop = Shop {
            folder,
            manifest: manifest.unwrap_or_else(|| workspace::root().join("spin.toml")),
            simulation: Simulation::new(seed),
            watch: Watch::new(rules),
            host: RefCell::default(),
            ends: watch::Sender::new(0),
        };
        shop.begin().await;
        shop
    }

    async fn begin(&self) {
        logs::keep();
        let root = workspace::root();
        let mut builder = Host::builder()
            .manifest(&self.manifest)
            .runtime_config(root.join("runtime-config.toml"))
            .state_dir(self.folder.path().join("state"))
            .data_dir(self.folder.path())
            .cache_dir(workspace::code_cache())
            .process_environment(false)
            .redis(Redis::InProcess)
            .simulation(&self.simulation)
            .call_hook(self.watch.clone())
            .variable("admin_email", ADMIN.0)
            .variable("admin_password", ADMIN.1)
            .variable("rate_limit_per_minute", "0")
            .variable("synchronous", "NORMAL");
        for (name, value) in workspace::keys().variables() {
            builder = builder.variable(name, value);
        }
        let host = builder.build().await;
        let host = host.unwrap_or_else(|error| panic!("{error}"));
        self.host.replace(Some(Rc::new(host)));
    }

    /// Ends the process without a good-bye, and begins a new one on the same files.
    pub async fn restart(&self) {
        self.watch.kill();
        self.watch.history.add(format_args!("killed"));
        self.ends.send_modify(|ends| *ends += 1);
        self.host.replace(None);
        // Whatever it was at finds out before time goes on.
        sleep(DOWNTIME).await;
        self.watch.revive();
        self.begin().await;
    }

    /// Runs `scenario` to its end, and restarts the process whenever its rules kill it.
    pub async fn supervise<T>(&self, scenario: impl Future<Output = T>) -> T {
        let restarts = async {
            loop {
                self.watch.killed().await;
                self.restart().await;
            }
        };
        tokio::select! {
            biased;
            result = scenario => result,
            never = restarts => never,
        }
    }

    /// An answer, or none if the process ended first or was not there.
    pub async fn request(
        &self,
        request: http::Request<bytes::Bytes>,
    ) -> Option<http::Response<bytes::Bytes>> {
        let mut ends = self.ends.subscribe();
        let host = self.host.borrow().clone()?;
        tokio::select! {
            biased;
            _ = ends.changed() => None,
            answer = host.request(request) => answer.ok(),
        }
    }

    /// A new customer with so much in the wallet.
    pub async fn customer(&self, name: &str, amount: i64) -> Client<'_> {
        let customer = Client::register(self, &format!("{name}@example.com")).await;
        if amount > 0 {
            customer.deposit("first", amount).await;
        }
        customer
    }

    /// The first administrator.
    pub async fn admin(&self) -> Client<'_> {
        Client::log_in(self, ADMIN.0, ADMIN.1).await
    }

    /// Sets the clock.
    pub fn jump(&self, milliseconds: i64) {
        self.watch
            .history
            .add(format_args!("clock set by {milliseconds} ms"));
        self.simulation.clock().jump(milliseconds);
    }

    /// A look into the databases.
    pub fn books(&self) -> Books {
        Books::open(&databases(self.folder.path()))
    }

    /// Waits until nothing is under way.
    pub async fn quiet(&self) {
        let mut under_way = Vec::new();
        for _ in 0..PATIENCE {
            under_way = self.books().under_way();
            if under_way.is_empty() {
                return;
            }
            sleep(LOOK).await;
        }
        panic!("not quiet after {PATIENCE} looks: {}", under_way.join(", "));
    }

    /// The books must add up now.
    pub fn check(&self) {
        self.books().check(0);
        logs::check();
    }

    /// Stops in good order and gives the folder.
    pub async fn stop(self) -> TempDir {
        let host = self.host.take().and_then(Rc::into_inner);
        host.expect("nobody else uses it").stop().await;
        self.folder
    }
}

/// A new folder, in memory where that can be had: what a run writes need not outlive the machine.
pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let in_memory = memory
        .is_dir()
        .then(|| tempfile::tempdir_in(memory).ok())
        .flatten();
    in_memory.unwrap_or_else(|| tempfile::tempdir().expect("a temporary folder"))
}
