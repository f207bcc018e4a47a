//! Access tokens of another issuer, as Keycloak makes them: as good as ours where they are meant for us,
//! and no good otherwise.

mod cost;
mod names;
mod withdrawn;

use crate::harness::issuer::{CLIENT, Issuer, now};
use crate::harness::wait::within;
use crate::harness::{Actor, App, eventually};
use serde_json::{Value, json};
use std::time::Duration;

/// One path of every service that wants to know who asks.
const GUARDED: [&str; 5] = [
    "/users/me",
    "/billing/account/my",
    "/orders",
    "/notifications",
    "/auth/check/x",
];

/// Variables of a shop that trusts the issuer.
fn trusting(issuer: &Issuer, more: Value) -> Vec<(&'static str, String)> {
    let mut entry = json!({
        "issuer": issuer.url(), "audience": CLIENT, "azp": "web", "roles": "realm_access.roles",
        "role_map": {"shop-manager": "manager", "shop-admin": "admin"},
    });
    for (name, value) in more.as_object().expect("members") {
        entry[name] = value.clone();
    }
    vec![
        ("trusted_issuers", json!([entry]).to_string()),
        ("issuer_host_b", issuer.url().to_owned()),
        ("issuer_refetch_seconds", "2".to_owned()),
    ]
}

async fn start(issuer: &Issuer) -> App {
    start_with(issuer, json!({})).await
}

async fn start_with(issuer: &Issuer, more: Value) -> App {
    let variables = trusting(issuer, more);
    let variables: Vec<(&str, &str)> = variables.iter().map(|(n, v)| (*n, v.as_str())).collect();
    App::start_with(&variables).await
}

/// Somebody who shows this token.
fn bearer(app: &App, token: String) -> Actor {
    let mut actor = app.anonymous();
    actor.token = Some(token);
    actor
}

async fn account(actor: &Actor) -> String {
    let answer = actor.get("/auth/check").await.expect(200);
    answer.header("x-user-id").expect("an id").to_owned()
}

fn person(subject: &str, email: &str) -> Value {
    json!({"sub": subject, "email": email, "email_verified": true})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_trusted_issuer_is_good_everywhere_and_makes_the_account() {
    let issuer = Issuer::start().await;
    let app = start(&issuer).await;
    let admin = app.admin().await;
    let ann = bearer(&app, issuer.access_token(json!({})));
    for path in GUARDED {
        ann.get(path).await.expect(200);
    }
    let id = account(&ann).await;
    ann.deposit(500).await;
    let listed = eventually("the account", async || {
        let accounts = admin.get("/auth/users").await.expect(200).data();
        accounts
            .into_iter()
            .find(|account| account["id"] == id.as_str())
    })
    .await;
    assert_eq!(
        (&listed["email"], &listed["role"]),
        (&json!("ann@example.com"), &json!("customer"))
    );
    // The issuer's names are not used; the profile waits for auth's event.
    let profile = eventually("the news of the account", async || {
        let profile = ann.get("/users/me").await.expect(200).json();
        (profile["email"] == "ann@example.com").then_some(profile)
    })
    .await;
    assert_eq!(profile["id"], id.as_str());
    // Another token of the same person is the same account, and RFC 9068's type does as well.
    let typed = issuer.access_token(json!({"typ": null, "iss": issuer.url()}));
    let claims = typed.split('.').nth(1).expect("claims");
    let claims = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, claims);
    let claims: Value = serde_json::from_slice(&claims.expect("base64url")).expect("JSON");
    let again = bearer(&app, issuer.sign("at+jwt", &claims));
    assert_eq!(
        (account(&again).await, again.balance().await),
        (id.clone(), 500)
    );
    issuer.set().person = person("u-2", "bob@example.com");
    let bob = bearer(&app, issuer.access_token(json!({})));
    assert_ne!(account(&bob).await, id);
    // Ours go on as before.
    app.customer().await.get("/orders").await.expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_mapped_and_nobody_is_an_administrator_by_accident() {
    let issuer = Issuer::start().await;
    let app = start(&issuer).await;
    let with_roles = |roles: Value| {
        let members =
            json!({"realm_access": {"roles": roles}, "roles": ["admin"], "role": "admin"});
        bearer(&app, issuer.access_token(members))
    };
    let roles = async |actor: &Actor| {
        let answer = actor.get("/auth/check").await.expect(200);
        answer.header("x-user-roles").expect("roles").to_owned()
    };
    for nobody in [
        json!(["admin", "manager"]),
        json!("admin"),
        json!([]),
        json!({"admin": 1}),
    ] {
        assert_eq!(roles(&with_roles(nobody)).await, "customer");
    }
    let manager = with_roles(json!(["shop-manager", "x"]));
    assert!(roles(&manager).await.starts_with("manager"));
    manager.sell("Tea", 100, 1).await;
    manager.get("/auth/users").await.refused(403, "forbidden");
    let admin = with_roles(json!(["shop-admin"]));
    admin.get("/auth/users").await.expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_not_meant_for_us_are_refused() {
    let (issuer, stranger) = (Issuer::start().await, Issuer::start().await);
    let app = start(&issuer).await;
    bearer(&app, issuer.access_token(json!({})))
        .get("/orders")
        .await
        .expect(200);
    let hour_ago = now() - 3600;
    for (wrong, slug) in [
        (json!({"aud": "account"}), "invalid-token"),
        (json!({"aud": null}), "invalid-token"),
        (json!({"azp": "another"}), "invalid-token"),
        (json!({"azp": null}), "invalid-token"),
        (json!({"typ": "ID"}), "invalid-token"),
        (json!({"typ": "Refresh"}), "invalid-token"),
        (json!({"typ": null}), "invalid-token"),
        (json!({"nonce": "n"}), "invalid-token"),
        (json!({"at_hash": "x"}), "invalid-token"),
        (json!({"exp": hour_ago}), "expired-token"),
        (json!({"exp": null}), "invalid-token"),
        (json!({"exp": "9999999999"}), "invalid-token"),
        (json!({"nbf": now() + 3600}), "invalid-token"),
        (json!({"sub": null}), "invalid-token"),
        (json!({"iss": "https://evil.example"}), "invalid-token"),
        (json!({"iss": stranger.url()}), "invalid-token"),
        (json!({"iss": "http://127.0.0.1:3000"}), "invalid-token"),
        (json!({"iss": null}), "invalid-token"),
    ] {
        let token = issuer.access_token(wrong.clone());
        for path in GUARDED {
            let answer = bearer(&app, token.clone()).get(path).await;
            assert_eq!(answer.status, 401, "{wrong}: {answer}");
            answer.refused(401, slug);
        }
    }
    // A stranger's key under our issuer's name, and the name of a stranger: nobody asks there for keys.
    let forged = stranger.access_token(json!({"iss": issuer.url()}));
    bearer(&app, forged)
        .get("/orders")
        .await
        .refused(401, "invalid-token");
    let foreign = stranger.access_token(json!({}));
    bearer(&app, foreign)
        .get("/orders")
        .await
        .refused(401, "invalid-token");
    assert!(stranger.set().asked.is_empty());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_of_the_issuer_are_found_at_once_and_unknown_ones_cause_no_storm() {
    let issuer = Issuer::start().await;
    let app = start(&issuer).await;
    bearer(&app, issuer.access_token(json!({})))
        .get("/orders")
        .await
        .expect(200);
    let mut asked = 0;
    while asked != issuer.asked("/jwks") {
        asked = issuer.asked("/jwks");
        tokio::time::sleep(Duration::from_millis(2_100)).await;
    }
    // It rotates without a warning, as Keycloak does: the first request with the new key waits for it.
    issuer.replace_keys("key-2");
    let ann = bearer(&app, issuer.access_token(json!({})));
    ann.get("/orders").await.expect(200);
    ann.get("/users/me").await.expect(200);

    let before = issuer.asked("/jwks");
    let begun = std::time::Instant::now();
    let stranger = Issuer::start().await;
    for number in 0..40 {
        stranger.rename_key(&format!("unknown-{number}"));
        let token = stranger.access_token(json!({"iss": issuer.url()}));
        bearer(&app, token)
            .get("/orders")
            .await
            .refused(401, "invalid-token");
    }
    let allowed = usize::try_from(begun.elapsed().as_secs() / 2 + 1).expect("few");
    let asked = issuer.asked("/jwks") - before;
    assert!(asked <= allowed, "asked {asked} times, not {allowed}");
    assert!(stranger.set().asked.is_empty());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_issuer_is_silent_its_users_wait_and_ours_do_not() {
    let issuer = Issuer::start().await;
    issuer.set().document = json!({"issuer": "https://not.it.example"});
    let app = start(&issuer).await;
    let ann = bearer(&app, issuer.access_token(json!({})));
    let waiting = ann.send_unchecked(ann.request("GET", "/orders")).await;
    waiting.well_formed().refused(503, "unavailable");
    app.customer().await.get("/orders").await.expect(200);
    issuer.set().document = json!({});
    within(Duration::from_secs(15), "the issuer's keys", async || {
        let answer = ann.send_unchecked(ann.request("GET", "/orders")).await;
        (answer.status == 200).then_some(())
    })
    .await;
    // Later it may be silent: its keys are known.
    issuer.set().hangs = true;
    let again = bearer(&app, issuer.access_token(json!({})));
    again.get("/billing/account/my").await.expect(200);
    issuer.set().hangs = false;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_ends_the_token_everywhere_and_no_other() {
    let issuer = Issuer::start().await;
    let mut app = start(&issuer).await;
    let ann = bearer(&app, issuer.access_token(json!({})));
    let other = bearer(&app, issuer.access_token(json!({})));
    for path in GUARDED {
        ann.get(path).await.expect(200);
    }
    ann.send(ann.request("POST", "/auth/logout"))
        .await
        .expect(204);
    for path in GUARDED {
        ann.get(path).await.refused(401, "revoked-token");
        other.get(path).await.expect(200);
    }
    app.restart().await;
    ann.get("/orders").await.refused(401, "revoked-token");
    other.get("/orders").await.expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_account_is_refused_whatever_its_issuer_says() {
    let issuer = Issuer::start().await;
    let mut app = start(&issuer).await;
    let ann = bearer(&app, issuer.access_token(json!({})));
    // Known to guards, and not known to any; the account itself is but a note yet.
    let known = bearer(&app, issuer.access_token(json!({})));
    for path in GUARDED {
        known.get(path).await.expect(200);
    }
    let unseen = issuer.access_token(json!({}));
    ann.delete("/users/me").await.expect(204);
    within(
        Duration::from_secs(5),
        "the end of known tokens",
        async || {
            let answer = known.get("/orders").await;
            (answer.status == 401).then_some(())
        },
    )
    .await;
    for token in [unseen, issuer.access_token(json!({}))] {
        for path in GUARDED {
            let actor = bearer(&app, token.clone());
            actor.get(path).await.refused(401, "revoked-token");
        }
    }
    app.restart().await;
    let later = bearer(&app, issuer.access_token(json!({})));
    later.get("/orders").await.refused(401, "revoked-token");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_is_refused_until_it_is_enabled() {
    let issuer = Issuer::start().await;
    let app = start(&issuer).await;
    let admin = app.admin().await;
    let ann = bearer(&app, issuer.access_token(json!({})));
    let id = account(&ann).await;
    eventually("the account", async || {
        let answer = admin
            .post(&format!("/auth/users/{id}/disable"), &json!({}))
            .await;
        (answer.status == 200).then_some(())
    })
    .await;
    // The token that was known, and one that no guard has seen.
    for actor in [ann, bearer(&app, issuer.access_token(json!({})))] {
        for path in GUARDED {
            actor.get(path).await.refused(401, "revoked-token");
        }
    }
    let path = format!("/auth/users/{id}/enable");
    admin.post(&path, &json!({})).await.expect(200);
    let later = bearer(&app, issuer.access_token(json!({})));
    later.get("/orders").await.expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_given_here_counts_too_and_ends_the_tokens_from_before() {
    let issuer = Issuer::start().await;
    let app = start(&issuer).await;
    let admin = app.admin().await;
    let ann = bearer(&app, issuer.access_token(json!({})));
    let id = account(&ann).await;
    let path = format!("/auth/users/{id}/role");
    eventually("the account", async || {
        let answer = admin.put(&path, &json!({"role": "manager"})).await;
        (answer.status == 200).then_some(())
    })
    .await;
    ann.get("/orders").await.refused(401, "revoked-token");
    let manager = bearer(&app, issuer.access_token(json!({})));
    manager.sell("Tea", 100, 1).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_of_another_account_gives_nothing_of_it() {
    let issuer = Issuer::start().await;
    let app = start(&issuer).await;
    let ann = Actor::register(app.address(), "ann@example.com").await;
    ann.deposit(100).await;
    let other = bearer(&app, issuer.access_token(json!({})));
    assert_ne!(account(&other).await, ann.id);
    assert_eq!(other.balance().await, 0);
    eventually("the account", async || {
        let made = "SELECT count(*) FROM auth.identities";
        (app.books().number(made) == 1).then_some(())
    })
    .await;
    let owner = "SELECT count(*) FROM auth.accounts WHERE email = 'ann@example.com'";
    assert_eq!(app.books().number(owner), 1);
    ann.get("/orders").await.expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_account_is_the_same_by_sign_in_and_by_token() {
    use crate::harness::browser::Browser;
    let issuer = Issuer::start().await;
    let mut variables = trusting(&issuer, json!({}));
    variables.push(("providers", issuer.as_provider()));
    let variables: Vec<(&str, &str)> = variables.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let app = App::start_with(&variables).await;
    let ann = Actor::register(app.address(), "ann@example.com").await;
    let token = bearer(&app, issuer.access_token(json!({})));
    let mut browser = Browser::new(app.address());
    let start = browser.open("/api/v1/auth/idp/login").await.expect(302);
    let location = start.header("location").expect("a location").to_owned();
    let callback = browser.sent_on_from(&location).await;
    let answer = browser.open(&callback).await.expect(200);
    assert_eq!(answer.json()["user_id"], ann.id.as_str());
    assert_eq!(account(&token).await, ann.id);
    app.finish().await;
}
