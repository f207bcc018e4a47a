//! The catalogue: open to all, kept by managers.

use crate::harness::App;
use crate::harness::actor::{PLENTY, id_of};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_adds_changes_and_adjusts_an_item() {
    let app = App::start().await;
    let manager = app.manager().await;
    let new = json!({"name": "Teapot", "description": "One litre", "price": 3_490, "quantity": 4});
    let made = manager.post("/items", &new).await.expect(201);
    let id = id_of(&made);
    assert_eq!(
        made.header("location"),
        Some(format!("/api/v1/items/{id}").as_str())
    );
    let item = manager.item(&id).await;
    for (field, value) in [
        ("name", json!("Teapot")),
        ("description", json!("One litre")),
        ("price", json!(3_490)),
        ("currency", json!("EUR")),
        ("on_hand", json!(4)),
        ("reserved", json!(0)),
        ("available", json!(4)),
        ("archived", json!(false)),
    ] {
        assert_eq!(item[field], value, "{field}");
    }
    assert!(
        item["created_at"]
            .as_str()
            .is_some_and(|at| at.ends_with('Z')),
        "{item}"
    );

    let path = format!("/items/{id}");
    let changed = manager
        .patch(&path, &json!({"price": 2_990}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&changed["price"], &changed["name"]),
        (&json!(2_990), &json!("Teapot"))
    );

    let adjustments = format!("/items/{id}/adjustments");
    let more = json!({"delta": 6, "reason": "delivery"});
    assert_eq!(
        manager.post(&adjustments, &more).await.expect(200).json()["on_hand"],
        10
    );
    let broken = json!({"delta": -3, "reason": "broken"});
    assert_eq!(
        manager.post(&adjustments, &broken).await.expect(200).json()["on_hand"],
        7
    );
    let too_many = json!({"delta": -8, "reason": "stolen"});
    let refused = manager
        .post(&adjustments, &too_many)
        .await
        .refused(422, "invalid-input");
    assert_eq!(refused.fields(), ["delta"]);

    let movements = manager
        .get(&format!("/items/{id}/movements"))
        .await
        .expect(200)
        .data();
    let seen: Vec<_> = movements
        .iter()
        .map(|m| json!([m["kind"], m["quantity"], m["reason"]]))
        .collect();
    assert_eq!(
        seen,
        [
            json!(["adjust", -3, "broken"]),
            json!(["adjust", 6, "delivery"]),
            json!(["adjust", 4, "first stock"])
        ]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_look_and_do_not_touch() {
    let app = App::start().await;
    let (manager, customer, stranger) =
        (app.manager().await, app.customer().await, app.anonymous());
    let tea = manager.sell("Tea", 100, 5).await;
    let item = format!("/items/{tea}");
    let new = json!({"name": "Mine", "price": 1});
    let adjustment = json!({"delta": 1, "reason": "why not"});
    let attempts = [
        ("POST", "/items".to_owned(), new),
        ("PATCH", item.clone(), json!({"price": 1})),
        ("POST", format!("{item}/adjustments"), adjustment),
        ("GET", format!("{item}/movements"), json!({})),
    ];
    for (method, path, body) in attempts {
        customer
            .send(customer.request(method, &path).json(&body))
            .await
            .refused(403, "forbidden");
        stranger
            .send(stranger.request(method, &path).json(&body))
            .await
            .refused(401, "unauthorized");
    }
    assert_eq!(stranger.get("/items").await.expect(200).data().len(), 1);
    assert_eq!(stranger.item(&tea).await["price"], 100);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_item_is_out_of_the_list_and_out_of_reach() {
    let app = App::start().await;
    let manager = app.manager().await;
    let tea = manager.sell("Tea", 100, 5).await;
    manager
        .patch(&format!("/items/{tea}"), &json!({"archived": true}))
        .await
        .expect(200);
    assert!(app.anonymous().get("/items").await.data().is_empty());
    assert_eq!(manager.get("/items?archived=true").await.data().len(), 1);
    let customer = app.customer().await;
    let order = json!({"lines": [{"item_id": tea, "quantity": 1}]});
    let refused = customer
        .post("/orders", &order)
        .await
        .refused(422, "invalid-input");
    assert_eq!(refused.fields(), ["lines[0].item_id"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_staff_see_archived_items_and_what_is_reserved() {
    let app = App::start().await;
    let (manager, admin) = (app.manager().await, app.admin().await);
    let (tea, cup) = (
        manager.sell("Tea", 100, 5).await,
        manager.sell("Cup", 200, 5).await,
    );
    let customer = app.customer_with(PLENTY).await;
    let order = customer.order(&tea, 2).await;
    customer.wait_for(&order, "paid").await;
    let archive = json!({"archived": true});
    let path = format!("/items/{cup}");
    manager.patch(&path, &archive).await.expect(200);

    let paths = [
        "/items",
        "/items?archived=true",
        "/items?q=cup&archived=true",
    ];
    for who in [&app.anonymous(), &customer] {
        who.get(&path).await.refused(404, "not-found");
        for list in paths {
            let items = who.get(list).await.expect(200).data();
            assert!(items.iter().all(|item| item["id"] != *cup), "{items:?}");
            assert!(items.iter().all(|item| item.get("reserved").is_none()));
        }
        let item = who.item(&tea).await;
        assert!(item.get("reserved").is_none(), "{item}");
        assert_eq!(
            (&item["available"], &item["archived"]),
            (&json!(3), &json!(false))
        );
    }
    for who in [&manager, &admin] {
        assert_eq!(who.item(&cup).await["archived"], true);
        assert_eq!(who.item(&tea).await["reserved"], 2);
        assert_eq!(who.get("/items").await.expect(200).data().len(), 1);
        let with_archived = who.get("/items?archived=true").await.expect(200).data();
        assert_eq!(with_archived.len(), 2);
        assert!(with_archived.iter().all(|item| item["reserved"].is_i64()));
    }
    // An order keeps the names of what was in it.
    manager
        .patch(&format!("/items/{tea}"), &archive)
        .await
        .expect(200);
    customer
        .get(&format!("/items/{tea}"))
        .await
        .refused(404, "not-found");
    assert_eq!(customer.read_order(&order).await["lines"][0]["name"], "Tea");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_is_refused_and_not_taken_for_none() {
    let app = App::start().await;
    let tea = app.manager().await.sell("Tea", 100, 5).await;
    let mut customer = app.customer().await;
    let logout = customer.request("POST", "/auth/logout");
    customer.send(logout).await;
    for path in ["/items".to_owned(), format!("/items/{tea}")] {
        customer.get(&path).await.refused(401, "revoked-token");
        customer.token = Some("nonsense".to_owned());
        customer.get(&path).await.refused(401, "invalid-token");
        // Basic credentials are not a token; a proxy may require them.
        let nobody = app.anonymous();
        let basic = nobody.request("GET", &path).basic_auth("ann", Some("x"));
        nobody.send(basic).await.expect(200);
        customer.log_in_again().await;
        let logout = customer.request("POST", "/auth/logout");
        customer.send(logout).await;
    }
    app.finish().await;
}
