//! What the shop tells: one's own list, and what has been read.

use crate::harness::App;
use crate::harness::actor::PLENTY;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_is_read_once_and_by_its_owner() {
    let app = App::start().await;
    let ann = app.customer_with(1_234).await;
    let bob = app.customer().await;
    ann.told(1).await;
    let note = ann.get("/notifications").await.data().remove(0);
    assert_eq!(note["kind"], "deposit.accepted");
    assert!(
        note["text"]
            .as_str()
            .is_some_and(|text| text.contains("12.34 EUR")),
        "{note}"
    );
    assert!(
        note.get("read_at").is_none() && note["created_at"].is_string(),
        "{note}"
    );

    let path = format!(
        "/notifications/{}/read",
        note["id"].as_str().expect("an id")
    );
    bob.send(bob.request("POST", &path))
        .await
        .refused(404, "not-found");
    app.anonymous()
        .send(app.anonymous().request("POST", &path))
        .await
        .refused(401, "unauthorized");
    assert_eq!(ann.get("/notifications?unread=true").await.data().len(), 1);
    let read = ann
        .send(ann.request("POST", &path))
        .await
        .expect(200)
        .json();
    let again = ann
        .send(ann.request("POST", &path))
        .await
        .expect(200)
        .json();
    assert!(read["read_at"].is_string() && read == again, "{again}");
    assert!(
        ann.get("/notifications?unread=true")
            .await
            .data()
            .is_empty()
    );
    assert!(bob.get("/notifications").await.data().is_empty());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_notification_names_its_order() {
    let app = App::start().await;
    let tea = app.manager().await.sell("Tea", 100, 1).await;
    let ann = app.customer_with(PLENTY).await;
    let orders = [ann.order(&tea, 1).await, ann.order(&tea, 1).await];
    for order in &orders {
        ann.wait_for_end(order).await;
    }
    ann.told(5).await;
    let notes = ann.get("/notifications").await.data();
    for order in &orders {
        let number = ann.read_order(order).await["number"].to_string();
        let of_order: Vec<_> = notes
            .iter()
            .filter(|n| n["order_id"] == json!(order))
            .collect();
        assert_eq!(of_order.len(), 2, "{notes:?}");
        assert!(
            of_order
                .iter()
                .all(|n| n["text"].as_str().is_some_and(|t| t.contains(&number)))
        );
    }
    app.finish().await;
}
