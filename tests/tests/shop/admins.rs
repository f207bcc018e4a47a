//! What administrators do to accounts: find them, keep them out, let them in; and what they can't do.

use crate::harness::app::ADMIN;
use crate::harness::{Actor, App};
use futures::future::join_all;
use serde_json::json;

async fn act(admin: &Actor, account: &Actor, what: &str) -> serde_json::Value {
    let path = format!("/auth/users/{}/{what}", account.id);
    let request = admin.request("POST", &path);
    admin.send(request).await.expect(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_is_out_at_once_and_nothing_tells_it_from_a_wrong_password() {
    let app = App::start().await;
    let admin = app.admin().await;
    let (ann, bob) = (app.customer().await, app.customer().await);
    // Known to each service's guard.
    for path in ["/users/me", "/orders", "/billing/account", "/notifications"] {
        ann.get(path).await.expect(200);
    }
    let wrong = json!({"login": ann.email, "password": "wrong password"});
    let wrong = app
        .anonymous()
        .post("/auth/login", &wrong)
        .await
        .expect(401);

    let view = act(&admin, &ann, "disable").await;
    assert_eq!(view["status"], "disabled");
    assert!(view["disabled_at"].is_string(), "{view}");
    assert_eq!(act(&admin, &ann, "disable").await, view);
    for path in ["/users/me", "/orders", "/billing/account", "/notifications"] {
        ann.get(path).await.refused(401, "revoked-token");
    }
    let login = json!({"login": ann.email, "password": ann.password});
    let refused = app.anonymous().post("/auth/login", &login).await;
    assert_eq!(refused.refused(401, "invalid-credentials").body, wrong.body);
    let refresh = json!({"refresh_token": ann.refresh_token});
    app.anonymous()
        .post("/auth/refresh", &refresh)
        .await
        .refused(401, "invalid-refresh-token");
    // Nor is there a way round by mail, and nothing says so.
    let forgot = json!({"email": ann.email});
    let answer = app.anonymous().post("/auth/password/forgot", &forgot).await;
    answer.expect(202);
    app.quiet().await;
    let mails = "SELECT count(*) FROM notifications.mails";
    assert_eq!(app.books().number(mails), 0);
    bob.get("/orders").await.expect(200);

    let view = act(&admin, &ann, "enable").await;
    assert_eq!(view["status"], "active");
    // What was given out before stays dead.
    ann.get("/orders").await.refused(401, "revoked-token");
    app.anonymous()
        .post("/auth/refresh", &refresh)
        .await
        .refused(401, "invalid-refresh-token");
    let mut ann = ann.clone();
    ann.log_in_again().await;
    ann.get("/orders").await.expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_under_way_does_not_outlive_the_account() {
    let app = App::start().await;
    let admin = app.admin().await;
    let ann = app.customer().await;
    let login = json!({"login": ann.email, "password": ann.password});
    let nobody = app.anonymous();
    let logins =
        (0..4).map(|_| nobody.send_unchecked(nobody.request("POST", "/auth/login").json(&login)));
    let (answers, _) = tokio::join!(join_all(logins), async {
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
        act(&admin, &ann, "disable").await
    });
    for answer in answers {
        // Too early, too late, or in between: then it is to be tried again, and refused.
        assert!([200, 401, 503].contains(&answer.status), "{answer}");
        if answer.status == 200 {
            let mut session = app.anonymous();
            session.take_tokens(&answer);
            session.get("/orders").await.refused(401, "revoked-token");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_found_by_what_is_known_of_them() {
    let app = App::start().await;
    let admin = app.admin().await;
    let manager = app.manager().await;
    let ann = Actor::register(app.address(), "Ann.Lee@Example.org").await;
    let bob = app.customer().await;
    act(&admin, &bob, "disable").await;
    let found = async |query: &str| -> Vec<String> {
        let list = admin.get(&format!("/auth/users?{query}")).await;
        let text = |account: &serde_json::Value| account["id"].as_str().map(str::to_owned);
        list.expect(200).data().iter().filter_map(text).collect()
    };
    let [m, a, b, boss] = [&manager, &ann, &bob, &admin].map(|actor| actor.id.as_str());
    assert_eq!(found("").await, [b, a, m, boss]);
    assert_eq!(found("role=manager").await, [m]);
    assert_eq!(found("role=customer").await, [b, a]);
    assert_eq!(found("status=disabled").await, [b]);
    assert_eq!(found("status=active&role=customer").await, [a]);
    assert_eq!(found("search=LEE@").await, [a]);
    assert_eq!(found("search=%25").await, Vec::<String>::new());
    // Page by page it is the same.
    let mut pages = Vec::new();
    let mut query = "limit=1&role=customer".to_owned();
    loop {
        let page = admin.get(&format!("/auth/users?{query}")).await.expect(200);
        pages.extend(page.data().iter().map(|account| account["id"].clone()));
        match page.json()["next_cursor"].as_str() {
            Some(next) => query = format!("limit=1&role=customer&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(pages, [json!(b), json!(a)]);
    let one = admin.get(&format!("/auth/users/{a}")).await.expect(200);
    assert_eq!(one.json()["email"], "ann.lee@example.org");
    for query in ["role=king", "status=gone", "limit=0", "surprise=1"] {
        admin
            .get(&format!("/auth/users?{query}"))
            .await
            .refused(422, "invalid-input");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_administrators_administer() {
    let app = App::start().await;
    let (ann, manager) = (app.customer().await, app.manager().await);
    let nobody = "00000000-0000-7000-8000-000000000000";
    for what in ["disable", "enable"] {
        let path = format!("/auth/users/{}/{what}", ann.id);
        for actor in [&ann, &manager] {
            let request = actor.request("POST", &path);
            actor.send(request).await.refused(403, "forbidden");
        }
        let admin = app.admin().await;
        let path = format!("/auth/users/{nobody}/{what}");
        let request = admin.request("POST", &path);
        admin.send(request).await.refused(404, "not-found");
    }
    for path in [
        "/auth/users",
        "/auth/audit",
        &format!("/auth/users/{}", ann.id),
    ] {
        for actor in [&ann, &manager] {
            actor.get(path).await.refused(403, "forbidden");
        }
        app.anonymous().get(path).await.refused(401, "unauthorized");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_administrator_stays_one() {
    let app = App::start().await;
    let mut admin = app.admin().await;
    let stays = async |admin: &Actor, who: &Actor| {
        let path = format!("/auth/users/{}", who.id);
        let disable = admin.request("POST", &format!("{path}/disable"));
        admin.send(disable).await.refused(409, "last-admin");
        admin
            .put(&format!("{path}/role"), &json!({"role": "customer"}))
            .await
            .refused(409, "last-admin");
        admin
            .delete(&format!("/users/{}", who.id))
            .await
            .refused(409, "last-admin");
        admin.get("/auth/users").await.expect(200);
    };
    let own = admin.clone();
    stays(&admin, &own).await;
    let mut second = app.customer().await;
    let promote = json!({"role": "admin"});
    let path = format!("/auth/users/{}/role", second.id);
    admin.put(&path, &promote).await.expect(200);
    second.log_in_again().await;
    // One that is disabled does not count.
    act(&admin, &second, "disable").await;
    stays(&admin, &own).await;
    act(&admin, &second, "enable").await;
    second.log_in_again().await;
    // Both at once want to be the only one: one remains.
    let disable = async |by: &Actor, whom: &Actor| {
        let path = format!("/auth/users/{}/disable", whom.id);
        by.send(by.request("POST", &path)).await.status
    };
    let (first_is_out, second_is_out) =
        tokio::join!(disable(&second, &own), disable(&admin, &second));
    let out = [first_is_out, second_is_out]
        .iter()
        .filter(|s| **s == 200)
        .count();
    assert_eq!(out, 1, "{first_is_out} {second_is_out}");
    let active = "SELECT count(*) FROM auth.accounts WHERE role = 'admin' AND disabled_at IS NULL";
    assert_eq!(app.books().number(active), 1);
    if second_is_out == 200 {
        admin.log_in_again().await;
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_is_made_once_in_the_life_of_a_shop() {
    for how in ["delete", "demote", "disable"] {
        let mut app = App::start().await;
        let first = app.admin().await;
        let mut second = app.customer().await;
        let promote = json!({"role": "admin"});
        let path = format!("/auth/users/{}/role", second.id);
        first.put(&path, &promote).await.expect(200);
        second.log_in_again().await;
        match how {
            "delete" => {
                let path = format!("/users/{}", first.id);
                second.delete(&path).await.expect(204);
            }
            "demote" => {
                let path = format!("/auth/users/{}/role", first.id);
                let customer = json!({"role": "customer"});
                second.put(&path, &customer).await.expect(200);
                // And deleted: its row no longer shows that it was an administrator.
                let path = format!("/users/{}", first.id);
                second.delete(&path).await.expect(204);
            }
            _ => drop(act(&second, &first, "disable").await),
        }
        // As new instances see it, and after a restart.
        for _ in 0..2 {
            app.tick("auth").await;
            let login = json!({"login": ADMIN.0, "password": ADMIN.1});
            let refused = app.anonymous().post("/auth/login", &login).await;
            refused.refused(401, "invalid-credentials");
            app.quiet().await;
            app.restart().await;
        }
        let sql = "SELECT count(*) FROM auth.accounts WHERE role = 'admin' AND deleted_at IS NULL";
        let left = if how == "disable" { 2 } else { 1 };
        assert_eq!(app.books().number(sql), left, "{how}");
        let made = second.get("/auth/audit?kind=first_admin.made").await;
        let made = made.expect(200).data();
        assert_eq!(made.len(), 1, "{how}: {made:?}");
        assert_eq!(made[0]["account_id"], first.id.as_str());
        app.finish().await;
    }
}
