//! Orders that are still being made: kept as drafts, edited, confirmed.

use crate::harness::App;
use crate::harness::actor::{PLENTY, id_of};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_edited_and_confirmed() {
    let app = App::start().await;
    let manager = app.manager().await;
    let (cup, pot) = (
        manager.sell("Cup", 500, 10).await,
        manager.sell("Pot", 2_000, 1).await,
    );
    let customer = app.customer_with(PLENTY).await;

    let draft = json!({"lines": [{"item_id": cup, "quantity": 1}], "draft": true});
    let answer = customer.post("/orders", &draft).await.expect(201);
    assert_eq!(answer.json()["status"], "draft");
    assert!(
        answer.json().get("total").is_none(),
        "no price is promised yet: {answer}"
    );
    let id = id_of(&answer);

    let path = format!("/orders/{id}");
    let lines = json!([{"item_id": pot, "quantity": 1}, {"item_id": cup, "quantity": 4}]);
    let changed = customer
        .patch(&path, &json!({"lines": lines}))
        .await
        .expect(200)
        .json();
    assert_eq!(changed["lines"], lines);
    let changed = customer
        .patch(&path, &json!({"address": "Here"}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&changed["address"], &changed["lines"]),
        (&json!("Here"), &lines)
    );
    assert_eq!(
        manager.item(&cup).await["reserved"],
        0,
        "a draft holds nothing"
    );
    assert!(customer.history(&id).await.is_empty());

    customer.execute(&id, "confirm").await.expect(200);
    let paid = customer.wait_for(&id, "paid").await;
    assert_eq!(
        (&paid["total"], &paid["address"]),
        (&json!(4_000), &json!("Here"))
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_state_does_not_allow_is_refused_and_changes_nothing() {
    let app = App::start().await;
    let manager = app.manager().await;
    let tea = manager.sell("Tea", 100, 5).await;
    let customer = app.customer_with(PLENTY).await;

    let draft = customer.draft(&tea, 1).await;
    manager
        .execute(&draft, "complete")
        .await
        .refused(409, "wrong-state");

    let paid = customer.order(&tea, 1).await;
    customer.wait_for(&paid, "paid").await;
    customer
        .execute(&paid, "confirm")
        .await
        .refused(409, "wrong-state");
    let lines = json!({"lines": [{"item_id": tea, "quantity": 5}]});
    customer
        .patch(&format!("/orders/{paid}"), &lines)
        .await
        .refused(409, "not-a-draft");
    assert_eq!(customer.read_order(&paid).await["lines"][0]["quantity"], 1);

    customer.execute(&paid, "cancel").await.expect(200);
    customer.wait_for(&paid, "canceled").await;
    manager
        .execute(&paid, "complete")
        .await
        .refused(409, "wrong-state");
    customer
        .execute(&paid, "confirm")
        .await
        .refused(409, "wrong-state");
    app.finish().await;
}
