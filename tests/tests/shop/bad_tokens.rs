//! Tokens that are none, or not ours: 401, and nothing else.

use crate::harness::running::on_spin;
use crate::harness::{Actor, App};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use http::HeaderValue;
use serde_json::{Value, json};

/// A path of each service, one that reads and one that writes.
const PATHS: [(&str, &str); 6] = [
    ("GET", "/users/me"),
    ("GET", "/orders"),
    ("POST", "/orders"),
    ("POST", "/billing/account/deposit"),
    ("POST", "/items"),
    ("GET", "/notifications"),
];

async fn is_refused_everywhere(app: &App, authorization: &str, slug: &str) {
    let nobody: Actor = app.anonymous();
    for (method, path) in PATHS {
        let request = nobody
            .request(method, path)
            .header("authorization", authorization);
        let answer = nobody.send(request.json(&json!({"amount": 1}))).await;
        answer.refused(401, slug);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_everything_that_is_someones_is_closed() {
    let app = App::start().await;
    let nobody = app.anonymous();
    for (method, path) in PATHS {
        let answer = nobody
            .send(nobody.request(method, path))
            .await
            .refused(401, "unauthorized");
        // RFC 6750 §3.1: no error code when no token was shown.
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    for other in ["Basic YTpi", "Digest x", "Token x", "Bearerx y"] {
        is_refused_everywhere(&app, other, "unauthorized").await;
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_and_broken_tokens_are_refused() {
    let app = App::start().await;
    let ann = app.customer().await;
    let bob = app.customer().await;
    let (good, other) = (
        ann.token.clone().expect("a token"),
        bob.token.clone().expect("a token"),
    );
    let parts: Vec<&str> = good.split('.').collect();
    let (head, claims, signature) = (parts[0], parts[1], parts[2]);
    let with_head = |change: Value| format!("{}.{claims}.{signature}", merged(head, &change));
    let with_claims = |change: Value| format!("{head}.{}.{signature}", merged(claims, &change));
    let unsigned = |alg: &str| format!("{}.{claims}.", merged(head, &json!({"alg": alg})));
    let foreign = other.rsplit('.').next().unwrap_or_default();
    let tokens = [
        "x".to_owned(),
        "x.y".to_owned(),
        "x.y.z".to_owned(),
        format!("{head}.{claims}"),
        format!("{head}.{claims}."),
        format!("{good}.{signature}"),
        format!("{good}x"),
        format!("{head}.{claims}.{}", flipped(signature)),
        format!("{head}.{claims}.{}", &signature[..signature.len() / 2]),
        format!("{head}.{claims}.{foreign}"),
        with_claims(json!({"sub": bob.id})),
        with_claims(json!({"roles": ["admin"]})),
        with_claims(json!({"exp": 32_503_680_000_i64})),
        with_head(json!({"kid": "other"})),
        with_head(json!({"alg": "HS256"})),
        with_head(json!({"typ": "JWT"})),
        unsigned("none"),
        unsigned("None"),
        unsigned("nOnE"),
        ann.refresh_token.clone(),
        format!("{}.{claims}.{signature}", "A".repeat(12_000)),
    ];
    for token in tokens {
        is_refused_everywhere(&app, &format!("Bearer {token}"), "invalid-token").await;
    }
    ann.get("/orders").await.expect(200);
    // The scheme's name is compared without regard to case (RFC 9110 §11.1).
    let request = app.anonymous().request("GET", "/orders");
    app.anonymous()
        .send(request.header("authorization", format!("bEARER {good}")))
        .await
        .expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_is_no_text_holds_no_token() {
    let app = App::start().await;
    let ann = app.customer().await;
    let good = ann.token.clone().unwrap_or_default();
    let nobody = app.anonymous();
    // Spin itself answers such a request, and with 500.
    let values = [
        &b"Bearer \xff\xfe"[..],
        b"\xff",
        "Bearer \u{1F600}".as_bytes(),
    ];
    for value in values.into_iter().filter(|_| !on_spin()) {
        let value = HeaderValue::from_bytes(value).expect("a value");
        let request = nobody
            .request("GET", "/orders")
            .header("authorization", value);
        nobody.send(request).await.refused(401, "unauthorized");
    }
    // Which of two counts is nobody's to choose.
    for (first, second) in [("Bearer x".to_owned(), format!("Bearer {good}"))] {
        let request = nobody.request("GET", "/orders");
        let request = request
            .header("authorization", first)
            .header("authorization", second);
        nobody.send(request).await.refused(401, "invalid-token");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_shop_is_refused() {
    let here = App::start().await;
    let elsewhere = App::start_with(&[("audience", "another shop")]).await;
    let issuer = App::start_with(&[("issuer", "http://other.example")]).await;
    for other in [&elsewhere, &issuer] {
        let ann = other.customer().await;
        ann.get("/orders").await.expect(200);
        let token = ann.token.clone().expect("a token");
        is_refused_everywhere(&here, &format!("Bearer {token}"), "invalid-token").await;
    }
    for app in [here, elsewhere, issuer] {
        app.finish().await;
    }
}

/// A part of a token with some members put in place of its own.
fn merged(part: &str, change: &Value) -> String {
    let mut value: Value =
        serde_json::from_slice(&BASE64.decode(part).expect("base64url")).expect("JSON");
    for (name, new) in change.as_object().expect("members") {
        value[name] = new.clone();
    }
    BASE64.encode(value.to_string())
}

/// One bit off.
fn flipped(signature: &str) -> String {
    let mut bytes = BASE64.decode(signature).expect("base64url");
    bytes[7] ^= 1;
    BASE64.encode(bytes)
}
