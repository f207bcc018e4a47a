//! `POST /auth/token`: OAuth's way to the same tokens (RFC 6749).

use crate::harness::{Actor, Answer, App};
use reqwest::RequestBuilder;
use serde_json::json;

const FORM: &str = "application/x-www-form-urlencoded";

fn request(actor: &Actor, path: &str, form: &str) -> RequestBuilder {
    let request = actor.request("POST", path);
    request.header("content-type", FORM).body(form.to_owned())
}

async fn ask(app: &App, form: &str) -> Answer {
    let nobody = app.anonymous();
    nobody
        .send_unchecked(request(&nobody, "/auth/token", form))
        .await
}

/// An error as RFC 6749 §5.2 has it.
#[track_caller]
fn says(answer: &Answer, status: u16, error: &str) {
    assert_eq!(
        (answer.status, answer.is_json()),
        (status, true),
        "{answer}"
    );
    assert_eq!(answer.json()["error"], error, "{answer}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
    assert_eq!(answer.header("pragma"), Some("no-cache"), "{answer}");
    let description = answer.json()["error_description"].clone();
    let allowed = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
    assert!(description.as_str().is_some_and(|d| d.bytes().all(allowed)));
    assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_and_a_refresh_token_are_good_for_tokens() {
    let app = App::start().await;
    let mut ann = app.customer().await;
    let login = format!(
        "username={}&password={}",
        encoded(&ann.email),
        encoded(&ann.password)
    );
    // Seed 4 leaves the grant out.
    for (path, form) in [
        ("/auth/token", format!("grant_type=password&{login}")),
        (
            "/auth/token",
            format!("{login}&grant_type=&scope=&client_id=app&other=1&other=2"),
        ),
        ("/auth/token/", login.clone()),
    ] {
        let nobody = app.anonymous();
        let answer = nobody.send(request(&nobody, path, &form)).await.expect(200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("pragma"), Some("no-cache"));
        assert_eq!(answer.header("set-cookie"), None);
        assert_eq!(answer.json()["token_type"], "Bearer");
        assert_eq!(answer.json()["expires_in"], 900);
        ann.take_tokens(&answer);
        ann.get("/orders").await.expect(200);
    }
    let first = format!(
        "grant_type=refresh_token&refresh_token={}",
        ann.refresh_token
    );
    ann.take_tokens(&ask(&app, &first).await.expect(200));
    ann.get("/orders").await.expect(200);
    let second = format!(
        "grant_type=refresh_token&refresh_token={}",
        ann.refresh_token
    );
    ann.take_tokens(&ask(&app, &second).await.expect(200));
    ann.get("/orders").await.expect(200);
    // A replay ends the family, as it does elsewhere.
    says(&ask(&app, &first).await, 400, "invalid_grant");
    let third = format!(
        "grant_type=refresh_token&refresh_token={}",
        ann.refresh_token
    );
    says(&ask(&app, &third).await, 400, "invalid_grant");
    ann.get("/orders").await.refused(401, "revoked-token");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_those_of_rfc_6749() {
    let app = App::start().await;
    let ann = app.customer().await;
    let login = format!(
        "username={}&password={}",
        encoded(&ann.email),
        encoded(&ann.password)
    );
    for (form, error) in [
        ("".to_owned(), "invalid_request"),
        ("grant_type=".to_owned(), "invalid_request"),
        ("grant_type=password".to_owned(), "invalid_request"),
        (
            "grant_type=password&username=a".to_owned(),
            "invalid_request",
        ),
        (
            "grant_type=password&username=&password=".to_owned(),
            "invalid_request",
        ),
        ("grant_type=refresh_token".to_owned(), "invalid_request"),
        (
            format!("grant_type=password&grant_type=password&{login}"),
            "invalid_request",
        ),
        (
            format!("grant_type=password&{login}&password=other"),
            "invalid_request",
        ),
        (
            format!("grant_type=password&{login}&passwor%64=other"),
            "invalid_request",
        ),
        (
            format!("grant_type=client_credentials&{login}"),
            "unsupported_grant_type",
        ),
        (
            "grant_type=authorization_code&code=x".to_owned(),
            "unsupported_grant_type",
        ),
        (
            format!("grant_type=PASSWORD&{login}"),
            "unsupported_grant_type",
        ),
        (
            format!("grant_type=password&{login}&scope=admin"),
            "invalid_scope",
        ),
        (
            "grant_type=password&username=nobody&password=wrong".to_owned(),
            "invalid_grant",
        ),
        (
            format!(
                "grant_type=password&username={}&password=wrong",
                encoded(&ann.email)
            ),
            "invalid_grant",
        ),
        (
            "grant_type=refresh_token&refresh_token=x".to_owned(),
            "invalid_grant",
        ),
        (
            format!(
                "grant_type=refresh_token&refresh_token={}",
                ann.token.clone().unwrap_or_default()
            ),
            "invalid_grant",
        ),
    ] {
        says(&ask(&app, &form).await, 400, error);
    }
    let secret = format!("grant_type=password&{login}&client_secret=x");
    says(&ask(&app, &secret).await, 401, "invalid_client");
    let nobody = app.anonymous();
    let good = format!("grant_type=password&{login}");
    let basic = request(&nobody, "/auth/token", &good).basic_auth("app", Some("secret"));
    says(&nobody.send_unchecked(basic).await, 401, "invalid_client");
    let not_utf8 = nobody
        .request("POST", "/auth/token")
        .header("content-type", FORM);
    let answer = nobody
        .send_unchecked(not_utf8.body(&b"username=\xff\xfe"[..]))
        .await;
    says(&answer, 400, "invalid_request");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_basic_is_the_authentication_of_a_client() {
    let app = App::start().await;
    let ann = app.customer().await;
    let nobody = app.anonymous();
    let good = format!(
        "grant_type=password&username={}&password={}",
        encoded(&ann.email),
        encoded(&ann.password)
    );
    let send = async |fields: &[&str], form: &str| {
        let mut request = request(&nobody, "/auth/token", form);
        for field in fields {
            request = request.header("authorization", *field);
        }
        nobody.send_unchecked(request).await
    };
    // A header that an HTTP library adds to every request is not client authentication, nor is an
    // empty secret.
    let own = format!("Bearer {}", ann.token.clone().unwrap_or_default());
    let (empty, shouted) = ("Basic YXBwOg==", "BASIC YXBwOg==");
    for fields in [
        vec!["Bearer expired.or.anything"],
        vec![own.as_str()],
        vec!["Digest username=x"],
        vec!["Negotiate abc"],
        vec![empty],
        vec![shouted],
        vec![own.as_str(), empty],
    ] {
        send(&fields, &good).await.expect(200);
        send(&fields, &format!("{good}&client_secret=&client_id=app"))
            .await
            .expect(200);
    }
    // `app:secret`, no Base64, no colon, a secret that is encoded as in a form.
    for field in [
        "Basic YXBwOnNlY3JldA==",
        "Basic !",
        "basic YXBw",
        "Basic YXBwOiUyMA==",
    ] {
        let answer = send(&[field], &good).await;
        says(&answer, 401, "invalid_client");
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Basic realm=\"wasmart\"")
        );
    }
    let secret = format!("{good}&client_secret=x");
    for (fields, form) in [
        (vec![empty], secret.clone()),
        (vec!["Basic YXBwOnNlY3JldA=="], secret.clone()),
        (vec![empty, empty], good.clone()),
        (vec![], format!("{secret}&client_assertion=y")),
        (vec![empty], format!("{good}&client_id=other")),
        (vec![], format!("{good}&client_id=app&client_id=app")),
        (vec![], format!("{secret}&client_secret=x")),
    ] {
        says(&send(&fields, &form).await, 400, "invalid_request");
    }
    says(&send(&[&own], &secret).await, 401, "invalid_client");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_form_in_the_body_will_do() {
    let app = App::start().await;
    let ann = app.customer().await;
    let nobody = app.anonymous();
    let grant = json!({"grant_type": "password", "username": ann.email, "password": ann.password});
    let as_json = nobody.request("POST", "/auth/token").json(&grant);
    says(
        &nobody.send_unchecked(as_json).await,
        400,
        "invalid_request",
    );
    // In the path it would end in logs.
    let login = format!(
        "grant_type=password&username={}&password={}",
        encoded(&ann.email),
        encoded(&ann.password)
    );
    let path = format!("/auth/token?{login}");
    let answer = nobody.send_unchecked(request(&nobody, &path, "")).await;
    says(&answer, 400, "invalid_request");
    let untyped = nobody.request("POST", "/auth/token").body(login.clone());
    says(
        &nobody.send_unchecked(untyped).await,
        400,
        "invalid_request",
    );
    let typed = nobody
        .request("POST", "/auth/token")
        .header(
            "content-type",
            "Application/X-WWW-Form-Urlencoded; charset=UTF-8",
        )
        .body(login);
    nobody.send(typed).await.expect(200);
    nobody
        .get("/auth/token")
        .await
        .refused(405, "method-not-allowed");
    let large = format!("password={}", "x".repeat(100_000));
    ask(&app, &large).await.refused(413, "body-too-large");
    app.finish().await;
}
