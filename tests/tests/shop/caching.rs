//! Which answers caches may store: none, unless the answer is the same for everybody.

use crate::harness::App;
use crate::harness::actor::PLENTY;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn private_answers_and_refusals_are_not_kept() {
    let app = App::start().await;
    let admin = app.admin().await;
    let customer = app.customer_with(PLENTY).await;
    let tea = admin.sell("Tea", 100, 5).await;
    let draft = customer.draft(&tea, 1).await;
    for (actor, path, status) in [
        (&customer, "/orders".to_owned(), 200),
        (&customer, format!("/orders/{draft}"), 200),
        (&customer, format!("/orders/{draft}/events"), 200),
        (&customer, "/billing/account".to_owned(), 200),
        (&customer, "/billing/account/my".to_owned(), 200),
        (&customer, "/billing/transactions".to_owned(), 200),
        (&customer, "/notifications".to_owned(), 200),
        (&customer, "/users/me".to_owned(), 200),
        (&customer, format!("/users/{}", customer.id), 200),
        (&customer, format!("/profiles/{}", customer.id), 200),
        (&customer, "/auth/check".to_owned(), 200),
        (&admin, "/auth/users".to_owned(), 200),
        (&admin, format!("/auth/users/{}", customer.id), 200),
        (&admin, "/auth/audit".to_owned(), 200),
        (&admin, "/sagas".to_owned(), 200),
        (&admin, format!("/items/{tea}/movements"), 200),
        // A caller with a token may see more than one without.
        (&customer, "/items".to_owned(), 200),
        (&customer, format!("/items/{tea}"), 200),
        (&app.anonymous(), "/orders".to_owned(), 401),
        (&app.anonymous(), "/items?limit=0".to_owned(), 422),
        (&app.anonymous(), "/items/none".to_owned(), 404),
        (&app.anonymous(), "/auth/nowhere/at/all".to_owned(), 404),
        (&customer, "/auth/users".to_owned(), 403),
    ] {
        let answer = actor.get(&path).await.expect(status);
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
    }
    let lines = json!([{"item_id": tea, "quantity": 1}]);
    for answer in [
        customer
            .post("/orders", &json!({"lines": lines, "draft": true}))
            .await
            .expect(201),
        customer
            .patch("/users/me", &json!({"language": "en"}))
            .await
            .expect(200),
        customer
            .post("/billing/account/deposit", &json!({"amount": 1}))
            .await
            .expect(200),
        customer.post("/orders", &json!({})).await.expect(422),
        app.anonymous()
            .post("/auth/login", &json!({"login": "x", "password": "y"}))
            .await
            .expect(401),
    ] {
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_everybody_may_see_may_be_kept_and_is_asked_for_again() {
    let app = App::start().await;
    let tea = app.manager().await.sell("Tea", 100, 5).await;
    let nobody = app.anonymous();
    for path in ["/items".to_owned(), format!("/items/{tea}")] {
        let answer = nobody.get(&path).await.expect(200);
        let tag = answer.header("etag").expect("an ETag").to_owned();
        let request = nobody.request("GET", &path).header("if-none-match", tag);
        let unchanged = nobody.send(request).await.expect(304);
        for answer in [answer, unchanged] {
            let kept = answer.header("cache-control");
            assert_eq!(kept, Some("public, no-cache"), "{answer}");
            let vary = answer.header("vary").unwrap_or_default();
            assert!(vary.contains("authorization"), "{vary}: {answer}");
        }
    }
    for path in [
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
    ] {
        let answer = nobody.get(path).await.expect(200);
        let kept = answer.header("cache-control").unwrap_or_default();
        assert!(kept.starts_with("public, max-age="), "{kept}: {answer}");
    }
    app.finish().await;
}
