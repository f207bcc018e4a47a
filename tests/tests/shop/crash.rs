//! `kill -9` under load: whatever was answered is there afterwards, once, and everything comes to an end.

use crate::harness::actor::{PLENTY, id_of, order_of};
use crate::harness::app::{ADMIN, check_when_quiet};
use crate::harness::books::Books;
use crate::harness::process::Process;
use crate::harness::{Actor, eventually};
use futures::StreamExt;
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const BUYERS: usize = 4;
/// How long the host has lived when it is killed, each time: in the middle of its start, of its first
/// work, and later.
const LIVES_MS: [u64; 6] = [450, 30, 170, 700, 90, 300];

/// More than a thousand orders are made; all at once they would find no room in the host, which is not the question here.
const CHECKED_AT_ONCE: usize = 64;

/// What a buyer was told.
struct Told {
    buyer: Actor,
    key: String,
    order: String,
    /// Whether the shop has agreed to cancel it.
    canceled: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_order_that_was_answered_is_lost_or_left_half_done_or_made_twice() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut shop = Process::start(folder.path());
    let admin = Actor::log_in(shop.address(), ADMIN.0, ADMIN.1).await;
    let tea = admin.sell("Tea", 10, 100_000).await;
    let rare = admin.sell("Rare tea", 10, 5).await;

    let stop = Arc::new(AtomicBool::new(false));
    let mut buying = Vec::new();
    for number in 0..BUYERS {
        let buyer = Actor::register(shop.address(), &format!("b{number}@example.com")).await;
        buyer.deposit(PLENTY).await;
        let (tea, rare, stop) = (tea.clone(), rare.clone(), stop.clone());
        buying.push(tokio::spawn(buy_until(stop, buyer, tea, rare)));
    }
    for life in LIVES_MS {
        tokio::time::sleep(Duration::from_millis(life)).await;
        shop.kill();
        shop.start_again();
    }
    stop.store(true, Ordering::Relaxed);
    let mut told = Vec::new();
    for buyer in buying {
        told.extend(buyer.await.expect("no panic"));
    }
    assert!(
        told.len() > 2 * LIVES_MS.len(),
        "hardly anything was bought"
    );

    check_when_quiet(&shop.databases(), 0).await;
    let told_all = futures::stream::iter(&told);
    told_all.for_each_concurrent(CHECKED_AT_ONCE, check).await;
    let distinct: HashSet<&String> = told.iter().map(|told| &told.order).collect();
    assert_eq!(distinct.len(), told.len(), "two keys have one order");
    let made = Books::open(&shop.databases()).number("SELECT count(*) FROM orders.orders");
    assert_eq!(made as usize, told.len(), "one order for each key");
    let left = admin.item(&rare).await["available"].clone();
    assert!(left.as_i64().is_some_and(|left| left >= 0), "{left}");
}

/// Orders one after the other, each under a key of its own, and cancels every third, until told to stop.
async fn buy_until(stop: Arc<AtomicBool>, buyer: Actor, tea: String, rare: String) -> Vec<Told> {
    let mut told = Vec::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("k{number}");
        let item = if number % 5 == 4 { &rare } else { &tea };
        let order = buyer.order_once(&key, item).await;
        let mut canceled = false;
        if number % 3 == 2 {
            let path = format!("/orders/{order}/execute");
            let cancel = json!({"action": "cancel"});
            buyer
                .insist(&format!("cancel {key}"), &path, &cancel)
                .await
                .expect(200);
            canceled = true;
        }
        let buyer = buyer.clone();
        told.push(Told {
            buyer,
            key,
            order,
            canceled,
        });
    }
    told
}

/// What a buyer was told holds after all the kills.
async fn check(told: &Told) {
    let Told { buyer, order, .. } = told;
    let now = buyer.read_order(order).await;
    let (status, reason) = (&now["status"], &now["reason"]);
    if told.canceled {
        // Stock may have refused it before.
        let why = ["canceled_by_customer", "out_of_stock"].map(|why| json!(why));
        assert!(*status == "canceled" && why.contains(reason), "{now}");
    } else {
        assert!(
            *status == "paid" || (*status == "canceled" && *reason == "out_of_stock"),
            "{now}"
        );
    }
    // The same key once more, in a quiet shop: the same answer.
    let item = now["lines"][0]["item_id"].as_str().expect("an item");
    let body = order_of(&[(item, 1)]);
    let again = buyer.post_once(&told.key, "/orders", &body).await;
    assert_eq!(id_of(&again.expect(201)), *order);
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
    check_when_quiet(&shop.databases(), 0).await;
}
