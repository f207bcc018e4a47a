//! The checker's own test: with the barrier off, the outbox off or the undo order turned round, a run that
//! a sound shop survives must be found in its books. The same build with nothing switched off
//! shows that it is the sabotage that is found.

use crate::harness::actor::PLENTY;
use crate::harness::books::SERVICES;
use crate::harness::running::on_spin;
use crate::harness::{App, eventually, sabotage, workspace};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wasmart_host::{CallHook, HostCall, Verdict};

/// Stops orders once, right after it has published something.
#[derive(Default)]
struct StopOnce(AtomicBool);

impl CallHook for StopOnce {
    fn after(&self, call: &HostCall<'_>) -> Verdict {
        let published = call.component == "orders" && call.name == "redis.publish";
        if published && self.0.swap(false, Ordering::Relaxed) {
            return Verdict::Stop;
        }
        Verdict::Pass
    }
}

/// A shop of the build that can be sabotaged.
struct Shop {
    app: App,
    stop: Arc<StopOnce>,
}

impl Shop {
    async fn start(part: Option<&str>) -> Shop {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Shop::start_from(sabotage::manifest(folder.path(), part)).await
    }

    async fn start_from(manifest: PathBuf) -> Shop {
        let stop = Arc::new(StopOnce::default());
        Shop {
            app: App::start_from(manifest, stop.clone()).await,
            stop,
        }
    }

    /// The three runs, which a sound shop survives.
    async fn survives(self) {
        a_charge_comes_twice(&self).await;
        a_paid_order_is_canceled(&self).await;
        orders_stops_after_publishing(&self).await;
        self.app.finish().await;
    }

    /// Waits until the books are at fault against this rule.
    async fn expect_fault(self, rule: &str) {
        eventually(&format!("a fault: {rule}"), async || {
            let faults = self.app.books().faults(0);
            faults
                .iter()
                .any(|fault| fault.contains(rule))
                .then_some(())
        })
        .await;
        self.app.stop().await;
    }
}

/// A command that is delivered twice.
async fn a_charge_comes_twice(shop: &Shop) {
    let app = &shop.app;
    let tea = app.manager().await.sell("Tea", 100, 10).await;
    let ann = app.customer_with(PLENTY).await;
    let order = ann.order(&tea, 2).await;
    ann.wait_for(&order, "paid").await;
    app.quiet().await;
    let data = json!({"order_id": order, "user_id": ann.id, "amount": 200, "currency": "EUR"});
    let charge = json!([{
        "specversion": "1.0", "id": "01900000-0000-7000-8000-000000000001", "source": "/orders",
        "type": "payment.charge", "subject": order, "time": "2026-01-01T00:00:00Z",
        "dataschema": "wasmart:saga/messages@1.0.0", "data": data,
    }]);
    app.publish("payments", charge.to_string()).await;
    // What comes after it on the same channel is taken in after it.
    let next = ann.order(&tea, 1).await;
    ann.wait_for(&next, "paid").await;
}

/// Orders stops between what it says and what it does next.
async fn orders_stops_after_publishing(shop: &Shop) {
    let app = &shop.app;
    let tea = app.manager().await.sell("Tea", 100, 10).await;
    let ann = app.customer_with(PLENTY).await;
    app.quiet().await;
    shop.stop.0.store(true, Ordering::Relaxed);
    let order = json!({"lines": [{"item_id": tea, "quantity": 1}]});
    let answer = ann
        .send_unchecked(ann.request("POST", "/orders").json(&order))
        .await;
    assert_eq!(answer.status, 500, "{answer}");
    assert!(!shop.stop.0.load(Ordering::Relaxed), "nothing was stopped");
}

async fn a_paid_order_is_canceled(shop: &Shop) {
    let app = &shop.app;
    let tea = app.manager().await.sell("Tea", 100, 10).await;
    let ann = app.customer_with(PLENTY).await;
    let order = ann.order(&tea, 2).await;
    ann.wait_for(&order, "paid").await;
    ann.execute(&order, "cancel").await.expect(200);
    ann.wait_for(&order, "canceled").await;
    // Whatever the order of the undo, everything is back.
    assert_eq!(ann.balance().await, PLENTY);
    assert_eq!(ann.item(&tea).await["available"], 10);
}

fn skipped(test: &str) -> bool {
    if on_spin() {
        println!("SKIPPED: {test}: the checker need not be tested on Spin as well");
    }
    on_spin()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_barrier_a_repeated_charge_is_found() {
    if !skipped("barrier") {
        let shop = Shop::start(Some("barrier")).await;
        a_charge_comes_twice(&shop).await;
        shop.expect_fault("charged at most once").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_outbox_a_reservation_for_nobody_is_found() {
    if !skipped("outbox") {
        let shop = Shop::start(Some("outbox")).await;
        orders_stops_after_publishing(&shop).await;
        shop.expect_fault("nothing is held without an open order")
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_in_the_wrong_order_is_found() {
    if !skipped("undo-order") {
        let shop = Shop::start(Some("undo-order")).await;
        a_paid_order_is_canceled(&shop).await;
        shop.expect_fault("the saga's table allows").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_build_with_nothing_switched_off_survives() {
    if !skipped("control") {
        Shop::start(None).await.survives().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ships_survives() {
    if !skipped("control") {
        let manifest = workspace::root().join("spin.toml");
        Shop::start_from(manifest).await.survives().await;
    }
}

#[test]
fn what_ships_cannot_be_sabotaged() {
    let has_switch = |path: &Path| {
        let wasm = std::fs::read(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let switch = b"WASMART_SABOTAGE";
        wasm.windows(switch.len()).any(|bytes| bytes == switch)
    };
    for service in SERVICES {
        assert!(!has_switch(&workspace::component(service)), "{service}");
    }
    // It would be seen if it were there.
    let folder = tempfile::tempdir().expect("a temporary folder");
    sabotage::manifest(folder.path(), None);
    let built = workspace::root().join("target/wasm32-wasip2/sabotage/orders.wasm");
    assert!(has_switch(&built));
}
