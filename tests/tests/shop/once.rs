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

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_answered_as_before_after_its_item_was_archived() {
    let mut app = App::start().await;
    let manager = app.manager().await;
    let tea = manager.sell("Tea", 100, 5).await;
    let customer = app.customer_with(PLENTY).await;
    let order = json!({"lines": [{"item_id": tea, "quantity": 1}], "address": "Here"});
    let first = customer
        .post_once("k1", "/orders", &order)
        .await
        .expect(201);
    customer.wait_for(&id_of(&first), "paid").await;
    manager
        .patch(&format!("/items/{tea}"), &json!({"archived": true}))
        .await
        .expect(200);
    // No instance remembers the item as one that can be ordered.
    app.restart().await;
    let again = customer
        .post_once("k1", "/orders", &order)
        .await
        .expect(201);
    assert_eq!(
        (&first.body, first.header("location")),
        (&again.body, again.header("location"))
    );
    customer
        .post_once("k2", "/orders", &order)
        .await
        .refused(422, "invalid-input");
    assert_eq!(customer.get("/orders").await.data().len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_under_a_key_outlives_what_it_depended_on() {
    let app = App::start().await;
    let manager = app.manager().await;
    let tea = manager.sell("Tea", 100, 5).await;
    let customer = app.customer_with(200).await;
    let draft = customer.draft(&tea, 1).await;
    let execute = format!("/orders/{draft}/execute");
    let adjustments = format!("/items/{tea}/adjustments");
    let confirm = json!({"action": "confirm"});
    let withdraw = json!({"amount": 50});
    let written_off = json!({"delta": -4, "reason": "broken"});
    let profile = json!({"first_name": "Ann"});
    let no_body = json!({});
    let requests = [
        (&customer, execute.as_str(), &confirm),
        (&customer, "/billing/account/withdraw", &withdraw),
        (&customer, "/billing/account", &no_body),
        (&customer, "/profiles", &profile),
        (&manager, adjustments.as_str(), &written_off),
    ];
    let mut first = vec![];
    for (who, path, body) in requests {
        let answer = who.post_once(path, path, body).await;
        assert!(answer.status < 300, "{answer}");
        first.push(answer);
    }
    // Confirmed, paid, canceled; nothing left to withdraw; another name; nothing left to write off.
    customer.wait_for(&draft, "paid").await;
    customer.execute(&draft, "cancel").await.expect(200);
    customer.wait_for(&draft, "canceled").await;
    app.quiet().await;
    customer
        .post("/billing/account/withdraw", &json!({"amount": 150}))
        .await
        .expect(200);
    let other = json!({"first_name": "Anna"});
    customer.patch("/users/me", &other).await.expect(200);
    manager
        .post(&adjustments, &json!({"delta": -1, "reason": "lost"}))
        .await
        .expect(200);
    for (first, (who, path, body)) in first.iter().zip(requests) {
        let again = who.post_once(path, path, body).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        // A used key is not accepted for another request.
        who.post_once(path, "/billing/account/deposit", &json!({"amount": 1}))
            .await
            .expect(if path.starts_with("/billing") {
                422
            } else {
                200
            });
    }
    let me = customer.get("/users/me").await.expect(200).json();
    assert_eq!(me["first_name"], "Anna");
    assert_eq!(manager.item(&tea).await["available"], 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_may_be_written_in_another_way() {
    let app = App::start().await;
    let tea = app.manager().await.sell("Tea", 100, 50).await;
    let customer = app.customer_with(PLENTY).await;
    let line = json!([{"item_id": tea, "quantity": 1}]);
    let order = json!({"lines": line});
    let first = customer
        .post_once("k1", "/orders", &order)
        .await
        .expect(201);
    let upper = tea.to_uppercase();
    for same in [
        format!(r#"{{"draft":false,"lines":[{{"quantity":1,"item_id":"{tea}"}}],"address":null}}"#),
        format!(
            r#"{{"address":null,"draft":null,"lines":[{{"item_id":"{upper}","quantity":1}}]}}"#
        ),
    ] {
        let request = customer
            .request("POST", "/orders")
            .header("idempotency-key", "k1")
            .header("content-type", "application/json")
            .body(same);
        assert_eq!(customer.send(request).await.expect(201).body, first.body);
    }
    for other in [
        json!({"lines": line, "draft": true}),
        json!({"lines": line, "address": ""}),
        json!({"lines": [{"item_id": tea, "quantity": 2}]}),
    ] {
        customer
            .post_once("k1", "/orders", &other)
            .await
            .refused(422, "idempotency-key-reused");
    }
    let path = "/billing/account/deposit";
    for body in [
        json!({"amount": 5}),
        json!({"currency": "EUR", "amount": 5}),
    ] {
        customer.post_once("d1", path, &body).await.expect(200);
    }
    assert_eq!(customer.get("/orders").await.data().len(), 1);
    app.quiet().await;
    assert_eq!(customer.balance().await, PLENTY - 100 + 5);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_gives_no_more_than_its_caller_may_do_now() {
    let app = App::start().await;
    let (admin, mut manager) = (app.admin().await, app.manager().await);
    let tea = manager.sell("Tea", 100, 50).await;
    let customer = app.customer_with(PLENTY).await;
    let order = customer.order(&tea, 1).await;
    customer.wait_for(&order, "paid").await;
    let requests = [
        ("/items".to_owned(), json!({"name": "Cup", "price": 1})),
        (
            format!("/items/{tea}/adjustments"),
            json!({"delta": 1, "reason": "more"}),
        ),
        (
            format!("/orders/{order}/execute"),
            json!({"action": "complete"}),
        ),
    ];
    for (path, body) in &requests {
        let answer = manager.post_once(path, path, body).await;
        assert!(answer.status < 300, "{answer}");
    }
    let role = json!({"role": "customer"});
    let path = format!("/auth/users/{}/role", manager.id);
    admin.put(&path, &role).await.expect(200);
    manager.log_in_again().await;
    for (path, body) in &requests {
        let answer = manager.post_once(path, path, body).await;
        assert!([403, 404].contains(&answer.status), "{answer}");
    }
    app.finish().await;
}
