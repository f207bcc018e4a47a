//! Tokens in their life: given, renewed, taken back.

use crate::harness::{Actor, Answer, App, eventually, surgery};
use futures::future::join_all;
use serde_json::{Value, json};

/// One path of every service that wants to know who asks.
const GUARDED: [&str; 5] = [
    "/users/me",
    "/billing/account/my",
    "/orders",
    "/notifications",
    "/auth/users",
];

pub async fn refresh(app: &App, token: &str) -> Answer {
    app.anonymous()
        .post("/auth/refresh", &json!({"refresh_token": token}))
        .await
}

pub async fn is_revoked_everywhere(actor: &Actor) {
    for path in GUARDED {
        actor.get(path).await.refused(401, "revoked-token");
    }
    let item = json!({"name": "x", "price": 1});
    actor
        .post("/items", &item)
        .await
        .refused(401, "revoked-token");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_logout_the_access_token_is_refused_by_every_service() {
    let app = App::start().await;
    let ann = app.customer().await;
    let mut elsewhere = ann.clone();
    elsewhere.log_in_again().await;
    // Known to each service's guard before it is taken back.
    for path in &GUARDED[..4] {
        ann.get(path).await.expect(200);
    }
    let logout = ann
        .send(ann.request("POST", "/auth/logout"))
        .await
        .expect(204);
    let cookie = logout.header("set-cookie").unwrap_or_default();
    assert!(
        cookie.starts_with("refresh_token=;") && cookie.contains("Max-Age=0"),
        "{cookie}"
    );
    is_revoked_everywhere(&ann).await;
    ann.send(ann.request("POST", "/auth/logout"))
        .await
        .refused(401, "revoked-token");
    refresh(&app, &ann.refresh_token)
        .await
        .refused(401, "invalid-refresh-token");
    // Another login of the same account goes on.
    elsewhere.get("/orders").await.expect(200);
    refresh(&app, &elsewhere.refresh_token).await.expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_never_used_before_its_logout_is_refused_too() {
    let app = App::start().await;
    let ann = app.customer().await;
    let by_refresh_token = json!({"refresh_token": ann.refresh_token});
    app.anonymous()
        .post("/auth/logout", &by_refresh_token)
        .await
        .expect(204);
    is_revoked_everywhere(&ann).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_stays_so_over_a_restart() {
    let mut app = App::start().await;
    let ann = app.customer().await;
    let bob = app.customer().await;
    ann.send(ann.request("POST", "/auth/logout"))
        .await
        .expect(204);
    app.restart().await;
    is_revoked_everywhere(&ann).await;
    bob.get("/orders").await.expect(200);
    refresh(&app, &bob.refresh_token).await.expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_good_for_one_refresh() {
    let app = App::start().await;
    let mut ann = app.customer().await;
    let first = ann.refresh_token.clone();
    let tokens = refresh(&app, &first).await.expect(200);
    ann.take_tokens(&tokens);
    assert_ne!(ann.refresh_token, first);
    ann.get("/orders").await.expect(200);
    let second = ann.refresh_token.clone();
    let tokens = refresh(&app, &second).await.expect(200);
    ann.take_tokens(&tokens);

    // The first one again: somebody has copied it. All that came of it ends.
    refresh(&app, &first)
        .await
        .refused(401, "invalid-refresh-token");
    refresh(&app, &ann.refresh_token)
        .await
        .refused(401, "invalid-refresh-token");
    is_revoked_everywhere(&ann).await;
    ann.log_in_again().await;
    ann.get("/orders").await.expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_refreshes_at_once_one_wins() {
    let app = App::start().await;
    let ann = app.customer().await;
    let answers = join_all((0..6).map(|_| refresh(&app, &ann.refresh_token))).await;
    let won: Vec<&Answer> = answers
        .iter()
        .filter(|answer| answer.status == 200)
        .collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    assert!(
        answers
            .iter()
            .all(|answer| [200, 401].contains(&answer.status))
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_for_the_server_only_and_works_as_the_body_does() {
    let app = App::start().await;
    let ann = app.customer().await;
    let login = json!({"login": ann.email, "password": ann.password});
    let answer = app
        .anonymous()
        .post("/auth/login", &login)
        .await
        .expect(200);
    let cookie = answer.header("set-cookie").expect("a cookie").to_owned();
    let mut parts = cookie.split("; ");
    let pair = parts.next().unwrap_or_default();
    assert_eq!(
        pair,
        format!(
            "refresh_token={}",
            answer.json()["refresh_token"].as_str().unwrap_or_default()
        )
    );
    let attributes: Vec<&str> = parts.collect();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/api/v1/auth"] {
        assert!(attributes.contains(&attribute), "{attribute}: {cookie}");
    }
    let age = attributes
        .iter()
        .find_map(|a| a.strip_prefix("Max-Age="))
        .map(str::parse::<u32>);
    let month = 30 * 24 * 60 * 60;
    assert!(
        age.is_some_and(|age| age.is_ok_and(|age| (month - 60..=month).contains(&age))),
        "{cookie}"
    );

    let nobody = app.anonymous();
    let by_cookie = nobody
        .request("POST", "/auth/refresh")
        .header("cookie", format!("a=b; {pair}"));
    nobody.send(by_cookie).await.expect(200);
    let replay = nobody
        .request("POST", "/auth/refresh")
        .header("cookie", pair);
    nobody
        .send(replay)
        .await
        .refused(401, "invalid-refresh-token");
    let none = nobody.request("POST", "/auth/refresh");
    nobody
        .send(none)
        .await
        .refused(401, "invalid-refresh-token");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_https_the_cookie_is_secure() {
    let app = App::start_with(&[("issuer", "https://shop.example")]).await;
    let body = json!({"email": "ann@example.com", "password": "correct horse"});
    let answer = app
        .anonymous()
        .post("/auth/register", &body)
        .await
        .expect(201);
    assert!(
        answer
            .header("set-cookie")
            .is_some_and(|cookie| cookie.ends_with("; Secure"))
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_says_what_others_need_and_its_key_is_published() {
    let app = App::start().await;
    let ann = app.customer().await;
    let token = ann.token.clone().expect("a token");
    let [head, claims] = [0, 1].map(|part| decode(token.split('.').nth(part).unwrap_or_default()));
    assert_eq!(
        (&head["alg"], &head["typ"]),
        (&json!("RS256"), &json!("at+jwt"))
    );
    let keys = app
        .anonymous()
        .get("/.well-known/jwks.json")
        .await
        .expect(200)
        .json();
    let keys = keys["keys"].as_array().cloned().unwrap_or_default();
    let key = keys
        .iter()
        .find(|key| key["kid"] == head["kid"])
        .expect("the key is published");
    assert_eq!(
        (&key["kty"], &key["alg"], &key["use"]),
        (&json!("RSA"), &json!("RS256"), &json!("sig"))
    );
    assert!(key.get("d").is_none(), "the private half is published");
    assert_eq!(claims["sub"], ann.id.as_str());
    assert_eq!(claims["aud"], "wasmart");
    assert_eq!(claims["iss"], "http://127.0.0.1:3000");
    assert_eq!(claims["roles"], json!(["customer"]));
    assert!(claims["jti"].is_string());
    let times = (claims["exp"].as_i64(), claims["iat"].as_i64());
    assert!(
        matches!(times, (Some(exp), Some(iat)) if exp - iat == 900),
        "{claims}"
    );
    app.finish().await;
}

fn decode(part: &str) -> Value {
    use base64::Engine;
    let bytes = base64::prelude::BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_everywhere_ends_every_session_of_the_account() {
    let app = App::start().await;
    let bob = app.customer().await;
    for (path, by_refresh_token) in [
        ("/auth/logout/everywhere", false),
        ("/auth/logout/everywhere", true),
        ("/auth/logout-all", false),
    ] {
        let mut ann = app.customer().await;
        let mut sessions = vec![ann.clone()];
        for _ in 0..2 {
            ann.log_in_again().await;
            sessions.push(ann.clone());
        }
        for path in &GUARDED[..4] {
            sessions[0].get(path).await.expect(200);
        }
        if by_refresh_token {
            let body = json!({"refresh_token": ann.refresh_token});
            app.anonymous().post(path, &body).await.expect(204);
        } else {
            ann.send(ann.request("POST", path)).await.expect(204);
        }
        for session in &sessions {
            is_revoked_everywhere(session).await;
            refresh(&app, &session.refresh_token)
                .await
                .refused(401, "invalid-refresh-token");
        }
        ann.log_in_again().await;
        ann.get("/orders").await.expect(200);
    }
    bob.get("/orders").await.expect(200);
    let nobody = app.anonymous();
    nobody
        .send(nobody.request("POST", "/auth/logout/everywhere"))
        .await
        .refused(401, "unauthorized");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_ends_after_thirty_days_however_often_it_was_renewed() {
    let mut app = App::start().await;
    let mut ann = app.customer().await;
    let end = |app: &App| {
        app.books()
            .rows("SELECT DISTINCT expires_at FROM auth.refresh_tokens")
    };
    let first = end(&app);
    let rest = ann.refresh_token.clone();
    ann.take_tokens(&refresh(&app, &rest).await.expect(200));
    assert_eq!(end(&app), first, "a renewal lengthens nothing");
    app.restart_after(|databases| {
        let auth = surgery::open(databases, "auth");
        // The last minute of the thirty days …
        let age = "UPDATE refresh_tokens SET expires_at = unixepoch() * 1000 + 50000";
        auth.execute(age, []).expect("aged");
    })
    .await;
    let rest = ann.refresh_token.clone();
    let answer = refresh(&app, &rest).await.expect(200);
    let cookie = answer.header("set-cookie").unwrap_or_default().to_owned();
    let age = cookie
        .split("Max-Age=")
        .nth(1)
        .and_then(|rest| rest.split(';').next());
    assert!(
        age.and_then(|age| age.parse().ok())
            .is_some_and(|age: u32| age <= 50),
        "{cookie}"
    );
    ann.take_tokens(&answer);
    app.restart_after(|databases| {
        let auth = surgery::open(databases, "auth");
        // … and past it.
        let age = "UPDATE refresh_tokens SET expires_at = unixepoch() * 1000 - 1";
        auth.execute(age, []).expect("aged");
    })
    .await;
    refresh(&app, &ann.refresh_token)
        .await
        .refused(401, "invalid-refresh-token");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_past_its_end_is_swept() {
    let mut app = App::start().await;
    let ann = app.customer().await;
    ann.get("/orders").await.expect(200);
    ann.send(ann.request("POST", "/auth/logout"))
        .await
        .expect(204);
    ann.get("/orders").await.refused(401, "revoked-token");
    app.restart_after(|databases| {
        let auth = surgery::open(databases, "auth");
        for table in ["access_tokens", "refresh_tokens"] {
            let age = format!("UPDATE {table} SET expires_at = 1");
            auth.execute(&age, []).expect("aged");
        }
    })
    .await;
    eventually("the sweep", async || {
        let left = "SELECT (SELECT count(*) FROM auth.access_tokens)
            + (SELECT count(*) FROM auth.refresh_tokens)";
        (app.books().number(left) == 0).then_some(())
    })
    .await;
    app.finish().await;
}
