//! The wallet: what goes in, what goes out, and the list of both.

use crate::harness::App;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn money_goes_in_and_out_and_each_movement_is_listed() {
    let app = App::start().await;
    let customer = app.customer().await;
    assert_eq!(customer.balance().await, 0);
    let answer = customer
        .post(
            "/billing/account/deposit",
            &json!({"amount": 700, "currency": "EUR"}),
        )
        .await;
    assert_eq!(
        answer.expect(200).json(),
        json!({"balance": 700, "currency": "EUR"})
    );
    let answer = customer
        .post("/billing/account/withdraw", &json!({"amount": 200}))
        .await;
    assert_eq!(answer.expect(200).json()["balance"], 500);
    assert_eq!(
        customer.get("/billing/account").await.expect(200).json()["balance"],
        500
    );

    let listed = customer
        .get("/billing/transactions")
        .await
        .expect(200)
        .data();
    let seen: Vec<_> = listed
        .iter()
        .map(|t| json!([t["kind"], t["amount"], t["balance"]]))
        .collect();
    assert_eq!(
        seen,
        [
            json!(["withdrawal", 200, 500]),
            json!(["deposit", 700, 700])
        ]
    );
    assert_eq!(customer.told(1).await, ["deposit.accepted"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_comes_out_than_is_in() {
    let app = App::start().await;
    let customer = app.customer_with(100).await;
    let path = "/billing/account/withdraw";
    customer
        .post(path, &json!({"amount": 101}))
        .await
        .refused(409, "insufficient-funds");
    customer
        .post(path, &json!({"amount": 100}))
        .await
        .expect(200);
    customer
        .post(path, &json!({"amount": 1}))
        .await
        .refused(409, "insufficient-funds");
    assert_eq!(customer.balance().await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_is_opened_once() {
    let app = App::start().await;
    let customer = app.customer().await;
    app.quiet().await;
    // The registration has opened it already.
    let answer = customer
        .post("/billing/account", &json!({}))
        .await
        .expect(200);
    assert_eq!(answer.json(), json!({"balance": 0, "currency": "EUR"}));
    customer.deposit(5).await;
    let answer = customer
        .post("/billing/account", &json!({}))
        .await
        .expect(200);
    assert_eq!(answer.json()["balance"], 5);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_amount_is_ten_million() {
    let app = App::start().await;
    let customer = app.customer().await;
    customer.deposit(1_000_000_000).await;
    customer.deposit(1_000_000_000).await;
    assert_eq!(customer.balance().await, 2_000_000_000);
    app.finish().await;
}
