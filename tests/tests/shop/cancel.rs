//! Canceling, from every state in which one may.

use crate::harness::actor::PLENTY;
use crate::harness::{Actor, App, eventually, surgery};
use crate::on_both_channels;
use futures::future::join_all;
use serde_json::json;
use std::time::Duration;

on_both_channels!(
    a_draft_is_canceled_and_nothing_else_happens,
    a_paid_order_is_refunded_and_released,
    an_order_canceled_at_any_moment_ends_as_if_it_had_never_been,
    an_order_canceled_in_any_state_ends_as_if_it_had_never_been,
    of_cancel_and_the_step_at_the_same_moment_one_wins,
);

async fn a_draft_is_canceled_and_nothing_else_happens(app: &mut App) {
    let tea = app.manager().await.sell("Tea", 100, 5).await;
    let customer = app.customer_with(PLENTY).await;
    let id = customer.draft(&tea, 2).await;
    let canceled = customer.execute(&id, "cancel").await.expect(200).json();
    assert_eq!(
        (&canceled["status"], &canceled["reason"]),
        (&json!("canceled"), &json!("canceled_by_customer"))
    );
    assert_eq!(customer.history(&id).await, ["cancel_requested"]);
    customer
        .execute(&id, "confirm")
        .await
        .refused(409, "wrong-state");
    assert_eq!(app.admin().await.item(&tea).await["reserved"], 0);
    assert_eq!(customer.balance().await, PLENTY);
}

async fn a_paid_order_is_refunded_and_released(app: &mut App) {
    let tea = app.manager().await.sell("Tea", 100, 5).await;
    let customer = app.customer_with(PLENTY).await;
    let id = customer.order(&tea, 5).await;
    customer.wait_for(&id, "paid").await;
    assert_eq!(customer.balance().await, PLENTY - 500);

    customer.execute(&id, "cancel").await.expect(200);
    // Asking again while it is under way, and afterwards, changes nothing.
    customer.execute(&id, "cancel").await.expect(200);
    let canceled = customer.wait_for(&id, "canceled").await;
    customer.execute(&id, "cancel").await.expect(200);
    assert_eq!(canceled["reason"], "canceled_by_customer");
    assert_eq!(customer.balance().await, PLENTY);
    let item = app.admin().await.item(&tea).await;
    assert_eq!(
        (&item["available"], &item["reserved"]),
        (&json!(5), &json!(0))
    );
    let history = customer.history(&id).await;
    assert_eq!(
        history[3..],
        ["cancel_requested", "payment.refunded", "stock.released"]
    );
    let kinds: Vec<String> = customer
        .get("/billing/transactions")
        .await
        .data()
        .iter()
        .map(|t| t["kind"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(kinds, ["refund", "charge", "deposit"]);
    app.quiet().await;
    assert!(
        customer
            .told(4)
            .await
            .contains(&"order.canceled".to_owned())
    );
}

/// How many orders are canceled in each of the states.
const ORDERS: usize = 8;

async fn an_order_canceled_in_any_state_ends_as_if_it_had_never_been(app: &mut App) {
    let tea = app.manager().await.sell("Tea", 1, 10_000).await;
    let customer = app.customer_with(PLENTY).await;
    // Who cannot write cannot answer, which keeps the saga where it is for as long as it takes.
    for (state, event, silent) in [
        ("reserving", "confirmed", Some("stock")),
        ("charging", "stock.reserved", Some("billing")),
        ("paid", "payment.charged", None),
    ] {
        let silence = silent.map(|service| surgery::lock(&app.databases(), service));
        let cancel = async |_| {
            let id = customer.order(&tea, 1).await;
            eventually(&format!("order {id} {state}"), async || {
                let last = customer.history(&id).await.pop();
                (last.as_deref() == Some(event)).then_some(())
            })
            .await;
            customer.execute(&id, "cancel").await.expect(200);
            id
        };
        let ids = join_all((0..ORDERS).map(cancel)).await;
        drop(silence);
        for id in ids {
            let met = canceled_in(&customer, &id).await;
            assert_eq!(met, state, "order {id}");
        }
    }
    expect_as_before(app, &customer, &tea).await;
}

/// All of the money is there, and all of the 10 000 items.
async fn expect_as_before(app: &App, customer: &Actor, item: &str) {
    app.quiet().await;
    assert_eq!(customer.balance().await, PLENTY);
    let item = app.admin().await.item(item).await;
    let levels = (&item["available"], &item["reserved"]);
    assert_eq!(levels, (&json!(10_000), &json!(0)));
}

/// Waits until a customer's order is canceled, and gives the state in which the cancellation met it.
async fn canceled_in(customer: &Actor, order: &str) -> String {
    let canceled = customer.wait_for(order, "canceled").await;
    assert_eq!(canceled["reason"], "canceled_by_customer");
    let moves = customer.moves(order).await;
    let cancel = moves.iter().find(|(_, event)| event == "cancel_requested");
    cancel.unwrap_or_else(|| panic!("{moves:?}")).0.clone()
}

/// As a customer would: at any moment, also between two steps, which a saga that stands still does not show.
async fn an_order_canceled_at_any_moment_ends_as_if_it_had_never_been(app: &mut App) {
    let tea = app.manager().await.sell("Tea", 1, 10_000).await;
    let customer = app.customer_with(PLENTY).await;
    for round in 0..5_u64 {
        let cancel = async |number: u64| {
            let id = customer.order(&tea, 1).await;
            tokio::time::sleep(Duration::from_millis((round * 7 + number * 11) % 60)).await;
            customer.execute(&id, "cancel").await.expect(200);
            id
        };
        for id in join_all((0..8).map(cancel)).await {
            canceled_in(&customer, &id).await;
        }
    }
    expect_as_before(app, &customer, &tea).await;
}

async fn of_cancel_and_the_step_at_the_same_moment_one_wins(app: &mut App) {
    let manager = app.manager().await;
    let tea = manager.sell("Tea", 1, 10_000).await;
    let customer = app.customer_with(PLENTY).await;
    let race = async |number: u64| {
        let id = customer.draft(&tea, 1).await;
        let answers = at_once((&customer, "confirm"), (&customer, "cancel"), &id, number).await;
        // A draft can be canceled, and so can what follows it.
        assert!([(200, 200), (409, 200)].contains(&answers), "{answers:?}");
        customer.wait_for(&id, "canceled").await;

        let id = customer.order(&tea, 1).await;
        customer.wait_for(&id, "paid").await;
        let answers = at_once((&manager, "complete"), (&customer, "cancel"), &id, number).await;
        let end = match answers {
            (200, 409) => "completed",
            (409, 200) => "canceled",
            _ => panic!("complete and cancel: {answers:?}"),
        };
        customer.wait_for(&id, end).await;
        end
    };
    let ends = join_all((0..16).map(race)).await;
    app.quiet().await;
    let sold = ends.iter().filter(|end| **end == "completed").count();
    let item = manager.item(&tea).await;
    let levels = (&item["available"], &item["reserved"]);
    assert_eq!(levels, (&json!(10_000 - sold), &json!(0)));
    let spent = i64::try_from(sold).expect("few");
    assert_eq!(customer.balance().await, PLENTY - spent);
}

/// Two things done to an order at the same moment, each in turn a little earlier than the other: the
/// status of each answer.
async fn at_once(
    one: (&Actor, &str),
    other: (&Actor, &str),
    order: &str,
    number: u64,
) -> (u16, u16) {
    let act = async |(who, action): (&Actor, &str), pause: u64| {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        who.execute(order, action).await.status
    };
    futures::join!(act(one, number % 3), act(other, number / 3 % 3))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_shop_cancels_says_so() {
    let app = App::start().await;
    let manager = app.manager().await;
    let tea = manager.sell("Tea", 100, 5).await;
    let customer = app.customer_with(PLENTY).await;
    let id = customer.order(&tea, 1).await;
    customer.wait_for(&id, "paid").await;
    manager.execute(&id, "cancel").await.expect(200);
    assert_eq!(
        customer.wait_for(&id, "canceled").await["reason"],
        "canceled_by_staff"
    );
    app.finish().await;
}
