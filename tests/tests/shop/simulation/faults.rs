//! One fault at a time, in simulated time: answers that come after the deadline, undos that overtake what they undo,
//! participants that are away for minutes, clocks that are set.

use super::template::{PIECES, PRICE, Template, WALLET};
use super::watch::Rules;
use super::{Client, Shop, block_on};
use futures::future::join_all;
use serde_json::Value;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use wasmart_host::{CallHook, Delivery, Fate, HostCall, Verdict};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR_MS: i64 = 3_600_000;

/// What is done to each message; the calls pass.
struct Messages<F>(F);

impl<F: Fn(&Delivery<'_>, &str) -> Fate + Send + Sync + 'static> CallHook for Messages<F> {
    fn deliver(&self, message: &Delivery<'_>) -> Fate {
        (self.0)(message, &String::from_utf8_lossy(message.payload))
    }
}

impl<F: Fn(&Delivery<'_>, &str) -> Fate + Send + Sync + 'static> Rules for Messages<F> {}

/// What is done at each call; messages pass.
struct Calls<F>(F);

impl<F: Fn(&HostCall<'_>) -> Verdict + Send + Sync + 'static> CallHook for Calls<F> {
    fn before(&self, call: &HostCall<'_>) -> Verdict {
        (self.0)(call)
    }
}

impl<F: Fn(&HostCall<'_>) -> Verdict + Send + Sync + 'static> Rules for Calls<F> {}

fn late(by: Duration) -> Fate {
    Fate::Copies(vec![by])
}

fn lost() -> Fate {
    Fate::Copies(vec![])
}

/// Opens a copy of the shop, lets `act` do its part under the rules, and checks the books when all is quiet.
fn with_rules(rules: impl Rules, act: impl AsyncFnOnce(&Shop, &Template)) {
    let template = Template::make();
    block_on(async {
        let shop = template.open(Arc::new(rules), None).await;
        shop.watch.set(true);
        act(&shop, &template).await;
        shop.quiet().await;
        shop.check();
    });
}

/// The order was called off, and everything is where it was.
async fn is_undone(ann: &Client<'_>, template: &Template, order: &str, reason: &str) {
    let order = ann.read_order(order).await;
    assert_eq!(
        (&order["status"], &order["reason"]),
        (&"canceled".into(), &reason.into())
    );
    assert_eq!(ann.balance().await, WALLET);
    assert_eq!(ann.item(template.item()).await["available"], PIECES);
}

async fn sagas(admin: &Client<'_>) -> Vec<Value> {
    let (status, list) = admin.insist("GET", "/sagas", None, None).await;
    assert_eq!(status, 200, "{list}");
    list["data"].as_array().expect("a list").clone()
}

#[test]
fn an_answer_that_comes_after_the_deadline_changes_nothing_and_the_undo_wins() {
    for answer in ["stock.reserved", "payment.charged"] {
        let rules = Messages(
            move |_: &Delivery<'_>, text: &str| match text.contains(answer) {
                true => late(2 * MINUTE),
                false => Fate::Deliver,
            },
        );
        with_rules(rules, async |shop, template| {
            let ann = template.buyer(shop);
            let order = ann.order("late", &[(template.item(), 2)]).await;
            assert_eq!(ann.wait_for_end(&order).await, "canceled");
            sleep(5 * MINUTE).await;
            is_undone(&ann, template, &order, "timeout").await;
        });
    }
}

#[test]
fn an_undo_that_overtakes_its_action_bars_it() {
    for action in ["stock.reserve\"", "payment.charge\""] {
        let rules = Messages(
            move |_: &Delivery<'_>, text: &str| match text.contains(action) {
                true => late(3 * MINUTE),
                false => Fate::Deliver,
            },
        );
        with_rules(rules, async |shop, template| {
            let ann = template.buyer(shop);
            let order = ann.order("overtaken", &[(template.item(), 2)]).await;
            sleep(SECOND).await;
            assert_eq!(ann.execute(&order, "cancel").await, 200);
            assert_eq!(ann.wait_for_end(&order).await, "canceled");
            // Long enough for the action to arrive.
            sleep(5 * MINUTE).await;
            is_undone(&ann, template, &order, "canceled_by_customer").await;
        });
    }
}

#[test]
fn every_message_ten_times_at_once_is_as_good_as_once() {
    let rules = Messages(|_: &Delivery<'_>, _: &str| Fate::Copies(vec![Duration::ZERO; 10]));
    with_rules(rules, async |shop, template| {
        let ann = template.buyer(shop);
        let order = ann.order("ten", &[(template.item(), 2)]).await;
        assert_eq!(ann.wait_for_end(&order).await, "paid");
        assert_eq!(ann.balance().await, WALLET - 2 * PRICE);
        assert_eq!(ann.execute(&order, "cancel").await, 200);
        assert_eq!(ann.wait_for_end(&order).await, "canceled");
        is_undone(&ann, template, &order, "canceled_by_customer").await;
        let (_, told) = ann.insist("GET", "/notifications", None, None).await;
        // The deposit, and created, paid, canceled.
        assert_eq!(told["data"].as_array().map(Vec::len), Some(4), "{told}");
    });
}

#[test]
fn an_undo_that_fails_some_times_is_done_in_the_end_and_needs_nobody() {
    let failures = AtomicU32::new(0);
    let rules = Messages(move |_: &Delivery<'_>, text: &str| {
        let refund = text.contains("payment.refund\"");
        match refund && failures.fetch_add(1, Ordering::Relaxed) < 5 {
            true => lost(),
            false => Fate::Deliver,
        }
    });
    with_rules(rules, async |shop, template| {
        let ann = template.buyer(shop);
        let order = ann.order("undone", &[(template.item(), 2)]).await;
        assert_eq!(ann.wait_for_end(&order).await, "paid");
        assert_eq!(ann.execute(&order, "cancel").await, 200);
        assert_eq!(ann.wait_for_end(&order).await, "canceled");
        is_undone(&ann, template, &order, "canceled_by_customer").await;
    });
}

#[test]
fn an_undo_that_always_fails_is_listed_for_a_person_and_never_given_up() {
    let rules = Messages(
        |_: &Delivery<'_>, text: &str| match text.contains("payment.refund\"") {
            true => lost(),
            false => Fate::Deliver,
        },
    );
    with_rules(rules, async |shop, template| {
        let (ann, admin) = (template.buyer(shop), template.admin(shop));
        let order = ann.order("stuck", &[(template.item(), 2)]).await;
        assert_eq!(ann.wait_for_end(&order).await, "paid");
        assert_eq!(ann.execute(&order, "cancel").await, 200);
        sleep(SECOND).await;
        assert_eq!(sagas(&admin).await[0]["needs_person"], false);
        sleep(10 * MINUTE).await;
        admin.log_in_again().await;
        let stuck = sagas(&admin).await;
        assert_eq!(stuck.len(), 1, "{stuck:?}");
        assert_eq!(stuck[0]["order_id"], order.as_str());
        assert_eq!(stuck[0]["needs_person"], true, "{stuck:?}");
        assert_eq!(stuck[0]["waits_for"][0]["command"], "payment.refund");
        // Whatever was wrong is mended.
        shop.watch.set(false);
        let path = format!("/sagas/{order}/redrive");
        assert_eq!(admin.insist("POST", &path, None, None).await.0, 200);
        sleep(SECOND).await;
        ann.log_in_again().await;
        is_undone(&ann, template, &order, "canceled_by_customer").await;
    });
}

/// Orders while a service does nothing for ten minutes; when it is back, everything ends without a person, and the
/// service is not flooded.
fn away(service: &'static str, expected: &'static str) {
    const AWAY: Duration = Duration::from_secs(600);
    const ORDERS: usize = 60;
    let back = Arc::new(std::sync::Mutex::new(None::<Instant>));
    let until = back.clone();
    let rules = Calls(move |call: &HostCall<'_>| {
        let until = *until.lock().expect("a lock");
        let is_away = until.is_some_and(|until| Instant::now() < until);
        match is_away && call.component == service && call.name == "sqlite.open" {
            true => Verdict::Fail("disk I/O error"),
            false => Verdict::Pass,
        }
    });
    with_rules(rules, async |shop, template| {
        let (ann, admin) = (template.buyer(shop), template.admin(shop));
        // A kept handle is dropped after some seconds.
        let tea = admin.sell("plenty of tea", 1, 10_000).await;
        sleep(10 * SECOND).await;
        *back.lock().expect("a lock") = Some(Instant::now() + AWAY);
        let keys: Vec<String> = (0..ORDERS)
            .map(|number| format!("order {number}"))
            .collect();
        let basket = [(tea.as_str(), 1)];
        let orders = join_all(keys.iter().map(|key| ann.order(key, &basket))).await;
        sleep(AWAY).await;
        let begun = Instant::now();
        ann.log_in_again().await;
        for order in &orders {
            assert_eq!(ann.wait_for_end(order).await, expected);
        }
        // The longest wait for an answer, and some time to work in.
        assert!(begun.elapsed() < 2 * MINUTE, "{:?}", begun.elapsed());
    });
}

#[test]
fn while_billing_is_away_orders_time_out_and_are_undone_when_it_is_back() {
    away("billing", "canceled");
}

#[test]
fn while_the_inbox_of_orders_is_away_nothing_is_lost() {
    away("orders-inbox", "canceled");
}

#[test]
fn while_notifications_are_away_nobody_waits_for_them() {
    away("notifications", "paid");
}

#[test]
fn clocks_that_are_set_while_a_saga_runs_hold_nothing_up() {
    for jump in [HOUR_MS, -HOUR_MS, 24 * HOUR_MS, -24 * HOUR_MS] {
        for before in ["stock.reserved\"", "payment.charge\"", "order.created"] {
            // Lost until the clock has been set, so that what it says decides when to ask again.
            let begun = OnceLock::new();
            let rules = Messages(move |_: &Delivery<'_>, text: &str| {
                let begun = begun.get_or_init(Instant::now);
                match text.contains(before) && begun.elapsed() < 2 * SECOND {
                    true => lost(),
                    false => Fate::Deliver,
                }
            });
            with_rules(rules, async |shop, template| {
                let ann = template.buyer(shop);
                let order = ann.order("timeless", &[(template.item(), 1)]).await;
                sleep(SECOND).await;
                shop.jump(jump);
                let begun = Instant::now();
                ann.log_in_again().await;
                let end = ann.wait_for_end(&order).await;
                // Set forward past the deadline, it may be called off; set back it may not.
                assert!(
                    end == "paid" || (jump > 0 && end == "canceled"),
                    "{jump}: {end}"
                );
                shop.quiet().await;
                assert!(
                    begun.elapsed() < 5 * MINUTE,
                    "{jump}: {:?}",
                    begun.elapsed()
                );
            });
        }
    }
}
