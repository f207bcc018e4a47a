//! The whole shop, in this process: the embedded host on a free port with folders of its own.

use crate::actor::Actor;
use crate::books::Books;
use crate::redis::RedisServer;
use crate::wait::eventually;
use crate::workspace::{self, Lock};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use wasmart_host::{Host, HostBuilder, Redis};

/// The first administrator of every shop here.
pub const ADMIN: (&str, &str) = ("boss@example.com", "the boss's password");

/// Where the shop is now; a restart may move it.
#[derive(Clone)]
pub struct Address(Arc<Mutex<SocketAddr>>);

impl Address {
    /// An address that may move.
    pub fn new(at: SocketAddr) -> Address {
        Address(Arc::new(Mutex::new(at)))
    }

    /// `http://127.0.0.1:12345`
    pub fn url(&self) -> String {
        format!("http://{}", self.0.lock().expect("no panic while held"))
    }

    /// The shop has moved.
    pub fn move_to(&self, to: SocketAddr) {
        *self.0.lock().expect("no panic while held") = to;
    }
}

/// A running shop.
pub struct App {
    host: Option<Host>,
    address: Address,
    folder: TempDir,
    redis: Option<RedisServer>,
    variables: Vec<(String, String)>,
    dead_letters: AtomicUsize,
    customers: AtomicUsize,
}

impl App {
    /// Starts a shop whose channels stay within the process.
    pub async fn start() -> App {
        App::start_with(&[]).await
    }

    /// As [`App::start`], with other values for some of the variables in `spin.toml`.
    pub async fn start_with(variables: &[(&str, &str)]) -> App {
        App::begin(None, variables).await
    }

    /// Starts a shop whose channels are those of a real Redis; `None` where there is no Redis.
    pub async fn start_on_redis(test: &str) -> Option<App> {
        let redis = RedisServer::start(test)?;
        Some(App::begin(Some(redis), &[]).await)
    }

    async fn begin(redis: Option<RedisServer>, variables: &[(&str, &str)]) -> App {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut app = App {
            host: None,
            address: Address::new(([127, 0, 0, 1], 0).into()),
            folder: tempfile::tempdir().expect("a temporary folder"),
            redis,
            variables: variables.iter().map(owned).collect(),
            dead_letters: AtomicUsize::new(0),
            customers: AtomicUsize::new(0),
        };
        app.run().await;
        app
    }

    async fn run(&mut self) {
        let builder = self.builder();
        // One start at a time: the first one compiles, the others find the code.
        let starting = tokio::task::spawn_blocking(|| Lock::take("start")).await;
        let host = builder.build().await.unwrap_or_else(|error| panic!("{error}"));
        drop(starting);
        self.address.move_to(host.addr());
        self.host = Some(host);
    }

    fn builder(&self) -> HostBuilder {
        let root = workspace::root();
        let mut builder = Host::builder()
            .manifest(root.join("spin.toml"))
            .runtime_config(root.join("runtime-config.toml"))
            .state_dir(self.folder.path().join("state"))
            .data_dir(self.folder.path())
            .cache_dir(workspace::code_cache())
            .process_environment(false)
            .variable("admin_email", ADMIN.0)
            .variable("admin_password", ADMIN.1)
            // Nothing here outlives a loss of power, and a busy disk would only make tests slow.
            .variable("synchronous", "NORMAL")
            .redis(match &self.redis {
                Some(redis) => Redis::Server(redis.url()),
                None => Redis::InProcess,
            })
            .listen(([127, 0, 0, 1], 0).into());
        for (name, value) in workspace::keys().variables() {
            builder = builder.variable(name, value);
        }
        for (name, value) in &self.variables {
            builder = builder.variable(name, value);
        }
        builder
    }

    /// Stops the shop in good order and starts it again on the same folders.
    pub async fn restart(&mut self) {
        if let Some(host) = self.host.take() {
            host.stop().await;
        }
        self.run().await;
    }

    /// Where the shop is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The folder that holds all databases.
    pub fn databases(&self) -> PathBuf {
        databases(self.folder.path())
    }

    /// Somebody without an account.
    pub fn anonymous(&self) -> Actor {
        Actor::anonymous(&self.address)
    }

    /// A new customer.
    pub async fn customer(&self) -> Actor {
        let number = self.customers.fetch_add(1, Ordering::Relaxed);
        Actor::register(&self.address, &format!("customer{number}@example.com")).await
    }

    /// A new customer with so much in the wallet.
    pub async fn customer_with(&self, amount: i64) -> Actor {
        let customer = self.customer().await;
        customer.deposit(amount).await;
        customer
    }

    /// The first administrator.
    pub async fn admin(&self) -> Actor {
        Actor::log_in(&self.address, ADMIN.0, ADMIN.1).await
    }

    /// A manager, made by the administrator.
    pub async fn manager(&self) -> Actor {
        let mut manager = self.customer().await;
        let role = serde_json::json!({"role": "manager"});
        let path = format!("/auth/users/{}/role", manager.id);
        self.admin().await.put(&path, &role).await.expect(200);
        manager.log_in_again().await;
        manager
    }

    /// Publishes a message as if a component had.
    pub async fn publish(&self, channel: &str, message: impl Into<Vec<u8>>) {
        let host = self.host.as_ref().expect("the shop runs");
        let sent = host.publish(channel, message.into()).await;
        sent.unwrap_or_else(|error| panic!("{channel}: {error}"));
    }

    /// Tells [`App::finish`] that so many more messages will have been set aside.
    pub fn expect_dead_letters(&self, count: usize) {
        self.dead_letters.fetch_add(count, Ordering::Relaxed);
    }

    /// A look into the databases.
    pub fn books(&self) -> Books {
        Books::open(&self.databases())
    }

    /// Waits until nothing is under way any more: every event answered, no saga waiting.
    pub async fn quiet(&self) {
        wait_until_quiet(&self.databases()).await;
    }

    /// The end of a test: once all is quiet, the books must add up.
    pub async fn finish(mut self) {
        self.quiet().await;
        let faults = self.books().faults(self.dead_letters.load(Ordering::Relaxed));
        assert!(faults.is_empty(), "the books are wrong:\n  {}", faults.join("\n  "));
        if let Some(host) = self.host.take() {
            host.stop().await;
        }
    }
}

/// Where the runtime configuration puts the databases below a host's data folder.
pub fn databases(folder: &Path) -> PathBuf {
    folder.join(".wasmart")
}

/// Waits until the books say twice in a row that nothing is under way.
pub async fn wait_until_quiet(databases: &Path) {
    let mut quiet = 0;
    let mut last = Vec::new();
    let begun = std::time::Instant::now();
    eventually("quiet", async || {
        last = Books::open(databases).under_way();
        quiet = if last.is_empty() { quiet + 1 } else { 0 };
        let late = begun.elapsed() > crate::wait::PATIENCE * 9 / 10;
        assert!(quiet > 0 || !late, "not quiet: {}", last.join(", "));
        (quiet >= 3).then_some(())
    })
    .await;
}
