//! Requests between the host and the services need the shared secret. Without it, an internal route
//! can't be told from a path that does not exist.

use crate::harness::routes::{routes, with_secret};
use crate::harness::{Actor, Answer, App, workspace};
use reqwest::RequestBuilder;
use serde_json::json;
use std::collections::BTreeMap;

const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW",
];
/// A path that does not exist.
const NOWHERE: &str = "/internal/nothing/at/all";
const ID: &str = "00000000-0000-7000-8000-000000000000";

/// What a stranger sees of an answer.
fn seen(answer: &Answer) -> (u16, &str, BTreeMap<&str, &[u8]>) {
    let fields = answer.headers.iter();
    let mut fields: BTreeMap<_, _> = fields.map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
    fields.remove("date");
    (answer.status, &answer.body, fields)
}

async fn ask(
    stranger: &Actor,
    method: &str,
    path: &str,
    with: impl Fn(RequestBuilder) -> RequestBuilder,
) -> Answer {
    let request = with(stranger.request(method, path));
    stranger.send_unchecked(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_secret_an_internal_route_is_like_a_path_that_does_not_exist() {
    let app = App::start().await;
    let routes = routes(&app).await;
    let internal = routes.iter().filter(|route| route.is_internal());
    let mut paths: Vec<String> = internal
        .map(|route| route.path.replace("{id}", ID))
        .collect();
    assert!(paths.len() > 30, "{paths:?}");
    for other in [
        "/internal",
        "/internal/",
        "/internal/auth",
        "/internal/orders/",
        "/nowhere",
    ] {
        paths.push(other.to_owned());
    }
    let stranger = app.anonymous();
    let plain = |request| request;
    for method in METHODS {
        let nowhere = ask(&stranger, method, NOWHERE, plain).await;
        assert_eq!(nowhere.status, 404, "{nowhere}");
        for path in &paths {
            let answer = ask(&stranger, method, path, plain).await;
            assert_eq!(seen(&answer), seen(&nowhere), "{answer}");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_body_or_guess_makes_an_internal_route_show_itself() {
    let app = App::start().await;
    let secret = workspace::keys().internal_secret().to_owned();
    let admin = app.admin().await;
    let stranger = app.anonymous();
    let guesses = [
        String::new(),
        "guess".to_owned(),
        secret[..secret.len() - 1].to_owned(),
        format!("{secret}x"),
        secret.to_uppercase() + "x",
    ];
    for (method, path) in [
        ("POST", "/internal/orders/tick".to_owned()),
        ("POST", "/internal/auth/tick/".to_owned()),
        ("POST", "/internal//orders/tick".to_owned()),
        ("POST", "/internal/ORDERS/tick".to_owned()),
        ("POST", "/internal/orders/%74ick".to_owned()),
        ("GET", "/internal/stock/items?ids=x".to_owned()),
        ("GET", "/internal/stock/items?surprise".to_owned()),
        ("GET", "/internal/notifications/mails".to_owned()),
        ("DELETE", format!("/internal/auth/users/{}", admin.id)),
        ("POST", format!("/internal/orders/sagas/{ID}/compensate")),
        (
            "POST",
            "/internal/orders/sagas/not-an-id/redrive".to_owned(),
        ),
    ] {
        type With<'a> = &'a dyn Fn(RequestBuilder) -> RequestBuilder;
        let ways: [(&Actor, With<'_>); 4] = [
            (&stranger, &|request| request),
            (&stranger, &|request| request.json(&json!({"reason": 1}))),
            (&stranger, &|request| request.body("x".repeat(70_000))),
            (&admin, &|request| request),
        ];
        for (actor, with) in ways {
            let nowhere = ask(actor, method, NOWHERE, with).await;
            let answer = ask(actor, method, &path, with).await;
            assert_eq!(seen(&answer), seen(&nowhere), "{answer}");
        }
        let nowhere = ask(&stranger, method, NOWHERE, |request| request).await;
        for guess in &guesses {
            let guessed = |request: RequestBuilder| request.header("x-internal-secret", guess);
            let answer = ask(&stranger, method, &path, guessed).await;
            assert_eq!(seen(&answer), seen(&nowhere), "{guess:?}: {answer}");
        }
    }
    admin.get("/users/me").await.expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holders_of_the_secret_are_told_what_is_wrong() {
    let app = App::start().await;
    let nobody = app.anonymous();
    let tick = "/internal/orders/tick";
    let wrong = with_secret(nobody.request("GET", tick));
    let wrong = nobody.send(wrong).await.refused(405, "method-not-allowed");
    assert_eq!(wrong.header("allow"), Some("POST"));
    let none = with_secret(nobody.request("GET", "/internal/orders/nothing"));
    nobody.send(none).await.refused(404, "not-found");
    let unread = with_secret(nobody.request("GET", "/internal/stock/items"));
    nobody.send(unread).await.refused(422, "invalid-input");
    app.tick("orders").await;
    app.finish().await;
}
