//! Canceling, from every state in which one may.

use crate::harness::App;
use crate::harness::actor::PLENTY;
use crate::on_both_channels;
use serde_json::json;

on_both_channels!(
    a_draft_is_canceled_and_nothing_else_happens,
    a_paid_order_is_refunded_and_released,
    an_order_canceled_on_its_way_ends_as_if_it_had_never_been,
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
    assert_eq!(customer.item(&tea).await["reserved"], 0);
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
    let item = customer.item(&tea).await;
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

async fn an_order_canceled_on_its_way_ends_as_if_it_had_never_been(app: &mut App) {
    let tea = app.manager().await.sell("Tea", 100, 50).await;
    let customer = app.customer_with(PLENTY).await;
    // Each cancellation meets the saga somewhere else.
    for pause in 0..8 {
        let id = customer.order(&tea, 3).await;
        tokio::time::sleep(std::time::Duration::from_millis(pause * 4)).await;
        customer.execute(&id, "cancel").await.expect(200);
        let canceled = customer.wait_for(&id, "canceled").await;
        assert_eq!(canceled["reason"], "canceled_by_customer");
    }
    app.quiet().await;
    assert_eq!(customer.balance().await, PLENTY);
    assert_eq!(customer.item(&tea).await["available"], 50);
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
