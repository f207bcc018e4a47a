//! Sign in with a provider: the whole redirect dance, and every way to cheat in it.

mod attacks;
mod linking;

use crate::harness::browser::Browser;
use crate::harness::issuer::{CLIENT, Issuer, REDIRECT};
use crate::harness::{Actor, Answer, App};
use serde_json::{Value, json};
use std::collections::HashMap;

const LOGIN: &str = "/api/v1/auth/idp/login";

/// A shop and where its users may sign in.
struct Setting {
    app: App,
    issuer: Issuer,
}

impl Setting {
    async fn start() -> Setting {
        let issuer = Issuer::start().await;
        let app = App::start_with(&[
            ("providers", &issuer.as_provider()),
            ("issuer_host_a", issuer.url()),
            ("issuer_refetch_seconds", "1"),
        ])
        .await;
        Setting { app, issuer }
    }

    fn browser(&self) -> Browser {
        Browser::new(self.app.address())
    }

    /// Says who is in front of the screen at the provider.
    fn person(&self, subject: &str, email: &str, verified: bool) {
        let person = json!({"sub": subject, "email": email, "email_verified": verified});
        self.issuer.set().person = person;
    }

    /// All steps, by one browser.
    async fn sign_in(&self) -> Answer {
        let mut browser = self.browser();
        let callback = come_back(&mut browser).await;
        browser.open(&callback).await
    }

    /// All steps, which lead to an account.
    async fn signed_in(&self) -> Actor {
        let mut actor = self.app.anonymous();
        actor.take_tokens(&self.sign_in().await.expect(200));
        actor
    }

    async fn finish(self) {
        self.app.finish().await;
    }
}

/// To the provider and back, as far as the address that is opened next.
async fn come_back(browser: &mut Browser) -> String {
    let answer = browser.open(LOGIN).await.expect(302);
    let location = answer.header("location").expect("a location").to_owned();
    browser.sent_on_from(&location).await
}

/// The parameters of an address.
fn query(address: &str) -> HashMap<String, String> {
    let query = address.split_once('?').expect("a query").1;
    form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

/// The address with other parameters; none takes one away.
fn with(address: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let mut all = query(address);
    for (name, value) in parameters {
        match value {
            Some(value) => all.insert((*name).to_owned(), (*value).to_owned()),
            None => all.remove(*name),
        };
    }
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(all)
        .finish();
    let path = address.split_once('?').expect("a query").0;
    format!("{path}?{query}")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_in_for_the_first_time_has_an_account_and_the_same_one_ever_after() {
    let setting = Setting::start().await;
    setting.person("u-1", "Ann@Example.com", true);
    let mut browser = setting.browser();
    let start = browser.open(LOGIN).await.expect(302);
    assert_eq!(start.header("cache-control"), Some("no-store"));
    assert_eq!(start.header("referrer-policy"), Some("no-referrer"));
    let location = start.header("location").expect("a location").to_owned();
    assert!(location.starts_with(&format!("{}/authorize?realm=a&", setting.issuer.url())));
    let asked = query(&location);
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("redirect_uri", REDIRECT),
        ("scope", "openid email profile"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(asked[name], value, "{name}");
    }
    // 256 bits each, and none of them another.
    let secrets = ["state", "nonce", "code_challenge"].map(|name| asked[name].as_str());
    assert!(secrets.iter().all(|secret| secret.len() == 43));
    let cookie = start.header("set-cookie").expect("a cookie").to_owned();
    for attribute in [
        "HttpOnly",
        "SameSite=Lax",
        "Path=/api/v1/auth/idp/callback",
        "Max-Age=600",
    ] {
        assert!(cookie.split("; ").any(|part| part == attribute), "{cookie}");
    }
    assert!(secrets.iter().all(|secret| !cookie.contains(secret)));

    let callback = browser.sent_on_from(&location).await;
    let answer = browser.open(&callback).await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    assert_eq!(
        cookies.len(),
        2,
        "the refresh token comes, the sign-in goes"
    );
    assert_eq!(browser.cookies.len(), 1);
    let mut ann = setting.app.anonymous();
    ann.take_tokens(&answer);
    ann.deposit(100).await;
    let profile = ann.get("/users/me").await.expect(200).json();
    assert_eq!(profile["email"], "ann@example.com");
    // What it gave is as good as what a login gives.
    let refresh = json!({"refresh_token": ann.refresh_token});
    setting
        .app
        .anonymous()
        .post("/auth/refresh", &refresh)
        .await
        .expect(200);

    let again = setting.signed_in().await;
    assert_eq!((&again.id, again.balance().await), (&ann.id, 100));
    // There is no password to guess.
    for password in ["", "x"] {
        let login = json!({"login": "ann@example.com", "password": password});
        let answer = setting.app.anonymous().post("/auth/login", &login).await;
        answer.refused(401, "invalid-credentials");
    }
    setting.person("u-2", "bob@example.com", true);
    assert_ne!(setting.signed_in().await.id, ann.id);
    setting.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_get_begins_or_ends_a_sign_in() {
    let setting = Setting::start().await;
    setting.person("u-1", "ann@example.com", true);
    let mut browser = setting.browser();
    let callback = come_back(&mut browser).await;
    let begun = "SELECT count(*) FROM auth.sign_ins";
    assert_eq!(setting.app.books().number(begun), 1);
    for path in [LOGIN, &callback] {
        for method in ["HEAD", "OPTIONS", "POST"] {
            let answer = browser.ask(method, path).await;
            assert_eq!(answer.status, 405, "{method} {answer}");
            assert_eq!(answer.header("allow"), Some("GET"), "{method} {answer}");
        }
    }
    assert_eq!(setting.app.books().number(begun), 1);
    assert_eq!(setting.issuer.asked("/token"), 0);
    browser.open(&callback).await.expect(200);
    setting.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_to_sign_in_after_a_start_need_not_be_alone() {
    let setting = Setting::start().await;
    let starts = (0..6).map(async |_| setting.browser().open(LOGIN).await);
    for start in futures::future::join_all(starts).await {
        start.expect(302);
    }
    assert_eq!(setting.issuer.asked("/jwks"), 1);
    setting.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_https_the_sign_ins_cookie_is_secure_and_the_way_back_is_the_issuers() {
    let issuer = Issuer::start().await;
    let mut provider: Value = serde_json::from_str(&issuer.as_provider()).expect("JSON");
    let entry = provider[0].as_object_mut().expect("an object");
    entry.remove("redirect_uri");
    let app = App::start_with(&[
        ("providers", &provider.to_string()),
        ("issuer_host_c", issuer.url()),
        ("issuer", "https://shop.example/"),
    ])
    .await;
    let start = Browser::new(app.address()).open(LOGIN).await.expect(302);
    assert!(
        start
            .header("set-cookie")
            .is_some_and(|cookie| cookie.ends_with("; Secure"))
    );
    let asked = query(start.header("location").expect("a location"));
    assert_eq!(
        asked["redirect_uri"],
        "https://shop.example/api/v1/auth/idp/callback"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_providers_there_is_nowhere_to_sign_in() {
    let app = App::start().await;
    let nobody = app.anonymous();
    for path in [
        "/auth/idp/login",
        "/auth/idp/callback?code=x&state=y",
        "/auth/..%2f/login",
    ] {
        nobody.get(path).await.refused(404, "not-found");
    }
    app.finish().await;
}
