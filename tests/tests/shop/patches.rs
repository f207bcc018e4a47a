//! `PATCH`: `null` clears a field or is refused, and a request that changes nothing has no effect.

use crate::harness::actor::id_of;
use crate::harness::{Actor, App};
use serde_json::{Value, json};
use std::time::Duration;

/// Reads, changes, reads again: the answer and both readings are the same, and no table has another row.
async fn changes_nothing(app: &App, who: &Actor, path: &str, method: &str, body: &Value) {
    let before = who.get(path).await.expect(200).json();
    let counts = app.books().counts();
    // So that a new `updated_at` would differ.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let answer = who.send(who.request(method, path).json(body)).await;
    assert_eq!(answer.expect(200).json(), before, "{method} {path} {body}");
    let after = who.get(path).await.expect(200).json();
    assert_eq!(after, before, "{method} {path} {body}");
    assert_eq!(app.books().counts(), counts, "{method} {path} {body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn null_clears_a_field_that_may_be_empty_and_is_refused_for_others() {
    let app = App::start().await;
    let manager = app.manager().await;
    let new = json!({"name": "Tea", "description": "Green", "price": 100, "quantity": 5});
    let tea = id_of(&manager.post("/items", &new).await.expect(201));
    let item = format!("/items/{tea}");
    let refused = async |who: &Actor, path: &str, field: &str| {
        let answer = who.patch(path, &json!({ field: null })).await;
        assert_eq!(answer.refused(422, "invalid-input").fields(), [field]);
    };
    for field in ["name", "price", "currency", "archived"] {
        refused(&manager, &item, field).await;
    }
    let cleared = json!({"description": null});
    let changed = manager.patch(&item, &cleared).await.expect(200).json();
    assert_eq!(
        (&changed["description"], &changed["name"]),
        (&Value::Null, &json!("Tea"))
    );
    assert_eq!(manager.item(&tea).await["description"], Value::Null);

    let ann = app.customer().await;
    let lines = json!([{"item_id": tea, "quantity": 1}]);
    let draft = json!({"lines": lines, "address": "Here", "draft": true});
    let draft = id_of(&ann.post("/orders", &draft).await.expect(201));
    let path = format!("/orders/{draft}");
    refused(&ann, &path, "lines").await;
    let cleared = json!({"address": null});
    let changed = ann.patch(&path, &cleared).await.expect(200).json();
    assert!(changed.get("address").is_none(), "{changed}");
    assert!(ann.read_order(&draft).await.get("address").is_none());

    let profile =
        json!({"first_name": "Ann", "last_name": "Lee", "phone": "+49 30 12345", "language": "de"});
    ann.patch("/users/me", &profile).await.expect(200);
    let (by_id, alias) = (
        format!("/users/{}", ann.id),
        format!("/profiles/{}", ann.id),
    );
    for (path, field) in [
        ("/users/me", "first_name"),
        (by_id.as_str(), "last_name"),
        (alias.as_str(), "phone"),
        ("/users/me", "language"),
    ] {
        let answer = ann.patch(path, &json!({ field: null })).await;
        let changed = answer.expect(200).json();
        assert!(changed.get(field).is_none(), "{changed}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_nothing_leaves_no_trace() {
    let app = App::start().await;
    let manager = app.manager().await;
    let new = json!({"name": "Tea", "description": "Green", "price": 100, "quantity": 5});
    let tea = id_of(&manager.post("/items", &new).await.expect(201));
    let item = format!("/items/{tea}");
    let ann = app.customer().await;
    let lines = json!([{"item_id": tea, "quantity": 2}]);
    let draft = json!({"lines": lines, "address": "Here", "draft": true});
    let draft = id_of(&ann.post("/orders", &draft).await.expect(201));
    let order = format!("/orders/{draft}");
    ann.patch("/users/me", &json!({"first_name": "Ann"}))
        .await
        .expect(200);
    app.quiet().await;

    let same = json!({"name": " Tea ", "description": "Green", "price": 100, "currency": "EUR", "archived": false});
    for body in [json!({}), same, json!({"price": 100})] {
        changes_nothing(&app, &manager, &item, "PATCH", &body).await;
    }
    let upper = json!([{"item_id": tea.to_uppercase(), "quantity": 2}]);
    for body in [
        json!({}),
        json!({"address": "Here"}),
        json!({"lines": lines}),
        json!({"lines": upper, "address": "Here"}),
    ] {
        changes_nothing(&app, &ann, &order, "PATCH", &body).await;
    }
    let (by_id, alias) = (
        format!("/users/{}", ann.id),
        format!("/profiles/{}", ann.id),
    );
    for path in ["/users/me", &by_id, &alias] {
        for body in [
            json!({}),
            json!({"first_name": "Ann"}),
            json!({"phone": null}),
        ] {
            changes_nothing(&app, &ann, path, "PATCH", &body).await;
        }
    }
    changes_nothing(&app, &ann, &by_id, "PUT", &json!({"first_name": "Ann"})).await;

    // What does change something moves the time.
    for (who, path, body) in [
        (&manager, &item, json!({"description": null})),
        (
            &ann,
            &order,
            json!({"lines": [{"item_id": tea, "quantity": 3}]}),
        ),
        (&ann, &by_id, json!({"first_name": null})),
    ] {
        let at = async || who.get(path).await.expect(200).json()["updated_at"].clone();
        let before = at().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        who.patch(path, &body).await.expect(200);
        assert_ne!(at().await, before, "{path}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_stays_as_it_is_after_one_of_its_items_is_archived() {
    let mut app = App::start().await;
    let manager = app.manager().await;
    let tea = manager.sell("Tea", 100, 5).await;
    let ann = app.customer().await;
    let draft = ann.draft(&tea, 1).await;
    manager
        .patch(&format!("/items/{tea}"), &json!({"archived": true}))
        .await
        .expect(200);
    // No instance remembers the item as one that can be ordered.
    app.restart().await;
    let path = format!("/orders/{draft}");
    let line = |quantity: i64| json!({"lines": [{"item_id": tea, "quantity": quantity}]});
    changes_nothing(&app, &ann, &path, "PATCH", &line(1)).await;
    let refused = ann.patch(&path, &line(2)).await;
    let refused = refused.refused(422, "invalid-input");
    assert_eq!(refused.fields(), ["lines[0].item_id"]);
    app.finish().await;
}
