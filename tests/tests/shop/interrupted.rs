//! Components that stop dead in the middle of their work, at a call into the host as it comes: each
//! time something was half done, and somebody was waiting for it.

use crate::harness::actor::PLENTY;
use crate::harness::{Actor, App, eventually};
use futures::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use wasmart_host::{CallHook, HostCall, Verdict};

/// Stops the saga's components at every n-th call, before its effect or after it.
struct Stopper {
    on: AtomicBool,
    every: u64,
    calls: AtomicU64,
    stopped: AtomicU64,
}

const SAGA: [&str; 5] = [
    "orders",
    "orders-inbox",
    "stock",
    "billing",
    "notifications",
];

impl Stopper {
    fn verdict(&self, call: &HostCall<'_>, after: bool) -> Verdict {
        if !self.on.load(Ordering::Relaxed) || !SAGA.contains(&call.component) {
            return Verdict::Pass;
        }
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        // Odd, so that both sides of a call have their turn.
        if number % self.every == u64::from(after) {
            self.stopped.fetch_add(1, Ordering::Relaxed);
            return Verdict::Stop;
        }
        Verdict::Pass
    }
}

impl CallHook for Stopper {
    fn before(&self, call: &HostCall<'_>) -> Verdict {
        self.verdict(call, false)
    }

    fn after(&self, call: &HostCall<'_>) -> Verdict {
        self.verdict(call, true)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_interrupted_at_every_59th_call_is_done_once_in_the_end() {
    interrupted_at_every(59).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_interrupted_at_every_83rd_call_is_done_once_in_the_end() {
    interrupted_at_every(83).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_interrupted_at_every_127th_call_is_done_once_in_the_end() {
    interrupted_at_every(127).await;
}

async fn interrupted_at_every(every: u64) {
    let stopper = Arc::new(Stopper {
        on: false.into(),
        every,
        calls: 0.into(),
        stopped: 0.into(),
    });
    let Some(app) = App::start_with_hook(module_path!(), stopper.clone()).await else {
        return;
    };
    let tea = app.manager().await.sell("Tea", 100, 6).await;
    let (rich, poor) = (
        app.customer_with(PLENTY).await,
        app.customer_with(250).await,
    );
    app.quiet().await;

    stopper.on.store(true, Ordering::Relaxed);
    let purchase = async |buyer: Actor, key: u32| {
        let order = buyer.order_once(&key.to_string(), &tea).await;
        (buyer, order)
    };
    let purchases = (0..6).flat_map(|key| [(&rich, key), (&poor, key)]);
    let orders = join_all(purchases.map(|(buyer, key)| purchase(buyer.clone(), key))).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    eventually("some were interrupted", async || {
        (stopper.stopped.load(Ordering::Relaxed) >= 3).then_some(())
    })
    .await;
    stopper.on.store(false, Ordering::Relaxed);

    let mut paid = 0;
    for (buyer, order) in &orders {
        match buyer.wait_for_end(order).await.as_str() {
            "paid" => paid += 1,
            _ => {
                // What was lost would be missed in the end, but only at its deadline.
                let reason = buyer.read_order(order).await["reason"].clone();
                assert!(
                    reason == "out_of_stock" || reason == "insufficient_funds",
                    "{reason}"
                );
            }
        }
    }
    assert!((2..=6).contains(&paid), "{paid} were paid");
    app.quiet().await;
    let made = app.books().number("SELECT count(*) FROM orders.orders");
    assert_eq!(made, 12, "one order for each key");
    app.finish().await;
}
