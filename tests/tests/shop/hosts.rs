//! Two hosts on the same databases and the same Redis: each message reaches both, each does what it can,
//! and nothing is done twice, whatever becomes of one of them.

use crate::harness::actor::PLENTY;
use crate::harness::app::{ADMIN, check_when_quiet};
use crate::harness::books::Books;
use crate::harness::process::Process;
use crate::harness::redis::{RedisServer, subscribers};
use crate::harness::wait::within;
use crate::harness::{Actor, eventually};
use futures::future::join_all;
use rusqlite::{Connection, OpenFlags};
use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// Two hosts of one shop.
struct Hosts {
    one: Process,
    two: Process,
    redis: RedisServer,
    _folder: TempDir,
}

impl Hosts {
    /// Starts both on empty databases; `None` where there is no Redis.
    async fn start(test: &str) -> Option<Hosts> {
        let redis = RedisServer::start(test)?;
        let url = redis.url();
        let folder = tempfile::tempdir().expect("a temporary folder");
        // What a busy disk costs is not the question here.
        let options = ["--redis", &url, "--variable", "synchronous=NORMAL"];
        let hosts = Hosts {
            one: Process::start_with(folder.path(), &options),
            two: Process::start_with(folder.path(), &options),
            redis,
            _folder: folder,
        };
        eventually("both listen", async || {
            (subscribers(&url, "stock_changes").ok()? == 2).then_some(())
        })
        .await;
        Some(hosts)
    }

    async fn admin(&self) -> Actor {
        Actor::log_in(self.one.address(), ADMIN.0, ADMIN.1).await
    }

    async fn customer(&self, name: &str) -> Actor {
        let customer = Actor::register(self.one.address(), &format!("{name}@example.com")).await;
        customer.deposit(PLENTY).await;
        customer
    }

    fn books(&self) -> Books {
        Books::open(&self.one.databases())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_sell_no_more_than_there_is_and_one_goes_on_when_the_other_is_killed() {
    let Some(mut hosts) = Hosts::start(module_path!()).await else {
        return;
    };
    let admin = hosts.admin().await;
    let (tea, rare) = (
        admin.sell("Tea", 10, 10_000).await,
        admin.sell("Rare tea", 10, 7).await,
    );
    let mut buying = Vec::new();
    for number in 0..4 {
        let one = hosts.customer(&format!("b{number}")).await;
        let two = one.at(hosts.two.address());
        let (tea, rare) = (tea.clone(), rare.clone());
        buying.push(tokio::spawn(async move {
            let mut orders = Vec::new();
            for number in 0..14 {
                let item = if number % 2 == 0 { &rare } else { &tea };
                orders.push(buy_at_both(&one, &two, &format!("k{number}"), item).await);
            }
            orders
        }));
    }
    let after = async |count: i64| {
        eventually("orders", async || {
            let made = hosts.books().number("SELECT count(*) FROM orders.orders");
            (made >= count).then_some(())
        })
        .await;
    };
    // Each sleeps a few times, wherever it is, also in a transaction: then the other must wait for it.
    for count in 1..=6 {
        after(count * 2).await;
        let host = if count % 2 == 0 {
            &hosts.one
        } else {
            &hosts.two
        };
        host.pause();
        tokio::time::sleep(Duration::from_millis(150)).await;
        host.resume();
    }
    // Well before the last order.
    after(20).await;
    hosts.one.kill();
    // Its clients go where the shop still is.
    let there = hosts.two.address().socket();
    hosts.one.address().move_to(there);
    let mut orders = Vec::new();
    for buyer in buying {
        orders.extend(buyer.await.expect("no panic"));
    }
    let distinct: HashSet<&String> = orders.iter().collect();
    assert_eq!((distinct.len(), orders.len()), (56, 56));

    check_when_quiet(&hosts.two.databases(), 0).await;
    let count = |what: &str| {
        hosts
            .books()
            .number(&format!("SELECT count(*) FROM {what}"))
    };
    assert_eq!(count("orders.orders"), 56, "one order for each key");
    assert_eq!(count("orders.orders WHERE state = 'paid'"), 28 + 7);
    let out = "orders.orders WHERE state = 'canceled' AND reason = 'out_of_stock'";
    assert_eq!(count(out), 28 - 7);
    assert_eq!(admin.item(&rare).await["reserved"], 7);
}

/// Orders one piece at both hosts at the same time, under one key: one order.
async fn buy_at_both(one: &Actor, two: &Actor, key: &str, item: &str) -> String {
    let (here, there) = futures::join!(one.order_once(key, item), two.order_once(key, item));
    assert_eq!(here, there, "{key} made two orders");
    here
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_wakes_past_its_lease_does_nothing_twice() {
    let Some(hosts) = Hosts::start(module_path!()).await else {
        return;
    };
    let admin = hosts.admin().await;
    let tea = admin.sell("Tea", 10, 100).await;
    let ann = hosts.customer("ann").await;
    let at_two = ann.at(hosts.two.address());
    check_when_quiet(&hosts.one.databases(), 0).await;

    let held = fall_asleep_while_sending(&hosts, &ann, &tea).await;
    // The other goes on, with what is new, and in the end with what the sleeper holds.
    let order = async |n: usize| at_two.order_once(&format!("new{n}"), &tea).await;
    let new = join_all((0..5).map(order)).await;
    let orders = [held, new].concat();
    for order in &orders {
        at_two.wait_for(order, "paid").await;
    }
    // What the sleeper sends on waking comes after its undo here, and after its end there.
    let (back, kept) = orders.split_at(orders.len() / 2);
    for order in back {
        at_two.execute(order, "cancel").await.expect(200);
        at_two.wait_for(order, "canceled").await;
    }
    let completed = &kept[0];
    let admin = admin.at(hosts.two.address());
    admin.execute(completed, "complete").await.expect(200);
    at_two.wait_for(completed, "completed").await;
    check_when_quiet(&hosts.two.databases(), 0).await;
    let before = history(&hosts);

    hosts.one.resume();
    // It serves again, takes in all that was said meanwhile, and its lease is gone.
    let last = ann.order_once("last", &tea).await;
    ann.wait_for(&last, "paid").await;
    check_when_quiet(&hosts.one.databases(), 0).await;
    let after = history(&hosts);
    assert_eq!(after[..before.len()], before[..], "the past has changed");
    assert_eq!(after.len(), before.len() + 3, "{after:#?}");
    let admin = admin.at(hosts.one.address());
    assert_eq!(admin.item(&tea).await["reserved"], kept.len());
    let paid = i64::try_from(kept.len() + 1).expect("few");
    assert_eq!(ann.balance().await, PLENTY - 10 * paid);
}

/// Every change of state of every order.
fn history(hosts: &Hosts) -> Vec<String> {
    let sql = "SELECT order_id, event, to_state FROM orders.order_events ORDER BY id";
    hosts.books().rows(sql)
}

/// Pauses host one after it has taken the lease and marked what it sends, before it is through with
/// it: Redis keeps it waiting there. Gives the orders that it holds.
async fn fall_asleep_while_sending(hosts: &Hosts, ann: &Actor, tea: &str) -> Vec<String> {
    let databases = hosts.one.databases();
    let mut held = Vec::new();
    within(
        Duration::from_secs(20),
        "asleep with the lease",
        async || {
            hosts.redis.pause();
            let first = held.len();
            let keys = (0..3).map(|n| format!("held{}", first + n));
            let orders = keys.map(|key| {
                let (ann, tea) = (ann.clone(), tea.to_owned());
                tokio::spawn(async move { ann.order_once(&key, &tea).await })
            });
            let orders: Vec<_> = orders.collect();
            eventually("a lease", async || lease_is_held(&databases).then_some(())).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            hosts.one.pause();
            hosts.redis.resume();
            // Were it the other's lease, it would be given back at once now.
            tokio::time::sleep(Duration::from_millis(300)).await;
            let asleep = lease_is_held(&databases) && nobody_writes(&databases);
            if !asleep {
                hosts.one.resume();
            }
            // A client of the sleeper hears nothing, and asks the other.
            let at_two = ann.at(hosts.two.address());
            for (n, order) in orders.into_iter().enumerate() {
                order.abort();
                held.push(at_two.order_once(&format!("held{}", first + n), tea).await);
            }
            asleep.then_some(())
        },
    )
    .await;
    held
}

/// Whether somebody has the right to send what waits in the outbox of orders.
fn lease_is_held(databases: &Path) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("after 1970").as_millis();
    let until = Books::open(databases).number("SELECT until FROM orders.drain_lease");
    u128::try_from(until).is_ok_and(|until| until > now)
}

/// Whether all databases could be written. SQLite's lock belongs to the process, also while it sleeps:
/// one that fell asleep with it would hold up the other, which is true but not what is asked here.
fn nobody_writes(databases: &Path) -> bool {
    crate::harness::books::SERVICES.iter().all(|service| {
        let path = databases.join(format!("{service}.db"));
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let connection = Connection::open_with_flags(path, flags).expect("a database");
        let patience = connection.busy_timeout(Duration::from_millis(100));
        patience.expect("a timeout");
        connection
            .execute_batch("BEGIN IMMEDIATE; ROLLBACK")
            .is_ok()
    })
}
