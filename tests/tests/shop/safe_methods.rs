//! Safe methods change nothing (RFC 9110 §9.2.1): a `HEAD` is a `GET` without the body, and where a seed wants a `GET`
//! to have effects, no `HEAD`, no `OPTIONS` and no prefetching browser sets them off.

use crate::harness::{Actor, App};
use serde_json::json;

/// The paths where seed 0 refreshes and logs out by `GET`.
const WITH_EFFECTS: [&str; 3] = ["/auth/refresh", "/auth/logout", "/logout"];

fn with_cookie(actor: &Actor, method: &str, path: &str) -> reqwest::RequestBuilder {
    let cookie = format!("refresh_token={}", actor.refresh_token);
    actor.request(method, path).header("cookie", cookie)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_get_and_post_refresh_and_log_out() {
    let app = App::start().await;
    let mut ann = app.customer().await;
    for path in WITH_EFFECTS {
        for method in ["HEAD", "OPTIONS", "PUT", "BREW"] {
            let answer = ann.send_unchecked(with_cookie(&ann, method, path)).await;
            assert_eq!(answer.status, 405, "{answer}");
            assert_eq!(answer.header("allow"), Some("POST, GET"), "{answer}");
        }
        for (field, value) in [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "prefetch"),
        ] {
            let early = with_cookie(&ann, "GET", path).header(field, value);
            ann.send(early).await.refused(403, "prefetch-refused");
        }
    }
    ann.get("/orders").await.expect(200);
    // None of these has used the token up or ended the session.
    let by_post = ann.send(with_cookie(&ann, "POST", "/auth/refresh")).await;
    ann.take_tokens(&by_post.expect(200));
    let by_get = ann.send(with_cookie(&ann, "GET", "/auth/refresh")).await;
    ann.take_tokens(&by_get.expect(200));
    ann.send(with_cookie(&ann, "GET", "/auth/logout"))
        .await
        .expect(204);
    ann.get("/orders").await.refused(401, "revoked-token");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_is_answered_as_the_get_without_the_body() {
    let app = App::start().await;
    let tea = app.manager().await.sell("Tea", 100, 5).await;
    let ann = app.customer().await;
    for path in [
        "/items",
        &format!("/items/{tea}"),
        "/items/not-an-id",
        "/items?limit=0",
        "/orders",
        "/auth/users",
        "/auth/check/any/thing",
        "/billing/account/deposit",
        "/stock/health",
        "/.well-known/jwks.json",
        "/nothing",
    ] {
        let get = ann.get(path).await;
        let head = ann.send_unchecked(ann.request("HEAD", path)).await;
        assert_eq!(head.body, "", "{head}");
        assert_eq!(head.status, get.status, "{head}");
        let fields = |answer: &crate::harness::Answer| {
            let mut fields = answer.headers.clone();
            fields.remove("date");
            fields
        };
        assert_eq!(fields(&head), fields(&get), "{head}");
        if let Some(tag) = get.header("etag") {
            let again = ann.request("HEAD", path).header("if-none-match", tag);
            let again = ann.send_unchecked(again).await;
            assert_eq!((again.status, again.body.as_str()), (304, ""), "{again}");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_over_http2_is_answered_as_the_get_without_the_body() {
    let app = App::start().await;
    app.manager().await.sell("Tea", 100, 5).await;
    let ann = app.customer().await;
    let http2 = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .expect("a client");
    let token = ann.token.clone().expect("logged in");
    for path in [
        "/api/v1/items",
        "/api/v1/orders",
        "/api/v1/auth/users",
        "/api/v1/items/not-an-id",
        "/.well-known/jwks.json",
        "/nothing",
    ] {
        let url = format!("{}{path}", app.address().url());
        let get = http2.get(&url).bearer_auth(&token).send().await;
        let get = get.expect("an answer to GET");
        let (status, fields) = (get.status(), get.headers().clone());
        let length = get.bytes().await.expect("a body").len();
        for _ in 0..5 {
            let head = http2.head(&url).bearer_auth(&token).send().await;
            let head = head.unwrap_or_else(|error| panic!("HEAD {path}: {error:?}"));
            assert_eq!(head.status(), status, "{path}");
            assert_eq!(head.headers().get("etag"), fields.get("etag"), "{path}");
            let said = head.headers().get("content-length").cloned();
            assert_eq!(said, length.to_string().parse().ok(), "{path}");
            assert!(head.bytes().await.expect("no body").is_empty(), "{path}");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_405_names_what_the_path_answers() {
    let app = App::start().await;
    let ann = app.customer().await;
    for (path, allowed) in [
        ("/items", "GET, HEAD, POST"),
        ("/auth/login", "POST"),
        ("/users/me", "GET, HEAD, PATCH, DELETE"),
        ("/auth/audit", "GET, HEAD"),
    ] {
        for method in ["BREW", "OPTIONS", "TRACE"] {
            let answer = ann.send(ann.request(method, path)).await;
            let answer = answer.refused(405, "method-not-allowed");
            assert_eq!(answer.header("allow"), Some(allowed), "{answer}");
        }
    }
    let body = json!({"login": ann.email, "password": ann.password});
    let nobody = app.anonymous();
    nobody.post("/auth/login", &body).await.expect(200);
    app.finish().await;
}
