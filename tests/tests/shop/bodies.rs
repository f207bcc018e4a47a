//! Bodies that are absent, that are not what their headers say, or that are too large.

use crate::harness::actor::PLENTY;
use crate::harness::wire::Wire;
use crate::harness::{Actor, App};
use serde_json::json;

const JSON: &str = "content-type: application/json";

fn fresh_token(body: &str) -> String {
    let tokens: serde_json::Value = serde_json::from_str(body).expect("tokens");
    tokens["refresh_token"]
        .as_str()
        .expect("a token")
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_media_type_without_a_body_is_no_body() {
    let app = App::start().await;
    let ann = app.customer().await;
    let address = app.address().socket();
    let mut token = ann.refresh_token.clone();
    let refreshed = tokio::task::spawn_blocking(move || {
        for (method, fields, body) in [
            ("GET", &[JSON][..], ""),
            ("POST", &[JSON, "content-length: 0"], ""),
            ("POST", &[JSON, "transfer-encoding: chunked"], "0\r\n\r\n"),
            ("POST", &[JSON], ""),
            (
                "POST",
                &["content-type: text/plain", "transfer-encoding: chunked"],
                "0\r\n\r\n",
            ),
            (
                "POST",
                &[JSON, "content-encoding: gzip", "content-length: 0"],
                "",
            ),
            ("POST", &["transfer-encoding: chunked"], "0\r\n\r\n"),
        ] {
            let cookie = format!("cookie: refresh_token={token}");
            let fields: Vec<&str> = fields.iter().copied().chain([cookie.as_str()]).collect();
            let (status, answer) =
                Wire::to(address).ask(method, "/auth/refresh", &fields, body.as_bytes());
            assert_eq!(status, 200, "{method} {fields:?}: {answer}");
            token = fresh_token(&answer);
        }
        token
    });
    let token = refreshed.await.expect("no panic");
    // The same over HTTP/2, where an empty body has no length.
    let http2 = reqwest::Client::builder().http2_prior_knowledge();
    let http2 = http2.build().expect("a client");
    let base = format!("{}/api/v1/auth", app.address().url());
    let ask = async |method: reqwest::Method, path: &str, token: &str| {
        let request = http2.request(method, format!("{base}{path}"));
        let request = request.header("content-type", "application/json");
        let request = request.header("cookie", format!("refresh_token={token}"));
        let answer = request.send().await.expect("an answer");
        (
            answer.status().as_u16(),
            answer.text().await.expect("a body"),
        )
    };
    let (status, answer) = ask(reqwest::Method::POST, "/refresh", &token).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = ask(reqwest::Method::GET, "/refresh", &fresh_token(&answer)).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = ask(reqwest::Method::POST, "/logout", &fresh_token(&answer)).await;
    assert_eq!(status, 204, "{answer}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_out_needs_no_body() {
    let app = App::start().await;
    for path in [
        "/auth/logout",
        "/auth/logout/everywhere",
        "/auth/logout-all",
    ] {
        let somebody = app.customer().await;
        let request = somebody.request("POST", path);
        let request = request.header("content-type", "application/json");
        somebody.send(request).await.expect(204);
        // A real body is still checked.
        let request = somebody.request("POST", path);
        let request = request.header("content-type", "application/json");
        somebody
            .send(request.body("{"))
            .await
            .refused(400, "malformed-json");
    }
    app.finish().await;
}

/// Every route that reads a body, with a body that it would accept.
fn doors(
    admin: &Actor,
    customer: &Actor,
    item: &str,
    draft: &str,
) -> Vec<(Actor, &'static str, String, String)> {
    let door = |actor: &Actor, method, path: &str, body: serde_json::Value| {
        (actor.clone(), method, path.to_owned(), body.to_string())
    };
    let (email, password) = ("new@example.com", "correct horse battery");
    vec![
        door(
            customer,
            "POST",
            "/auth/register",
            json!({"email": email, "password": password}),
        ),
        door(
            customer,
            "POST",
            "/auth/login",
            json!({"login": customer.email, "password": customer.password}),
        ),
        door(
            customer,
            "POST",
            "/auth/refresh",
            json!({"refresh_token": customer.refresh_token}),
        ),
        door(
            customer,
            "POST",
            "/auth/logout",
            json!({"refresh_token": customer.refresh_token}),
        ),
        door(
            customer,
            "POST",
            "/auth/password",
            json!({"current_password": customer.password, "new_password": password}),
        ),
        door(
            customer,
            "POST",
            "/auth/password/forgot",
            json!({"email": customer.email}),
        ),
        door(
            customer,
            "POST",
            "/auth/password/reset",
            json!({"token": "x", "password": password}),
        ),
        door(
            admin,
            "PUT",
            &format!("/auth/users/{}/role", customer.id),
            json!({"role": "manager"}),
        ),
        door(customer, "PATCH", "/users/me", json!({"language": "en"})),
        door(
            customer,
            "PUT",
            &format!("/users/{}", customer.id),
            json!({"language": "en"}),
        ),
        door(customer, "POST", "/profiles", json!({"language": "en"})),
        door(admin, "POST", "/items", json!({"name": "Cup", "price": 1})),
        door(
            admin,
            "PATCH",
            &format!("/items/{item}"),
            json!({"price": 1}),
        ),
        door(
            admin,
            "POST",
            &format!("/items/{item}/adjustments"),
            json!({"delta": 1, "reason": "x"}),
        ),
        door(
            customer,
            "POST",
            "/billing/account/deposit",
            json!({"amount": 1}),
        ),
        door(
            customer,
            "POST",
            "/billing/account/withdraw",
            json!({"amount": 1}),
        ),
        door(
            customer,
            "POST",
            "/orders",
            json!({"lines": [{"item_id": item, "quantity": 1}]}),
        ),
        door(
            customer,
            "PATCH",
            &format!("/orders/{draft}"),
            json!({"address": "x"}),
        ),
        door(
            customer,
            "POST",
            &format!("/orders/{draft}/execute"),
            json!({"action": "cancel"}),
        ),
        door(
            admin,
            "POST",
            &format!("/sagas/{draft}/compensate"),
            json!({"reason": "x"}),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_body_is_refused_at_every_door_and_says_what_is_taken() {
    let app = App::start().await;
    let admin = app.admin().await;
    let customer = app.customer_with(PLENTY).await;
    let item = admin.sell("Tea", 100, 50).await;
    let draft = customer.draft(&item, 1).await;
    app.quiet().await;
    let before = app.books().counts();
    for (actor, method, path, body) in doors(&admin, &customer, &item, &draft) {
        // Some of them lie: the body is plain.
        for codings in [
            &["gzip"][..],
            &["GZIP"],
            &["br"],
            &["identity, deflate"],
            &["identity", "gzip"],
        ] {
            let mut request = actor.request(method, &path);
            for coding in codings {
                request = request.header("content-encoding", *coding);
            }
            let request = request.header("content-type", "application/json");
            let refused = actor.send(request.body(body.clone())).await;
            let refused = refused.refused(415, "unsupported-media-type");
            assert_eq!(
                refused.header("accept-encoding"),
                Some("identity"),
                "{refused}"
            );
        }
        for media in [
            &["application/json; charset=utf-16"][..],
            &["application/json;charset=ISO-8859-1"],
            &["application/json", "application/json"],
            &["application/json", "text/plain"],
            &["application/json, text/plain"],
        ] {
            let mut request = actor.request(method, &path);
            for line in media {
                request = request.header("content-type", *line);
            }
            let refused = actor.send(request.body(body.clone())).await;
            let refused = refused.refused(415, "unsupported-media-type");
            assert_eq!(refused.header("accept-encoding"), None, "{refused}");
        }
    }
    app.quiet().await;
    assert_eq!(app.books().counts(), before);
    for (codings, media) in [
        ("identity", "application/json"),
        ("Identity", "APPLICATION/JSON; Charset=\"UTF-8\""),
        ("", "application/merge-patch+json"),
    ] {
        let request = customer.request("PATCH", "/users/me");
        let request = request
            .header("content-encoding", codings)
            .header("content-type", media);
        customer
            .send(request.body(r#"{"language":"en"}"#))
            .await
            .expect(200);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_form_is_refused_too() {
    let app = App::start().await;
    let ann = app.customer().await;
    let form = "application/x-www-form-urlencoded";
    let body = format!(
        "grant_type=refresh_token&refresh_token={}",
        ann.refresh_token
    );
    let ask = async |fields: &[(&str, &str)]| {
        let mut request = app.anonymous().request("POST", "/auth/token");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        ann.send_unchecked(request.body(body.clone())).await
    };
    for coding in ["gzip", "br", "identity, gzip"] {
        let refused = ask(&[("content-type", form), ("content-encoding", coding)]).await;
        let refused = refused.refused(415, "unsupported-media-type");
        assert_eq!(
            refused.header("accept-encoding"),
            Some("identity"),
            "{refused}"
        );
    }
    let latin = format!("{form}; charset=iso-8859-1");
    assert_eq!(ask(&[("content-type", &latin)]).await.status, 400);
    let twice = [("content-type", form), ("content-type", form)];
    assert_eq!(ask(&twice).await.status, 400);
    let utf8 = format!("{}; charset=UTF-8", form.to_uppercase());
    ask(&[("content-type", &utf8), ("content-encoding", "identity")])
        .await
        .expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_too_much_reads_why_and_may_go_on() {
    let app = App::start().await;
    let ann = app.customer().await;
    let address = app.address().socket();
    let token = ann.token.clone().expect("a token");
    let asked = tokio::task::spawn_blocking(move || {
        let token = format!("authorization: Bearer {token}");
        let mut wire = Wire::to(address);
        for size in [64 * 1024 + 1, 100_000, 900_000] {
            let length = format!("content-length: {size}");
            let body = vec![b' '; size];
            let answer = wire.ask("POST", "/orders", &[JSON, &token, &length], &body);
            assert_eq!(answer.0, 413, "{size}: {}", answer.1);
            // The connection is as good as before.
            let answer = wire.ask("GET", "/users/me", &[&token], &[]);
            assert_eq!(answer.0, 200, "{}", answer.1);
        }
        // Asking first works too.
        let length = "content-length: 100000";
        let fields = [JSON, &token, length, "expect: 100-continue"];
        let answer = wire.ask_first("POST", "/orders", &fields, &[b' '; 100_000]);
        assert_eq!(answer.0, 413, "{}", answer.1);
    });
    asked.await.expect("no panic");
    app.finish().await;
}
