//! The operator's commands on a live shop: what they show, what they do, and how they refuse.

mod dead_letters;
mod sagas;

use crate::harness::actor::PLENTY;
use crate::harness::app::{ADMIN, Address, check_when_quiet};
use crate::harness::process::{Process, operator, said};
use crate::harness::redis::{RedisServer, subscribers};
use crate::harness::{Actor, eventually};
use rusqlite::Connection;
use std::path::Path;
use tempfile::TempDir;

/// A shop on Redis with a few orders in it, and those who look after it.
struct Shop {
    process: Process,
    redis: RedisServer,
    admin: Actor,
    ann: Actor,
    tea: String,
    _folder: TempDir,
}

impl Shop {
    async fn start(test: &str) -> Option<Shop> {
        Shop::start_with(test, &[]).await
    }

    async fn start_with(test: &str, options: &[&str]) -> Option<Shop> {
        let redis = RedisServer::start(test)?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = redis.url();
        let usual = ["--redis", &url, "--variable", "synchronous=NORMAL"];
        let process = Process::start_with(folder.path(), &[&usual, options].concat());
        let admin = Actor::log_in(process.address(), ADMIN.0, ADMIN.1).await;
        let tea = admin.sell("Tea", 100, 50).await;
        let ann = Actor::register(process.address(), "ann@example.com").await;
        ann.deposit(PLENTY).await;
        Some(Shop {
            process,
            redis,
            admin,
            ann,
            tea,
            _folder: folder,
        })
    }

    /// An order that has come to this end.
    async fn order(&self, end: &str) -> String {
        let id = self.ann.order(&self.tea, 1).await;
        self.ann.wait_for(&id, "paid").await;
        match end {
            "completed" => drop(self.admin.execute(&id, "complete").await.expect(200)),
            "canceled" => drop(self.ann.execute(&id, "cancel").await.expect(200)),
            _ => {}
        }
        self.ann.wait_for(&id, end).await;
        id
    }

    fn address(&self) -> &Address {
        self.process.address()
    }

    /// Runs an operator's command that must succeed.
    #[track_caller]
    fn run(&self, words: &[&str]) -> String {
        let (status, said) = said(&mut operator(self.address(), words));
        assert_eq!(status, Some(0), "{words:?}: {said}");
        said
    }

    /// Runs an operator's command that must be refused, with a line that says why.
    #[track_caller]
    fn refused(&self, words: &[&str]) -> String {
        let (status, said) = said(&mut operator(self.address(), words));
        assert_eq!(status, Some(1), "{words:?}: {said}");
        assert!(said.starts_with("error: "), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        said
    }

    /// Waits until a command says all of these words.
    async fn until_it_says(&self, command: &[&str], words: &[&str]) -> String {
        eventually(&format!("{command:?} says {words:?}"), async || {
            let said = self.run(command);
            words.iter().all(|word| said.contains(word)).then_some(said)
        })
        .await
    }

    /// As if what is unanswered had been sent for two minutes: eight times, and once more in a minute.
    fn let_two_minutes_pass(&mut self) {
        self.process.kill();
        let later = "UPDATE outbox SET attempts = 8,
            next_attempt_at = CAST(unixepoch('subsec') * 1000 AS INTEGER) + 60000";
        tamper(&self.process.databases(), "orders", later);
        self.process.start_again();
    }

    /// Waits until nothing is under way, and checks the books.
    async fn check(&self) {
        check_when_quiet(&self.process.databases(), 0).await;
    }

    /// Waits until the host listens to Redis again.
    async fn until_it_listens(&self) {
        eventually("a subscription", async || {
            (subscribers(&self.redis.url(), "stock_changes").ok()? > 0).then_some(())
        })
        .await;
    }
}

#[track_caller]
fn says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "not a word of {word}: {said}");
    }
}

/// Changes a database behind the services' back: what an accident or the passing of time would do.
fn tamper(databases: &Path, service: &str, sql: &str) {
    let database = Connection::open(databases.join(format!("{service}.db"))).expect("opened");
    database.execute_batch(sql).expect("changed");
}
