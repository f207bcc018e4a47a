//! What operators, proxies and other spellings ask for: health, keys, aliases, paths that are none.

use crate::harness::{App, books::SERVICES};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn every_service_is_live_and_ready() {
    let app = App::start().await;
    let nobody = app.anonymous();
    for service in SERVICES {
        let live = nobody.get(&format!("/{service}/health")).await.expect(200);
        assert_eq!(
            (live.is_json(), &live.json()["status"]),
            (true, &json!("ok")),
            "{live}"
        );
        let ready = nobody.get(&format!("/{service}/ready")).await.expect(200);
        assert_eq!(
            (ready.is_json(), &ready.json()["status"]),
            (true, &json!("ready")),
            "{ready}"
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_and_their_place_are_published() {
    let app = App::start().await;
    let nobody = app.anonymous();
    for base in ["/.well-known", "/api/v1/.well-known"] {
        let keys = nobody
            .get(&format!("{base}/jwks.json"))
            .await
            .expect(200)
            .json();
        assert_eq!(keys["keys"].as_array().map(Vec::len), Some(1), "{keys}");
        let about = nobody
            .get(&format!("{base}/openid-configuration"))
            .await
            .expect(200)
            .json();
        assert_eq!(about["issuer"], "http://127.0.0.1:3000");
        assert_eq!(
            about["token_endpoint"],
            "http://127.0.0.1:3000/api/v1/auth/token"
        );
        assert_eq!(
            about["jwks_uri"],
            "http://127.0.0.1:3000/.well-known/jwks.json"
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_keys_is_kept_for_a_while_and_renewed_cheaply() {
    let app = App::start().await;
    let nobody = app.anonymous();
    for path in [
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
    ] {
        let first = nobody.get(path).await.expect(200);
        assert_eq!(first.header("cache-control"), Some("public, max-age=300"));
        let tag = first.header("etag").expect("a tag").to_owned();
        let again = nobody.request("GET", path).header("if-none-match", &tag);
        let again = nobody.send(again).await.expect(304);
        assert_eq!(
            (again.body.as_str(), again.header("etag")),
            ("", Some(tag.as_str()))
        );
        assert_eq!(again.header("cache-control"), Some("public, max-age=300"));
        let other = nobody
            .request("GET", path)
            .header("if-none-match", "\"other\"");
        assert_eq!(nobody.send(other).await.expect(200).body, first.body);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_issuer_that_is_published_is_the_one_in_the_tokens() {
    for issuer in ["https://shop.example/", "https://shop.example:8443/path"] {
        let app = App::start_with(&[("issuer", issuer)]).await;
        let ann = app.customer().await;
        let about = ann
            .get("/.well-known/openid-configuration")
            .await
            .expect(200);
        assert_eq!(about.json()["issuer"], issuer);
        let token = ann.token.clone().expect("a token");
        let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("claims"));
        let claims: Value = serde_json::from_slice(&claims.expect("base64url")).expect("JSON");
        assert_eq!(claims["iss"], issuer);
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_spellings_of_the_seeds_work_too() {
    let app = App::start().await;
    let nobody = app.anonymous();
    nobody.get("/api/v1/health").await.expect(200);
    for (number, path) in ["/auth/register", "/register", "/users/register"]
        .iter()
        .enumerate()
    {
        let body = json!({"email": format!("a{number}@example.com"), "password": "correct horse"});
        nobody.post(path, &body).await.expect(201);
    }
    let login = json!({"login": "a0@example.com", "password": "correct horse"});
    for path in ["/auth/login", "/login", "/users/login"] {
        let mut ann = app.anonymous();
        ann.take_tokens(&nobody.post(path, &login).await.expect(200));
        let profile = ann
            .get(&format!("/profiles/{}", ann.id))
            .await
            .expect(200)
            .json();
        assert_eq!(profile["id"], ann.id.as_str());
        let filled = ann
            .post("/profiles", &json!({"first_name": "Ann"}))
            .await
            .expect(201);
        assert_eq!(filled.json()["first_name"], "Ann");
        ann.send(ann.request("POST", "/logout")).await.expect(204);
        ann.get("/users/me").await.refused(401, "revoked-token");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_are_none_are_404() {
    let app = App::start().await;
    let ann = app.customer().await;
    for path in [
        "/nowhere",
        "/api/",
        "/api/v1/",
        "/api/v2/orders",
        "/api/v1/nothing",
        "/api/v1/orders/not-a-uuid",
        "/api/v1/orders/x/y/z",
        "/api/v1/items/%00",
        "/api/v1/items/..%2f..%2fetc",
        "/api/v1/auth/nothing",
        "/api/v1/billing/nothing",
        "/api/v1/users/00000000-0000-7000-8000-000000000000",
        "/api/v1/notifications/x",
        // What the components say to each other is not for clients.
        "/internal/orders/tick",
        "/internal/stock/items?ids=x",
    ] {
        for method in ["GET", "DELETE"] {
            let answer = ann.send(ann.request(method, path)).await;
            assert!(answer.status == 404 || answer.status == 405, "{answer}");
            let may_be_405 = method != "GET" && !path.starts_with("/internal");
            assert!(answer.status == 404 || may_be_405, "{answer}");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_components_doors_open_only_with_their_secret() {
    let app = App::start().await;
    let nobody = app.anonymous();
    for service in ["auth", "billing", "orders", "stock", "notifications"] {
        for secret in [None, Some(""), Some("guess")] {
            let mut request = nobody.request("POST", &format!("/internal/{service}/tick"));
            if let Some(secret) = secret {
                request = request.header("x-internal-secret", secret);
            }
            nobody.send(request).await.refused(404, "not-found");
        }
    }
    let mails = "/internal/notifications/mails";
    nobody.get(mails).await.refused(404, "not-found");
    let ann = app.customer().await;
    let path = format!("/internal/auth/users/{}", ann.id);
    nobody.delete(&path).await.refused(404, "not-found");
    ann.get("/users/me").await.expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_a_path_does_not_answer_are_405() {
    let app = App::start().await;
    let ann = app.customer().await;
    for (method, path) in [
        ("DELETE", "/orders"),
        ("PUT", "/orders"),
        ("DELETE", "/items"),
        ("GET", "/billing/account/deposit"),
        ("PUT", "/billing/account"),
        ("GET", "/auth/login"),
        ("DELETE", "/auth/register"),
        ("POST", "/users/me"),
        ("DELETE", "/notifications"),
        ("POST", "/orders/00000000-0000-7000-8000-000000000000"),
        ("DELETE", "/items/00000000-0000-7000-8000-000000000000"),
        ("POST", "/stock/health"),
        ("BREW", "/orders"),
    ] {
        ann.send(ann.request(method, path))
            .await
            .refused(405, "method-not-allowed");
    }
    app.finish().await;
}
