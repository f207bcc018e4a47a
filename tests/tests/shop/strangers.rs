//! Other people's things do not exist for whoever asks (404), whatever is tried with them.

use crate::harness::App;
use crate::harness::actor::PLENTY;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn someone_elses_things_are_not_there() {
    let app = App::start().await;
    let tea = app.manager().await.sell("Tea", 100, 5).await;
    let (ann, bob) = (app.customer_with(PLENTY).await, app.customer().await);
    let draft = ann.draft(&tea, 1).await;
    let paid = ann.order(&tea, 1).await;
    ann.wait_for(&paid, "paid").await;
    ann.told(3).await;
    let note = ann.get("/notifications").await.data()[0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    app.quiet().await;

    let mut attempts = vec![
        ("POST", format!("/notifications/{note}/read"), json!({})),
        ("GET", format!("/users/{}", ann.id), json!({})),
        (
            "PATCH",
            format!("/users/{}", ann.id),
            json!({"first_name": "Bob"}),
        ),
        (
            "PUT",
            format!("/users/{}", ann.id),
            json!({"first_name": "Bob"}),
        ),
        ("DELETE", format!("/users/{}", ann.id), json!({})),
        ("GET", format!("/profiles/{}", ann.id), json!({})),
    ];
    for order in [&draft, &paid] {
        attempts.push(("GET", format!("/orders/{order}"), json!({})));
        attempts.push(("GET", format!("/orders/{order}/events"), json!({})));
        attempts.push((
            "PATCH",
            format!("/orders/{order}"),
            json!({"address": "Bob's"}),
        ));
        for action in ["confirm", "cancel", "complete"] {
            attempts.push((
                "POST",
                format!("/orders/{order}/execute"),
                json!({"action": action}),
            ));
        }
    }
    let before = app.books().counts();
    for (method, path, body) in attempts {
        let theirs = bob
            .send(bob.request(method, &path).json(&body))
            .await
            .refused(404, "not-found");
        // Nothing tells it apart from an id that nobody has.
        let id = path.split('/').nth(2).expect("an id");
        let free = path.replace(id, "00000000-0000-7000-8000-000000000000");
        let nobodys = bob
            .send(bob.request(method, &free).json(&body))
            .await
            .refused(404, "not-found");
        assert_eq!(theirs.body, nobodys.body, "{method} {path}");
    }
    assert!(bob.get("/orders").await.data().is_empty());
    assert!(bob.get("/billing/transactions").await.data().is_empty());
    assert_eq!(app.books().counts(), before);
    assert_eq!(ann.read_order(&draft).await["status"], "draft");
    app.finish().await;
}
