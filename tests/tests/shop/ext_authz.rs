//! `/auth/check/**` and `/auth/istio/**`: what Envoy's and Istio's external authorization over HTTP asks.
//! The requests are those of Envoy's documentation of the filter: the client's method, its path behind
//! the prefix, its `authorization`, and no body.

mod envoy;

use crate::harness::{Actor, Answer, App};
use serde_json::json;

const PREFIXES: [&str; 2] = ["/auth/check", "/auth/istio"];
const METHODS: [&str; 9] = [
    "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW",
];
const PATHS: [&str; 10] = [
    "",
    "/",
    "/api/v1/orders",
    "/api/v1/orders?limit=5&cursor=%2F..%2F",
    "/a//b/%2e%2e/%00?x",
    "/api/v1/auth/login",
    "/api/v1/auth/check/again",
    "/%D1%87%D0%B0%D0%B9/%ff",
    "/login",
    "/very/deep/path/that/nobody/serves?redirect=http://evil.example",
];

async fn ask(actor: &Actor, method: &str, path: &str) -> Answer {
    actor.send(actor.request(method, path)).await
}

/// Lets the request pass, as this one.
#[track_caller]
fn passes(answer: &Answer, id: &str, roles: &str, email: &str, name: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{answer}");
    for (field, value) in [
        ("x-user-id", id),
        ("x-user-roles", roles),
        ("x-user-email", email),
        ("x-user-name", name),
    ] {
        let values: Vec<_> = answer.headers.get_all(field).iter().collect();
        assert_eq!(values, [value], "{field}: {answer}");
    }
    assert_eq!(answer.header("etag"), None);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test(flavor = "multi_thread")]
async fn any_method_and_path_passes_with_a_token_and_none_without() {
    let app = App::start().await;
    let ann = app.customer().await;
    let nobody = app.anonymous();
    for prefix in PREFIXES {
        for (number, path) in PATHS.iter().enumerate() {
            for method in METHODS {
                // Each method with some path, each path with some method; all of them would take long.
                if number > 1 && method.len() % PATHS.len() != number && method != "POST" {
                    continue;
                }
                let path = format!("{prefix}{path}");
                passes(
                    &ask(&ann, method, &path).await,
                    &ann.id,
                    "customer",
                    &ann.email,
                    "",
                );
                let refused = ask_unchecked(&nobody, method, &path).await;
                assert_eq!(refused.status, 401, "{refused}");
                assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
                assert_eq!(refused.header("x-user-id"), None);
            }
        }
    }
    app.finish().await;
}

/// `HEAD` is answered without a body, problem or not.
async fn ask_unchecked(actor: &Actor, method: &str, path: &str) -> Answer {
    actor.send_unchecked(actor.request(method, path)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_passes_is_what_the_token_says_and_nothing_else() {
    let app = App::start().await;
    let manager = app.manager().await;
    let body = json!({"email": "zoe@example.com", "password": "correct horse", "username": "zoë"});
    let mut zoe = app.anonymous();
    zoe.take_tokens(&zoe.post("/auth/register", &body).await.expect(201));
    let forged = |actor: &Actor| {
        let mut request = actor.request("GET", "/auth/check/api/v1/orders");
        for field in ["x-user-id", "x-user-roles", "x-user-email", "x-user-name"] {
            request = request.header(field, "admin").header(field, "root");
        }
        // Nor may what the client knows already turn a 200 into a 304.
        request
            .header("if-none-match", "*")
            .header("x-role", "admin")
    };
    let answer = manager.send(forged(&manager)).await;
    passes(&answer, &manager.id, "manager", &manager.email, "");
    let answer = zoe.send(forged(&zoe)).await;
    passes(&answer, &zoe.id, "customer", "zoe@example.com", "zo%C3%AB");
    let nobody = app.anonymous();
    let answer = nobody
        .send(forged(&nobody))
        .await
        .refused(401, "unauthorized");
    assert_eq!(answer.header("x-user-id"), None);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_none_or_no_more_does_not_pass() {
    let app = App::start().await;
    let ann = app.customer().await;
    let token = ann.token.clone().unwrap_or_default();
    let nobody = app.anonymous();
    for (bad, slug) in [
        ("Basic YTpi".to_owned(), "unauthorized"),
        ("Bearer".to_owned(), "unauthorized"),
        ("Bearer x".to_owned(), "invalid-token"),
        ("Bearer a.b.c".to_owned(), "invalid-token"),
        (format!("Bearer {token}x"), "invalid-token"),
        (format!("Bearer {}", ann.refresh_token), "invalid-token"),
        (format!("Bearer {}", "x".repeat(20_000)), "invalid-token"),
    ] {
        for prefix in PREFIXES {
            let request = nobody.request("POST", &format!("{prefix}/api/v1/orders"));
            let request = request.header("authorization", bad.clone());
            nobody.send(request).await.refused(401, slug);
        }
    }
    ask(&ann, "GET", "/auth/check/x").await.expect(200);
    ann.send(ann.request("POST", "/auth/logout"))
        .await
        .expect(204);
    for prefix in PREFIXES {
        ask(&ann, "GET", prefix).await.refused(401, "revoked-token");
    }
    app.finish().await;
}
