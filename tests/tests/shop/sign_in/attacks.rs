//! Answers of a provider that are forged, repeated, mixed up or out of order: no account comes of them.

use super::{LOGIN, Setting, come_back, query, with};
use crate::harness::browser::Browser;
use crate::harness::issuer::{CLIENT, Issuer, REDIRECT, now};
use crate::harness::{Answer, App, surgery};
use serde_json::{Value, json};

/// Nothing came of it: no tokens, no account, no word of the provider.
#[track_caller]
fn fails(answer: Answer, status: u16, slug: &str) {
    for forbidden in ["access_token", "script", "code-"] {
        assert!(!answer.body.contains(forbidden), "{answer}");
    }
    assert!(answer.headers.get("set-cookie").is_none(), "{answer}");
    answer.refused(status, slug);
}

fn accounts(app: &App) -> i64 {
    app.books()
        .number("SELECT count(*) FROM auth.accounts WHERE role = 'customer'")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_good_once_for_the_browser_that_began() {
    let setting = Setting::start().await;
    // An attacker has signed in at the provider, and makes the victim's browser finish it.
    let mut attacker = setting.browser();
    let callback = come_back(&mut attacker).await;
    let mut victim = setting.browser();
    fails(victim.open(&callback).await, 400, "invalid-state");
    victim.open(LOGIN).await.expect(302);
    fails(victim.open(&callback).await, 400, "invalid-state");
    for state in [
        None,
        Some(""),
        Some("x"),
        Some("' OR 1=1 --"),
        Some("\u{1F600}"),
    ] {
        let changed = with(&callback, &[("state", state)]);
        fails(attacker.clone().open(&changed).await, 400, "invalid-state");
    }
    for cookies in [
        vec![],
        vec!["sign_in=".to_owned()],
        vec!["sign_in=x".to_owned()],
    ] {
        let mut browser = attacker.clone();
        browser.cookies = cookies;
        fails(browser.open(&callback).await, 400, "invalid-state");
    }
    // None of that has used it up; a good answer does.
    let mut copy = attacker.clone();
    attacker.open(&callback).await.expect(200);
    fails(copy.open(&callback).await, 400, "invalid-state");
    assert_eq!(setting.issuer.asked("/token"), 1);
    setting.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_ends_after_ten_minutes() {
    let mut setting = Setting::start().await;
    let mut browser = setting.browser();
    let callback = come_back(&mut browser).await;
    let row = "SELECT expires_at FROM auth.sign_ins";
    let left = setting.app.books().number(row) - surgery::now_ms();
    assert!((590_000..=600_000).contains(&left), "{left}");
    setting
        .app
        .restart_after(|databases| {
            let sql = "UPDATE sign_ins SET expires_at = expires_at - 600000";
            surgery::open(databases, "auth")
                .execute(sql, [])
                .expect("changed");
        })
        .await;
    fails(browser.open(&callback).await, 400, "invalid-state");
    setting.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_good_once_and_for_the_sign_in_that_it_came_from() {
    let setting = Setting::start().await;
    let mut first = setting.browser();
    let used = come_back(&mut first).await;
    first.open(&used).await.expect(200);
    let inject = async |code: &str| {
        let mut browser = setting.browser();
        let own = come_back(&mut browser).await;
        browser.open(&with(&own, &[("code", Some(code))])).await
    };
    fails(inject(&query(&used)["code"]).await, 401, "sign-in-failed");
    // Another's code, fresh: it is bound to the verifier that the other browser's sign-in has.
    let stolen = come_back(&mut setting.browser()).await;
    fails(inject(&query(&stolen)["code"]).await, 401, "sign-in-failed");
    fails(inject("").await, 401, "sign-in-failed");
    fails(inject(&"x".repeat(3_000)).await, 401, "sign-in-failed");
    assert_eq!(accounts(&setting.app), 1);
    setting.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_another_issuer_is_not_taken() {
    let setting = Setting::start().await;
    for iss in [None, Some("https://evil.example"), Some("")] {
        let mut browser = setting.browser();
        let callback = with(&come_back(&mut browser).await, &[("iss", iss)]);
        fails(browser.open(&callback).await, 401, "sign-in-failed");
    }
    // The code was shown to nobody.
    assert_eq!(setting.issuer.asked("/token"), 0);
    setting.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_of_one_provider_is_none_of_another() {
    let (one, two) = (Issuer::start().await, Issuer::start().await);
    let mut providers: Vec<Value> = serde_json::from_str(&one.as_provider()).expect("JSON");
    let other = two.as_provider().replace("\"idp\"", "\"other\"");
    providers.extend(serde_json::from_str::<Vec<Value>>(&other).expect("JSON"));
    let app = App::start_with(&[
        ("providers", &json!(providers).to_string()),
        ("issuer_host_a", one.url()),
        ("issuer_host_b", two.url()),
    ])
    .await;
    let mut browser = Browser::new(app.address());
    let callback = come_back(&mut browser).await;
    let elsewhere = callback.replace("/idp/", "/other/");
    fails(browser.clone().open(&elsewhere).await, 400, "invalid-state");
    assert_eq!((one.asked("/token"), two.asked("/token")), (0, 0));
    browser.open(&callback).await.expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_that_is_not_the_answer_to_this_sign_in_is_refused() {
    let setting = Setting::start().await;
    let hour_ago = now() - 3600;
    for wrong in [
        json!({"nonce": "another"}),
        json!({"nonce": null}),
        json!({"nonce": ""}),
        json!({"iss": "https://evil.example"}),
        json!({"iss": null}),
        json!({"aud": "another-client"}),
        json!({"aud": [CLIENT, "another-client"]}),
        json!({"aud": null}),
        json!({"azp": "another-client"}),
        json!({"exp": hour_ago}),
        json!({"exp": null}),
        json!({"iat": now() + 3600}),
        json!({"iat": null}),
        json!({"sub": ""}),
        json!({"sub": null}),
        json!({"typ": "Bearer"}),
        json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
    ] {
        setting.issuer.set().id_token = wrong.clone();
        let answer = setting.sign_in().await;
        assert_eq!(answer.status, 401, "{wrong}: {answer}");
        fails(answer, 401, "sign-in-failed");
    }
    setting.issuer.set().id_token = json!({});
    let good = setting.issuer.sign("JWT", &json!({"sub": "x"}));
    let forged = good.replace(&good[good.len() - 20..], "AAAAAAAAAAAAAAAAAAAA");
    for token in [
        json!(null),
        json!(""),
        json!("x.y.z"),
        json!(good),
        json!(forged),
        json!(7),
    ] {
        setting.issuer.set().answer = json!({"id_token": token});
        fails(setting.sign_in().await, 401, "sign-in-failed");
    }
    assert_eq!(accounts(&setting.app), 0);
    setting.issuer.set().answer = json!({});
    setting.sign_in().await.expect(200);
    setting.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_says_no_is_understood() {
    let setting = Setting::start().await;
    for error in [
        "access_denied",
        "server_error",
        "<script>alert(1)</script>",
        "",
    ] {
        let mut browser = setting.browser();
        let own = come_back(&mut browser).await;
        let denied = [
            ("error", Some(error)),
            ("error_description", Some("<script>")),
            ("code", None),
        ];
        let callback = with(&own, &denied);
        fails(browser.open(&callback).await, 401, "sign-in-failed");
        // It is over; the code that was there is not taken any more.
        fails(browser.open(&own).await, 400, "invalid-state");
    }
    assert_eq!(setting.issuer.asked("/token"), 0);
    let mut browser = setting.browser();
    let twice = format!("{}&state=x", come_back(&mut browser).await);
    let answer = browser.open(&twice).await;
    assert_eq!(answer.status, 422, "{answer}");
    setting.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_says_where_a_browser_is_sent() {
    let setting = Setting::start().await;
    let evil = "https://evil.example";
    let mut browser = setting.browser();
    for name in [
        "redirect_uri",
        "redirect",
        "return_to",
        "next",
        "iss",
        "issuer",
        "state",
        "client_id",
    ] {
        let start = browser
            .open(&format!("{LOGIN}?{name}={evil}"))
            .await
            .expect(302);
        let location = start.header("location").expect("a location");
        assert!(location.starts_with(setting.issuer.url()), "{location}");
        assert!(!location.contains("evil"), "{location}");
        assert_eq!(query(location)["redirect_uri"], REDIRECT);
        let callback = browser.sent_on_from(location).await;
        let answer = browser.open(&format!("{callback}&{name}x={evil}")).await;
        assert_eq!(answer.expect(200).header("location"), None);
    }
    setting.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_not_what_it_should_be_is_not_asked_and_its_users_come_later() {
    for (change, path) in [
        // The document of another issuer; endpoints that would lead elsewhere.
        (json!({"issuer": "https://evil.example"}), "/jwks"),
        (json!({"token_endpoint": "file:///etc/passwd"}), "/jwks"),
        (
            json!({"jwks_uri": "https://user@evil.example/jwks"}),
            "/jwks",
        ),
        (json!({"jwks_uri": null}), "/jwks"),
        (json!({"authorization_endpoint": null}), "/token"),
        // A host that nobody has granted.
        (json!({"jwks_uri": "http://localhost:1/jwks"}), "/jwks"),
        (json!({"padding": "x".repeat(300_000)}), "/jwks"),
    ] {
        let issuer = Issuer::start().await;
        issuer.set().document = change.clone();
        let app = App::start_with(&[
            ("providers", &issuer.as_provider()),
            ("issuer_host_a", issuer.url()),
        ])
        .await;
        let answer = Browser::new(app.address()).open(LOGIN).await;
        assert_eq!(answer.header("retry-after"), Some("1"), "{answer}");
        answer.refused(503, "unavailable");
        assert_eq!(issuer.asked(path), 0, "{:.100}", change.to_string());
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_whose_host_is_not_granted_is_not_asked() {
    let issuer = Issuer::start().await;
    let app = App::start_with(&[("providers", &issuer.as_provider())]).await;
    let answer = Browser::new(app.address()).open(LOGIN).await;
    answer.refused(503, "unavailable");
    assert_eq!(issuer.asked("/.well-known/openid-configuration"), 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_hangs_holds_up_nobody_else() {
    let setting = Setting::start().await;
    let mut browser = setting.browser();
    let callback = come_back(&mut browser).await;
    setting.issuer.set().hangs = true;
    let begun = std::time::Instant::now();
    let hanging = tokio::spawn(async move { browser.open(&callback).await });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let ann = setting.app.customer().await;
    ann.get("/users/me").await.expect(200);
    assert!(begun.elapsed().as_secs() < 5);
    let answer = hanging.await.expect("no panic");
    answer.refused(503, "unavailable");
    assert!((5..20).contains(&begun.elapsed().as_secs()));
    setting.issuer.set().hangs = false;
    setting.signed_in().await;
    setting.finish().await;
}
