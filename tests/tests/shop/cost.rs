//! What the mechanism costs: orders settled per second with it, without its barrier and without its outbox, in one
//! run on the same build. Not a test of anything, so only for those who ask:
//! `cargo nextest run --run-ignored only -E 'test(cost)' --no-capture`.

use crate::harness::actor::PLENTY;
use crate::harness::{Actor, App, eventually, sabotage};
use futures::future::join_all;
use std::time::Instant;

const CLIENTS: usize = 16;
/// Of each client, one after the other.
const ORDERS: usize = 40;
const ROUNDS: usize = 5;

/// Orders settled per second, from the first request until the last order is paid.
async fn settled_per_second(part: Option<&str>) -> f64 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let app = App::start_durable_from(sabotage::manifest(folder.path(), part)).await;
    let tea = app.manager().await.sell("Tea", 1, 1_000_000).await;
    let clients = join_all((0..CLIENTS).map(|_| app.customer_with(PLENTY))).await;
    app.quiet().await;
    let begun = Instant::now();
    join_all(clients.iter().map(async |client: &Actor| {
        for _ in 0..ORDERS {
            client.order(&tea, 1).await;
        }
    }))
    .await;
    let paid = "SELECT count(*) FROM orders.orders WHERE state = 'paid'";
    let all = (CLIENTS * ORDERS) as f64;
    eventually("all paid", async || {
        (app.books().number(paid) as f64 >= all).then_some(())
    })
    .await;
    let rate = all / begun.elapsed().as_secs_f64();
    app.stop().await;
    rate
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn the_cost_of_barrier_and_outbox() {
    let parts = [None, Some("barrier"), Some("outbox")];
    let mut rates = [const { Vec::new() }; 3];
    // In turn, so that a slow moment of the machine does not count for one of them alone.
    for _ in 0..ROUNDS {
        for (part, rates) in parts.into_iter().zip(&mut rates) {
            rates.push(settled_per_second(part).await);
        }
    }
    for (part, mut rates) in parts.into_iter().zip(rates) {
        rates.sort_by(f64::total_cmp);
        let without = part.map_or_else(String::new, |part| format!(" without {part}"));
        println!(
            "orders settled per second{without}: {:.0} (median of {ROUNDS}; {:.0} to {:.0})",
            rates[ROUNDS / 2],
            rates[0],
            rates[ROUNDS - 1]
        );
    }
}
