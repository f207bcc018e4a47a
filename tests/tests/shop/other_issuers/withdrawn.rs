//! A known token is good only as long as it would be admitted anew: until its issuer withdraws the key, until the operator
//! changes or removes the entry, and never much longer than a day.

use super::{GUARDED, bearer, start_with, trusting};
use crate::harness::issuer::{Issuer, now};
use crate::harness::wait::within;
use crate::harness::{Actor, App};
use serde_json::{Value, json};
use std::time::Duration;

const TEN_YEARS: u64 = 315_360_000;

/// A shop that fetches the issuer's keys every second.
async fn start(issuer: &Issuer, variables: &[(&str, &str)]) -> App {
    let usual = trusting(issuer, json!({}));
    let mut all: Vec<(&str, &str)> = usual.iter().map(|(n, v)| (*n, v.as_str())).collect();
    all.retain(|(name, _)| *name != "issuer_refetch_seconds");
    all.extend([
        ("issuer_refetch_seconds", "1"),
        ("issuer_refresh_seconds", "1"),
    ]);
    all.extend(variables);
    App::start_with(&all).await
}

/// A token that every service has seen. Its `exp` is ten years away.
async fn known(app: &App, issuer: &Issuer, members: Value) -> Actor {
    let mut claims = json!({"exp": now() + TEN_YEARS});
    for (name, value) in members.as_object().expect("members") {
        claims[name] = value.clone();
    }
    let actor = bearer(app, issuer.access_token(claims));
    for path in GUARDED {
        actor.get(path).await.expect(200);
    }
    actor
}

async fn ends_everywhere(actor: &Actor, slug: &str) {
    within(Duration::from_secs(40), "the token's end", async || {
        for path in GUARDED {
            let answer = actor.send(actor.request("GET", path)).await;
            if answer.status == 200 {
                return None;
            }
            answer.refused(401, slug);
        }
        Some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_its_issuer_replaces_takes_its_tokens_along() {
    let issuer = Issuer::start().await;
    let app = start(&issuer, &[]).await;
    let ann = known(&app, &issuer, json!({})).await;
    issuer.replace_keys("key-2");
    ends_everywhere(&ann, "invalid-token").await;
    known(&app, &issuer, json!({})).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_under_the_same_name_does_not_keep_the_tokens_of_the_first() {
    let issuer = Issuer::start().await;
    let app = start(&issuer, &[]).await;
    let ann = known(&app, &issuer, json!({})).await;
    issuer.replace_keys("key-1");
    ends_everywhere(&ann, "invalid-token").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_withdraws_all_its_keys_is_believed() {
    let issuer = Issuer::start().await;
    let app = start(&issuer, &[]).await;
    let ann = known(&app, &issuer, json!({})).await;
    issuer.withdraw_keys();
    ends_everywhere(&ann, "invalid-token").await;
    let forged = bearer(&app, issuer.access_token(json!({})));
    forged.get("/orders").await.refused(401, "invalid-token");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_token_is_looked_at_again_when_the_entry_of_its_issuer_has_changed() {
    let issuer = Issuer::start().await;
    let mut app = start_with(&issuer, json!({})).await;
    let manager = json!({"realm_access": {"roles": ["shop-manager"]}});
    let ann = known(&app, &issuer, manager).await;
    let roles = async |actor: &Actor| {
        let answer = actor.get("/auth/check").await.expect(200);
        answer.header("x-user-roles").expect("roles").to_owned()
    };
    assert!(roles(&ann).await.starts_with("manager"));
    let entry = |more: Value| trusting(&issuer, more)[0].1.clone();

    let demoted = entry(json!({"role_map": {"shop-admin": "admin"}}));
    app.restart_with(&[("trusted_issuers", demoted.as_str())])
        .await;
    assert_eq!(roles(&ann).await, "customer");
    for changed in [json!({"audience": "another"}), json!({"azp": "another"})] {
        app.restart_with(&[("trusted_issuers", entry(changed.clone()).as_str())])
            .await;
        for path in GUARDED {
            let answer = ann.get(path).await;
            assert_eq!(answer.status, 401, "{changed}: {answer}");
        }
    }
    app.restart_with(&[("trusted_issuers", "")]).await;
    for path in GUARDED {
        ann.get(path).await.refused(401, "invalid-token");
    }
    app.restart_with(&[("trusted_issuers", entry(json!({})).as_str())])
        .await;
    assert!(roles(&ann).await.starts_with("manager"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_ten_years_is_good_for_a_day_after_it_was_given_out() {
    let issuer = Issuer::start().await;
    let app = start(&issuer, &[]).await;
    let ann = known(&app, &issuer, json!({})).await;
    ann.get("/orders").await.expect(200);
    let two_days_ago = json!({"exp": now() + TEN_YEARS, "iat": now() - 2 * 86_400});
    let old = bearer(&app, issuer.access_token(two_days_ago));
    old.get("/orders").await.refused(401, "expired-token");
    let ageless = json!({"exp": now() + TEN_YEARS, "iat": null});
    let ageless = bearer(&app, issuer.access_token(ageless));
    ageless.get("/orders").await.refused(401, "invalid-token");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_token_of_ours_ends_with_the_audience_and_the_issuer_that_it_was_made_for() {
    let mut app = App::start().await;
    let ann = app.customer().await;
    let is_let_in = async |yes: bool| {
        for path in [
            "/users/me",
            "/billing/account/my",
            "/orders",
            "/notifications",
            "/auth/check",
        ] {
            let answer = ann.get(path).await;
            match yes {
                true => drop(answer.expect(200)),
                false => drop(answer.refused(401, "invalid-token")),
            }
        }
    };
    is_let_in(true).await;
    app.restart_with(&[("audience", "another-shop")]).await;
    is_let_in(false).await;
    app.restart_with(&[("audience", AUDIENCE), ("issuer", "http://another.example")])
        .await;
    is_let_in(false).await;
    app.restart_with(&[("issuer", "http://127.0.0.1:3000")])
        .await;
    is_let_in(true).await;
    app.finish().await;
}

/// As `spin.toml` has it.
const AUDIENCE: &str = "wasmart";
