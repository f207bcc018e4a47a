//! `kill -9` under load: whatever was answered is there afterwards, and everything comes to an end.

use crate::harness::actor::{PLENTY, id_of};
use crate::harness::app::{ADMIN, wait_until_quiet};
use crate::harness::books::Books;
use crate::harness::process::Process;
use crate::harness::{Actor, eventually};
use serde_json::json;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Kills, each at another moment of the work.
const KILLS: u64 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn no_order_that_was_answered_is_lost_or_left_half_done() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut shop = Process::start(folder.path());
    let admin = Actor::log_in(shop.address(), ADMIN.0, ADMIN.1).await;
    let tea = admin.sell("Tea", 100, 1_000).await;
    let ann = Actor::register(shop.address(), "ann@example.com").await;
    ann.deposit(PLENTY).await;

    let mut answered = HashSet::new();
    for kill in 0..KILLS {
        let stop = AtomicBool::new(false);
        let buy = buy_until(&stop, &ann, &tea);
        let end = async {
            tokio::time::sleep(Duration::from_millis(150 + 70 * kill)).await;
            shop.kill();
            stop.store(true, Ordering::Relaxed);
        };
        let (orders, ()) = futures::join!(buy, end);
        assert!(!orders.is_empty(), "nothing was ordered before the kill");
        answered.extend(orders);
        shop.start_again();
    }
    for order in &answered {
        let end = ann.wait_for_end(order).await;
        assert!(
            ["paid", "canceled"].contains(&end.as_str()),
            "{order} is {end}"
        );
    }
    wait_until_quiet(&shop.databases()).await;
    let faults = Books::open(&shop.databases()).faults(0);
    assert!(
        faults.is_empty(),
        "the books are wrong:\n  {}",
        faults.join("\n  ")
    );
}

/// Orders one after the other, two at a time, and gives the ids of those that were answered.
async fn buy_until(stop: &AtomicBool, ann: &Actor, tea: &str) -> Vec<String> {
    let buy = async || {
        let mut orders = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let order = json!({"lines": [{"item_id": tea, "quantity": 1}]});
            let request = ann.request("POST", "/orders").json(&order);
            if let Some(answer) = ann.try_send(request).await {
                orders.push(id_of(&answer.expect(201)));
            }
        }
        orders
    };
    let (one, two) = futures::join!(buy(), buy());
    [one, two].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_that_was_answered_is_there_after_a_kill() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut shop = Process::start(folder.path());
    let ann = Actor::register(shop.address(), "ann@example.com").await;
    for amount in 1..=3 {
        ann.deposit(amount).await;
        shop.kill();
        shop.start_again();
    }
    assert_eq!(ann.balance().await, 6);
    eventually("the notifications", async || {
        (ann.get("/notifications").await.data().len() == 3).then_some(())
    })
    .await;
}
