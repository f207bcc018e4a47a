//! Redis is gone, hangs, or was never there: orders are taken all the same, and settle by themselves
//! when it is back.

use crate::harness::Actor;
use crate::harness::actor::PLENTY;
use crate::harness::app::{ADMIN, check_when_quiet};
use crate::harness::process::Process;
use crate::harness::redis::RedisServer;
use futures::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const BUYERS: usize = 3;
/// The longest that a buyer may have to wait for the answer to an order: one attempt to reach Redis.
const LONGEST: Duration = Duration::from_secs(8);

/// A shop whose Redis fails, and buyers who do not care.
struct Outage {
    redis: RedisServer,
    shop: Process,
    buyers: Vec<Actor>,
    tea: String,
    _folder: TempDir,
}

impl Outage {
    /// `None` where there is no Redis to fail.
    async fn start(test: &str, redis_is_there: bool) -> Option<Outage> {
        let mut redis = RedisServer::start(test)?;
        if !redis_is_there {
            redis.stop();
        }
        let url = redis.url();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = ["--redis", &url, "--variable", "synchronous=NORMAL"];
        let shop = Process::start_with(folder.path(), &options);
        let admin = Actor::log_in(shop.address(), ADMIN.0, ADMIN.1).await;
        let tea = admin.sell("Tea", 1, 100_000).await;
        let buyers = join_all((0..BUYERS).map(async |number| {
            let email = format!("b{number}@example.com");
            let buyer = Actor::register(shop.address(), &email).await;
            buyer.deposit(PLENTY).await;
            buyer
        }));
        Some(Outage {
            buyers: buyers.await,
            redis,
            shop,
            tea,
            _folder: folder,
        })
    }

    /// Lets all buyers buy while `fail` goes on. Every order must be taken at the first attempt.
    async fn buy_while(
        &mut self,
        fail: impl AsyncFnOnce(&mut RedisServer),
    ) -> Vec<(Actor, String)> {
        let stop = Arc::new(AtomicBool::new(false));
        let buyers = self.buyers.iter().map(|buyer| {
            let (stop, buyer, tea) = (stop.clone(), buyer.clone(), self.tea.clone());
            tokio::spawn(buy_until(stop, buyer, tea))
        });
        let buyers: Vec<_> = buyers.collect();
        fail(&mut self.redis).await;
        stop.store(true, Ordering::Relaxed);
        let mut orders = Vec::new();
        for buyer in buyers {
            orders.extend(buyer.await.expect("every order is taken"));
        }
        orders
    }

    /// Everything that was ordered is paid for in the end, and nobody had to do anything.
    async fn all_settle(self, orders: Vec<(Actor, String)>) {
        check_when_quiet(&self.shop.databases(), 0).await;
        for (buyer, order) in orders {
            let order = buyer.read_order(&order).await;
            assert_eq!(order["status"], "paid", "{order}");
        }
    }
}

async fn buy_until(stop: Arc<AtomicBool>, buyer: Actor, tea: String) -> Vec<(Actor, String)> {
    let mut orders = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let order = buyer.order(&tea, 1).await;
        assert!(begun.elapsed() < LONGEST, "{:?}", begun.elapsed());
        orders.push((buyer.clone(), order));
        // A person needs longer; enough to leave the rest of the machine something.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    orders
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_taken_while_redis_is_dead_and_settle_after_its_restart() {
    let Some(mut outage) = Outage::start(module_path!(), true).await else {
        return;
    };
    let fail = async |redis: &mut RedisServer| {
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            redis.stop();
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            redis.start_again();
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    let orders = outage.buy_while(fail).await;
    assert!(orders.len() > 50, "only {} orders", orders.len());
    outage.all_settle(orders).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_taken_while_redis_hangs_and_settle_when_it_goes_on() {
    let Some(mut outage) = Outage::start(module_path!(), true).await else {
        return;
    };
    let fail = async |redis: &mut RedisServer| {
        tokio::time::sleep(Duration::from_millis(300)).await;
        redis.pause();
        // Past the time after which the host gives an attempt up.
        tokio::time::sleep(Duration::from_millis(6_500)).await;
        redis.resume();
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    let orders = outage.buy_while(fail).await;
    assert!(orders.len() > 50, "only {} orders", orders.len());
    outage.all_settle(orders).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_taken_before_redis_is_there_and_settle_when_it_comes() {
    let Some(mut outage) = Outage::start(module_path!(), false).await else {
        return;
    };
    let fail = async |redis: &mut RedisServer| {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        redis.start_again();
    };
    let orders = outage.buy_while(fail).await;
    assert!(orders.len() > 20, "only {} orders", orders.len());
    outage.all_settle(orders).await;
}
