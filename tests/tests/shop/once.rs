//! `Idempotency-Key`: however often a request comes, it is done once.

use crate::harness::App;
use crate::harness::actor::{PLENTY, id_of};
use crate::on_both_channels;
use futures::future::join_all;
use serde_json::json;
use std::collections::HashSet;

on_both_channels!(ten_callers_with_one_key_make_one_order);

async fn ten_callers_with_one_key_make_one_order(app: &mut App) {
    let tea = app.manager().await.sell("Tea", 100, 50).await;
    let customer = app.customer_with(PLENTY).await;
    let order = json!({"lines": [{"item_id": tea, "quantity": 1}]});
    let answers = join_all((0..10).map(|_| customer.post_once("k1", "/orders", &order))).await;
    let bodies: HashSet<String> = answers.iter().map(|a| a.clone().expect(201).body).collect();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    let id = id_of(&answers[0]);
    assert!(
        answers
            .iter()
            .all(|a| a.header("location").is_some_and(|l| l.ends_with(&id)))
    );
    customer.wait_for(&id, "paid").await;
    app.quiet().await;
    assert_eq!(customer.get("/orders").await.data().len(), 1);
    assert_eq!(customer.balance().await, PLENTY - 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_deposit_is_booked_once_and_answered_as_before() {
    let app = App::start().await;
    let customer = app.customer().await;
    let path = "/billing/account/deposit";
    let first = customer
        .post_once("d1", path, &json!({"amount": 300}))
        .await
        .expect(200);
    let again = customer
        .post_once("d1", path, &json!({"amount": 300}))
        .await
        .expect(200);
    assert_eq!(first.body, again.body);
    assert_eq!(customer.balance().await, 300);
    // The same key for something else is a mistake of the caller.
    let slug = "idempotency-key-reused";
    customer
        .post_once("d1", path, &json!({"amount": 301}))
        .await
        .refused(422, slug);
    customer
        .post_once("d1", "/billing/account/withdraw", &json!({"amount": 300}))
        .await
        .refused(422, slug);
    // A key belongs to its caller.
    let other = app.customer().await;
    other
        .post_once("d1", path, &json!({"amount": 5}))
        .await
        .expect(200);
    assert_eq!((customer.balance().await, other.balance().await), (300, 5));
    // Other white space is the same request.
    let spaced = customer
        .request("POST", path)
        .header("idempotency-key", "d1")
        .header("content-type", "application/json")
        .body("{ \"amount\" :\n300 }");
    customer.send(spaced).await.expect(200);
    assert_eq!(customer.balance().await, 300);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_may_be_tried_again_under_the_same_key() {
    let app = App::start().await;
    let customer = app.customer().await;
    let path = "/billing/account/withdraw";
    let withdraw = json!({"amount": 100});
    customer
        .post_once("w1", path, &withdraw)
        .await
        .refused(409, "insufficient-funds");
    customer.deposit(100).await;
    customer.post_once("w1", path, &withdraw).await.expect(200);
    customer.post_once("w1", path, &withdraw).await.expect(200);
    assert_eq!(customer.balance().await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn managers_repeat_themselves_without_harm() {
    let app = App::start().await;
    let manager = app.manager().await;
    let item = json!({"name": "Tea", "price": 100, "quantity": 5});
    let made = manager.post_once("i1", "/items", &item).await.expect(201);
    assert_eq!(
        manager
            .post_once("i1", "/items", &item)
            .await
            .expect(201)
            .body,
        made.body
    );
    assert_eq!(manager.get("/items").await.data().len(), 1);
    let path = format!("/items/{}/adjustments", id_of(&made));
    let adjustment = json!({"delta": 7, "reason": "delivery"});
    for _ in 0..3 {
        let adjusted = manager
            .post_once("a1", &path, &adjustment)
            .await
            .expect(200);
        assert_eq!(adjusted.json()["on_hand"], 12);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_none_is_refused() {
    let app = App::start().await;
    let customer = app.customer().await;
    for key in ["", &"k".repeat(256)] {
        let refused = customer
            .post_once(key, "/billing/account/deposit", &json!({"amount": 1}))
            .await;
        assert_eq!(
            refused.refused(422, "invalid-input").fields(),
            ["Idempotency-Key"],
            "{key:?}"
        );
    }
    assert_eq!(customer.balance().await, 0);
    app.finish().await;
}
