//! How an order may end when nobody interferes: paid, refused by stock, refused by billing; and
//! completed, when it is handed over.

use crate::harness::actor::{PLENTY, id_of};
use crate::harness::{Actor, App};
use crate::on_both_channels;
use serde_json::json;

on_both_channels!(
    an_order_in_stock_and_paid_for_is_paid,
    an_order_past_the_stock_is_canceled,
    an_order_past_the_wallet_is_canceled_and_its_items_are_released,
    a_paid_order_is_completed_when_it_is_handed_over,
    an_order_of_several_items_holds_all_or_none,
);

/// What the customer was told of an order, in any order.
async fn told_of_order(customer: &Actor, order: &str, count: usize) -> Vec<String> {
    let kinds = crate::harness::eventually("notifications", async || {
        let list = customer.get("/notifications").await.expect(200).data();
        let of_order = list.iter().filter(|n| n["order_id"] == order);
        let kinds: Vec<_> = of_order
            .map(|n| n["kind"].as_str().unwrap_or_default().to_owned())
            .collect();
        (kinds.len() >= count).then_some(kinds)
    });
    let mut kinds = kinds.await;
    kinds.sort();
    kinds
}

async fn an_order_in_stock_and_paid_for_is_paid(app: &mut App) {
    let manager = app.manager().await;
    let tea = manager.sell("Green tea", 250, 10).await;
    let customer = app.customer_with(1_000).await;

    let order = json!({"lines": [{"item_id": tea, "quantity": 3}], "address": "1 Main Street"});
    let answer = customer.post("/orders", &order).await.expect(201);
    let id = id_of(&answer);
    assert_eq!(
        answer.header("location"),
        Some(format!("/api/v1/orders/{id}").as_str())
    );
    assert_eq!(answer.json()["lines"][0]["quantity"], 3);

    let paid = customer.wait_for(&id, "paid").await;
    assert_eq!(paid["total"], 750);
    assert_eq!(paid["currency"], "EUR");
    assert_eq!(paid["address"], "1 Main Street");
    assert!(
        paid["number"].as_i64().is_some_and(|number| number > 0),
        "{paid}"
    );
    let line = json!({"item_id": tea, "name": "Green tea", "quantity": 3, "unit_price": 250});
    assert_eq!(paid["lines"], json!([line]));
    assert!(paid.get("reason").is_none(), "{paid}");

    assert_eq!(
        customer.history(&id).await,
        ["confirmed", "stock.reserved", "payment.charged"]
    );
    assert_eq!(customer.balance().await, 250);
    let tea = manager.item(&tea).await;
    assert_eq!(
        (&tea["available"], &tea["reserved"]),
        (&json!(7), &json!(3))
    );
    assert_eq!(
        told_of_order(&customer, &id, 2).await,
        ["order.created", "order.paid"]
    );
}

async fn an_order_past_the_stock_is_canceled(app: &mut App) {
    let tea = app.manager().await.sell("The last tea", 250, 2).await;
    let customer = app.customer_with(PLENTY).await;
    let id = customer.order(&tea, 3).await;
    let canceled = customer.wait_for(&id, "canceled").await;
    assert_eq!(canceled["reason"], "out_of_stock");
    assert_eq!(customer.history(&id).await, ["confirmed", "stock.rejected"]);
    assert_eq!(customer.balance().await, PLENTY);
    assert_eq!(customer.item(&tea).await["available"], 2);
    assert_eq!(
        told_of_order(&customer, &id, 2).await,
        ["order.created", "order.rejected"]
    );
}

async fn an_order_past_the_wallet_is_canceled_and_its_items_are_released(app: &mut App) {
    let samovar = app.manager().await.sell("Samovar", 79_900, 1).await;
    let customer = app.customer_with(79_899).await;
    let id = customer.order(&samovar, 1).await;
    let canceled = customer.wait_for(&id, "canceled").await;
    assert_eq!(canceled["reason"], "insufficient_funds");
    assert_eq!(
        customer.history(&id).await,
        [
            "confirmed",
            "stock.reserved",
            "payment.declined",
            "stock.released"
        ]
    );
    assert_eq!(customer.balance().await, 79_899);
    let item = app.admin().await.item(&samovar).await;
    assert_eq!(
        (&item["available"], &item["reserved"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(
        told_of_order(&customer, &id, 2).await,
        ["order.created", "order.rejected"]
    );

    // What it could not pay for is there for the next one, or for the same one with more money.
    customer.deposit(1).await;
    let again = customer.order(&samovar, 1).await;
    customer.wait_for(&again, "paid").await;
}

async fn a_paid_order_is_completed_when_it_is_handed_over(app: &mut App) {
    let manager = app.manager().await;
    let tea = manager.sell("Tea", 100, 5).await;
    let customer = app.customer_with(PLENTY).await;
    let id = customer.order(&tea, 2).await;
    customer.wait_for(&id, "paid").await;

    customer
        .execute(&id, "complete")
        .await
        .refused(403, "forbidden");
    manager.execute(&id, "complete").await.expect(200);
    customer.wait_for(&id, "completed").await;
    // Said twice, done once.
    manager.execute(&id, "complete").await.expect(200);
    let item = manager.item(&tea).await;
    assert_eq!(
        (&item["available"], &item["reserved"]),
        (&json!(3), &json!(0))
    );
    assert_eq!(
        customer.history(&id).await,
        [
            "confirmed",
            "stock.reserved",
            "payment.charged",
            "handed_over",
            "stock.committed"
        ]
    );
    assert_eq!(
        told_of_order(&customer, &id, 3).await,
        ["order.completed", "order.created", "order.paid"]
    );
    customer
        .execute(&id, "cancel")
        .await
        .refused(409, "wrong-state");
    assert_eq!(customer.balance().await, PLENTY - 200);
}

async fn an_order_of_several_items_holds_all_or_none(app: &mut App) {
    let manager = app.manager().await;
    let cup = manager.sell("Cup", 500, 10).await;
    let pot = manager.sell("Pot", 2_000, 1).await;
    let customer = app.customer_with(PLENTY).await;
    let lines = |cups: i64, pots: i64| json!({"lines": [{"item_id": cup, "quantity": cups}, {"item_id": pot, "quantity": pots}]});
    let too_much = id_of(&customer.post("/orders", &lines(4, 2)).await.expect(201));
    assert_eq!(
        customer.wait_for(&too_much, "canceled").await["reason"],
        "out_of_stock"
    );
    assert_eq!(manager.item(&cup).await["reserved"], 0);

    let enough = id_of(&customer.post("/orders", &lines(4, 1)).await.expect(201));
    assert_eq!(customer.wait_for(&enough, "paid").await["total"], 4_000);
    assert_eq!(manager.item(&cup).await["reserved"], 4);
    assert_eq!(customer.item(&pot).await["available"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_costs_nothing_is_paid_without_a_transaction() {
    let app = App::start().await;
    let sample = app.manager().await.sell("Sample", 0, 5).await;
    let customer = app.customer().await;
    let id = customer.order(&sample, 1).await;
    assert_eq!(customer.wait_for(&id, "paid").await["total"], 0);
    assert!(
        customer
            .get("/billing/transactions")
            .await
            .expect(200)
            .data()
            .is_empty()
    );
    customer.execute(&id, "cancel").await.expect(200);
    customer.wait_for(&id, "canceled").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_price_is_the_one_at_the_time_of_the_reservation() {
    let app = App::start().await;
    let manager = app.manager().await;
    let tea = manager.sell("Tea", 100, 5).await;
    let customer = app.customer_with(PLENTY).await;
    let id = customer.draft(&tea, 2).await;
    manager
        .patch(&format!("/items/{tea}"), &json!({"price": 150}))
        .await
        .expect(200);
    customer.execute(&id, "confirm").await.expect(200);
    assert_eq!(customer.wait_for(&id, "paid").await["total"], 300);
    // Later changes do not touch it.
    manager
        .patch(
            &format!("/items/{tea}"),
            &json!({"price": 1, "name": "Dust"}),
        )
        .await
        .expect(200);
    let order = customer.read_order(&id).await;
    assert_eq!(
        (&order["lines"][0]["unit_price"], &order["lines"][0]["name"]),
        (&json!(150), &json!("Tea"))
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_archived_in_the_meantime_is_refused() {
    let app = App::start().await;
    let manager = app.manager().await;
    let tea = manager.sell("Tea", 100, 5).await;
    let customer = app.customer_with(PLENTY).await;
    let id = customer.draft(&tea, 2).await;
    manager
        .patch(&format!("/items/{tea}"), &json!({"archived": true}))
        .await
        .expect(200);
    customer.execute(&id, "confirm").await.expect(200);
    assert_eq!(
        customer.wait_for(&id, "canceled").await["reason"],
        "unknown_item"
    );
    app.finish().await;
}
