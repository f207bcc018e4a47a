//! Whose account it is that a provider's user gets.

use super::{Setting, come_back};
use crate::harness::Actor;
use crate::harness::app::ADMIN;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_email_leads_to_the_account_and_takes_it_from_whoever_made_it_in_advance() {
    let setting = Setting::start().await;
    let app = &setting.app;
    // Somebody has registered with an email that is not theirs, and waits.
    let squatter = Actor::register(app.address(), "victim@example.com").await;
    let mut elsewhere = squatter.clone();
    elsewhere.log_in_again().await;
    squatter.deposit(5).await;
    setting.person("v-1", "Victim@Example.com", true);
    let victim = setting.signed_in().await;
    assert_eq!((&victim.id, victim.balance().await), (&squatter.id, 5));
    for actor in [&squatter, &elsewhere] {
        actor.get("/orders").await.refused(401, "revoked-token");
        let refresh = json!({"refresh_token": actor.refresh_token});
        let answer = app.anonymous().post("/auth/refresh", &refresh).await;
        answer.refused(401, "invalid-refresh-token");
    }
    let login = json!({"login": squatter.email, "password": squatter.password});
    let answer = app.anonymous().post("/auth/login", &login).await;
    answer.refused(401, "invalid-credentials");
    // From now on the email is known to be theirs: a second sign-in ends nothing.
    let again = setting.signed_in().await;
    assert_eq!(again.id, victim.id);
    victim.get("/orders").await.expect(200);
    setting.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_that_the_provider_has_not_verified_leads_nowhere() {
    let setting = Setting::start().await;
    let app = &setting.app;
    let victim = Actor::register(app.address(), "victim@example.com").await;
    victim.deposit(100).await;
    for (number, verified) in [json!(false), json!("true"), json!(1), json!(null)]
        .iter()
        .enumerate()
    {
        let person = json!({
            "sub": format!("e-{number}"), "email": "victim@example.com", "email_verified": verified,
        });
        setting.issuer.set().person = person;
        let somebody = setting.signed_in().await;
        assert_ne!(somebody.id, victim.id, "{verified}");
        assert_eq!(somebody.balance().await, 0);
        let profile = somebody.get("/users/me").await.expect(200).json();
        assert_eq!(profile["email"], json!(null), "{verified}");
    }
    victim.get("/orders").await.expect(200);
    let login = json!({"login": victim.email, "password": victim.password});
    app.anonymous()
        .post("/auth/login", &login)
        .await
        .expect(200);
    // Once it is linked, the subject counts, whatever email the provider says later.
    setting.person("e-0", "victim@example.com", true);
    assert_ne!(setting.signed_in().await.id, victim.id);
    setting.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_runs_the_shop_is_not_linked_by_an_email() {
    let setting = Setting::start().await;
    let admin = setting.app.admin().await;
    let manager = setting.app.manager().await;
    for email in [ADMIN.0, &manager.email] {
        setting.person("boss", email, true);
        setting.sign_in().await.refused(401, "sign-in-failed");
    }
    admin.get("/auth/users").await.expect(200);
    manager.get("/orders").await.expect(200);
    setting.app.admin().await;
    setting.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_account_stays_closed_and_its_email_is_free() {
    let setting = Setting::start().await;
    setting.person("u-1", "ann@example.com", true);
    let ann = setting.signed_in().await;
    ann.delete("/users/me").await.expect(204);
    ann.get("/orders").await.refused(401, "revoked-token");
    setting.sign_in().await.refused(401, "sign-in-failed");
    setting.person("u-2", "ann@example.com", true);
    let other = setting.signed_in().await;
    assert_ne!(other.id, ann.id);
    setting.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_first_sign_ins_at_once_one_makes_the_account() {
    let setting = Setting::start().await;
    setting.person("u-1", "ann@example.com", true);
    // All are at the last step when the first takes it.
    let mut ready = Vec::new();
    for _ in 0..8 {
        let mut browser = setting.browser();
        let callback = come_back(&mut browser).await;
        ready.push((browser, callback));
    }
    let last_step = ready
        .iter_mut()
        .map(|(browser, callback)| browser.open(callback));
    let answers = futures::future::join_all(last_step).await;
    let ids: Vec<String> = answers
        .into_iter()
        .map(|answer| answer.expect(200).json()["user_id"].to_string())
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let identities = setting
        .app
        .books()
        .number("SELECT count(*) FROM auth.identities");
    assert_eq!(identities, 1);
    setting.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_that_no_field_could_hold_are_left_out_and_the_sign_in_succeeds() {
    let setting = Setting::start().await;
    for (number, (email, username)) in [
        ("a\u{200B}nn@example.com", "ann\u{202E}"),
        ("<ann@example.com>", "ann\u{200D}"),
        ("ann@exa mple.com", "\u{3164}\u{3164}\u{3164}"),
        (
            "ann@[127.0.0.1]",
            "z\u{335}\u{335}\u{335}\u{335}\u{335}\u{335}\u{335}\u{335}\u{335}",
        ),
    ]
    .iter()
    .enumerate()
    {
        let person = json!({
            "sub": format!("c-{number}"), "email": email, "email_verified": true,
            "preferred_username": username,
        });
        setting.issuer.set().person = person;
        let somebody = setting.signed_in().await;
        let profile = somebody.get("/users/me").await.expect(200).json();
        assert_eq!(profile["email"], json!(null), "{email:?}");
        assert_eq!(profile.get("username"), None, "{username:?}");
    }
    // What is only another spelling leads to the account that has it.
    let ann = Actor::register(setting.app.address(), "jos\u{E9}@example.com").await;
    setting.person("c-9", "JOSE\u{301}@example.com", true);
    assert_eq!(setting.signed_in().await.id, ann.id);
    setting.finish().await;
}
