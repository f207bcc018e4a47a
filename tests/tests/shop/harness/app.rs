//! The whole shop, on a free port with folders of its own.

use crate::harness::actor::Actor;
use crate::harness::answer::Answer;
use crate::harness::books::Books;
use crate::harness::logs;
use crate::harness::redis::RedisServer;
use crate::harness::running::{Running, Setting, on_spin};
use crate::harness::wait::eventually;
use crate::harness::workspace;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use wasmart_contracts::signature::ChannelKeys;
use wasmart_host::CallHook;

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
        format!("http://{}", self.socket())
    }

    /// The address and the port.
    pub fn socket(&self) -> SocketAddr {
        *self.0.lock().expect("no panic while held")
    }

    /// The shop has moved.
    pub fn move_to(&self, to: SocketAddr) {
        *self.0.lock().expect("no panic while held") = to;
    }
}

/// A running shop.
pub struct App {
    running: Option<Running>,
    setting: Setting,
    address: Address,
    /// Held until the test has ended.
    _folder: TempDir,
    redis: Option<RedisServer>,
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
        // Spin has no channels of its own.
        let redis = on_spin().then(|| RedisServer::start("Spin").expect("Spin needs Redis"));
        App::begin(redis, variables, None, None).await
    }

    /// As [`App::start`], with somebody who interferes; `None` on Spin, which lets nobody.
    pub async fn start_with_hook(test: &str, hook: Arc<dyn CallHook>) -> Option<App> {
        App::start_with_hook_and(test, hook, &[]).await
    }

    /// As [`App::start_with_hook`], with other values for some of the variables.
    pub async fn start_with_hook_and(
        test: &str,
        hook: Arc<dyn CallHook>,
        variables: &[(&str, &str)],
    ) -> Option<App> {
        if on_spin() {
            println!("SKIPPED: {test}: not on Spin");
            return None;
        }
        Some(App::begin(None, variables, Some(hook), None).await)
    }

    /// Starts a shop whose channels are those of a real Redis; `None` where there is no Redis.
    pub async fn start_on_redis(test: &str) -> Option<App> {
        App::start_on_redis_with(test, &[]).await
    }

    /// As [`App::start_on_redis`], with other values for some of the variables.
    pub async fn start_on_redis_with(test: &str, variables: &[(&str, &str)]) -> Option<App> {
        let redis = RedisServer::start(test)?;
        Some(App::begin(Some(redis), variables, None, None).await)
    }

    /// As [`App::start`], from another manifest and with somebody who interferes. Not on Spin.
    pub async fn start_from(manifest: PathBuf, hook: Arc<dyn CallHook>) -> App {
        App::begin(None, &[], Some(hook), Some(manifest)).await
    }

    /// As [`App::start`], from another manifest and with commits that survive the loss of power.
    pub async fn start_durable_from(manifest: PathBuf) -> App {
        App::begin(None, &[("synchronous", "FULL")], None, Some(manifest)).await
    }

    async fn begin(
        redis: Option<RedisServer>,
        variables: &[(&str, &str)],
        hook: Option<Arc<dyn CallHook>>,
        manifest: Option<PathBuf>,
    ) -> App {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let setting = Setting {
            folder: folder.path().to_owned(),
            redis: redis.as_ref().map(RedisServer::url),
            manifest,
            variables: all_variables(variables),
            hook,
        };
        let mut app = App {
            running: None,
            setting,
            address: Address::new(([127, 0, 0, 1], 0).into()),
            _folder: folder,
            redis,
            dead_letters: AtomicUsize::new(0),
            customers: AtomicUsize::new(0),
        };
        app.run().await;
        app
    }

    async fn run(&mut self) {
        logs::keep();
        let running = Running::start(&self.setting).await;
        self.address.move_to(running.address());
        self.running = Some(running);
    }

    /// Stops the shop in good order and starts it again on the same folders.
    pub async fn restart(&mut self) {
        self.restart_after(|_| {}).await;
    }

    /// As [`App::restart`]; in between, something happens to the folder of its databases.
    pub async fn restart_after(&mut self, change: impl FnOnce(&Path)) {
        self.close().await;
        change(&self.databases());
        self.run().await;
    }

    /// As [`App::restart`], with other values for some of the variables.
    pub async fn restart_with(&mut self, variables: &[(&str, &str)]) {
        self.close().await;
        let changed =
            |(name, _): &(String, String)| !variables.iter().any(|(other, _)| other == name);
        self.setting.variables.retain(changed);
        let owned = variables
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        self.setting.variables.extend(owned);
        self.run().await;
    }

    async fn close(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
            logs::check();
            // Spin's, which is a process of its own.
            let log = std::fs::read_to_string(self.setting.folder.join("log"));
            logs::check_log(&log.unwrap_or_default());
        }
    }

    /// The end of a test whose books need not add up.
    pub async fn stop(mut self) {
        self.close().await;
    }

    /// Where the shop is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The folder that holds all databases.
    pub fn databases(&self) -> PathBuf {
        databases(&self.setting.folder)
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

    /// The Redis server that the channels are on.
    pub fn redis(&mut self) -> &mut RedisServer {
        self.redis.as_mut().expect("the channels are on Redis")
    }

    /// Gives a variable another value; it counts after a restart.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        let variables = &mut self.setting.variables;
        variables.retain(|(known, _)| known != name);
        variables.push((name.to_owned(), value.to_owned()));
    }

    /// Publishes a message as a component would: signed, if the shop signs.
    pub async fn publish(&self, channel: &str, message: impl Into<Vec<u8>>) {
        let message = message.into();
        let signed = match &self.setting.channel_keys() {
            Some(keys) => sign(keys, channel, &message),
            None => message,
        };
        self.publish_as_it_is(channel, signed).await;
    }

    /// Publishes a message as somebody who has access to Redis but no key.
    pub async fn publish_as_it_is(&self, channel: &str, message: impl Into<Vec<u8>>) {
        let running = self.running.as_ref().expect("the shop runs");
        let sent = running.publish(channel, message.into()).await;
        sent.unwrap_or_else(|error| panic!("{channel}: {error}"));
    }

    /// What the host does now and then: has a service do what is due.
    pub async fn tick(&self, service: &str) {
        let nobody = self.anonymous();
        let tick = nobody.request("POST", &format!("/internal/{service}/tick"));
        let tick = tick.header("x-internal-secret", workspace::keys().internal_secret());
        nobody.send(tick).await.expect(204);
    }

    /// Sends a request to an internal path with the shared secret, as an operator's command does.
    pub async fn operate(&self, method: &str, path: &str, body: &serde_json::Value) -> Answer {
        let nobody = self.anonymous();
        let request = nobody.request(method, path).json(body);
        let request = request.header("x-internal-secret", workspace::keys().internal_secret());
        nobody.send(request).await
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
        let dead_letters = self.dead_letters.load(Ordering::Relaxed);
        check_when_quiet(&self.databases(), dead_letters).await;
        self.close().await;
    }
}

/// Signs each event of a message. Anything that is not an event or not a message stays as it is.
pub fn sign(keys: &ChannelKeys, channel: &str, message: &[u8]) -> Vec<u8> {
    let Ok(mut elements) = serde_json::from_slice::<Vec<Value>>(message) else {
        return message.to_vec();
    };
    for element in &mut elements {
        if let Value::Object(event) = element {
            keys.sign(channel, event);
        }
    }
    Value::Array(elements).to_string().into_bytes()
}

/// Values for all variables of `spin.toml` that need one; `others` come on top.
fn all_variables(others: &[(&str, &str)]) -> Vec<(String, String)> {
    let keys = workspace::keys();
    logs::secret(keys.internal_secret());
    logs::secret(keys.channel_keys());
    let mut variables: Vec<(&str, &str)> = keys.variables().to_vec();
    variables.extend([
        ("admin_email", ADMIN.0),
        ("admin_password", ADMIN.1),
        // All that the tests ask comes from one address.
        ("rate_limit_per_minute", "0"),
        // Nothing here outlives a loss of power, and a busy disk would only make tests slow.
        ("synchronous", "NORMAL"),
    ]);
    variables.retain(|(name, _)| !others.iter().any(|(other, _)| other == name));
    variables.extend(others);
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    variables.into_iter().map(owned).collect()
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
        let late = begun.elapsed() > crate::harness::wait::PATIENCE * 9 / 10;
        assert!(quiet > 0 || !late, "not quiet: {}", last.join(", "));
        (quiet >= 3).then_some(())
    })
    .await;
}

/// Waits until nothing is under way, and checks that the books add up with so many dead letters.
pub async fn check_when_quiet(databases: &Path, dead_letters: usize) {
    wait_until_quiet(databases).await;
    Books::open(databases).check(dead_letters);
}
