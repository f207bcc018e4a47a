//! Accounts: made, given a role, deleted.

use crate::harness::actor::PLENTY;
use crate::harness::{Actor, App, eventually};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn who_registers_is_logged_in_at_once() {
    let app = App::start().await;
    let new = json!({
        "email": "Ann@Example.com", "password": "correct horse", "username": "Ann",
        "first_name": "Ann", "last_name": "Lee", "phone": "+49 30 1234567", "language": "en",
    });
    let answer = app
        .anonymous()
        .post("/auth/register", &new)
        .await
        .expect(201);
    let body = answer.json();
    assert_eq!(
        (&body["token_type"], &body["expires_in"]),
        (&json!("Bearer"), &json!(900))
    );
    let token = body["access_token"].as_str().expect("a token");
    assert_eq!(
        answer.header("authorization"),
        Some(format!("Bearer {token}").as_str())
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));

    let mut ann = app.anonymous();
    ann.take_tokens(&answer);
    let profile = eventually("the profile", async || {
        let profile = ann.get("/users/me").await.expect(200).json();
        profile.get("first_name").is_some().then_some(profile)
    })
    .await;
    for (field, value) in [
        ("id", ann.id.as_str()),
        ("email", "ann@example.com"),
        ("username", "ann"),
        ("first_name", "Ann"),
        ("last_name", "Lee"),
        ("phone", "+49 30 1234567"),
        ("language", "en"),
    ] {
        assert_eq!(profile[field], value, "{field}");
    }
    for login in ["ann@example.com", " ANN@example.COM", "ann", "Ann"] {
        let body = json!({"login": login, "password": "correct horse"});
        let answer = app.anonymous().post("/auth/login", &body).await.expect(200);
        assert_eq!(answer.json()["user_id"], ann.id.as_str(), "{login}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_and_a_username_belong_to_one_account() {
    let app = App::start().await;
    let register = async |email: &str, username: &str| {
        let body = json!({"email": email, "username": username, "password": "correct horse"});
        app.anonymous().post("/auth/register", &body).await
    };
    register("ann@example.com", "ann").await.expect(201);
    register("ANN@example.com", "ann2")
        .await
        .refused(409, "already-registered");
    register("ann2@example.com", "Ann")
        .await
        .refused(409, "already-registered");
    app.quiet().await;
    assert_eq!(
        app.books()
            .number("SELECT count(*) FROM auth.accounts WHERE role = 'customer'"),
        1
    );
    // All at once: one of them gets it.
    let all = (0..5).map(|_| register("bob@example.com", "bob"));
    let answers = futures::future::join_all(all).await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 201).count(),
        1,
        "{answers:?}"
    );
    assert!(
        answers
            .iter()
            .all(|answer| [201, 409].contains(&answer.status))
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_login_and_a_wrong_password_get_one_answer() {
    let app = App::start().await;
    let ann = app.customer().await;
    let log_in = async |login: &str, password: &str| {
        let body = json!({"login": login, "password": password});
        app.anonymous()
            .post("/auth/login", &body)
            .await
            .refused(401, "invalid-credentials")
            .body
    };
    let wrong = log_in(&ann.email, "wrong password").await;
    assert_eq!(log_in("nobody@example.com", "wrong password").await, wrong);
    assert_eq!(log_in("nobody", &ann.password).await, wrong);
    assert_eq!(log_in("", "").await, wrong);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_gives_roles_and_nobody_else_does() {
    let app = App::start().await;
    let admin = app.admin().await;
    let mut ann = app.customer().await;
    let bob = app.customer().await;
    let path = format!("/auth/users/{}/role", ann.id);
    let manager = json!({"role": "manager"});
    ann.put(&path, &manager).await.refused(403, "forbidden");
    bob.put(&path, &manager).await.refused(403, "forbidden");
    ann.get("/auth/users").await.refused(403, "forbidden");
    app.anonymous()
        .put(&path, &manager)
        .await
        .refused(401, "unauthorized");
    assert_eq!(
        admin.put(&path, &manager).await.expect(200).json()["role"],
        "manager"
    );
    // The old token says the old role, so it is no longer good for anything.
    ann.get("/orders").await.refused(401, "revoked-token");
    let refresh = json!({"refresh_token": ann.refresh_token});
    let tokens = app
        .anonymous()
        .post("/auth/refresh", &refresh)
        .await
        .expect(200);
    ann.take_tokens(&tokens);
    ann.sell("Tea", 100, 1).await;
    ann.put(&path, &json!({"role": "admin"}))
        .await
        .refused(403, "forbidden");

    let refused = admin
        .put(&path, &json!({"role": "king"}))
        .await
        .refused(422, "invalid-input");
    assert_eq!(refused.fields(), ["role"]);
    let nobody = "/auth/users/00000000-0000-7000-8000-000000000000/role";
    admin.put(nobody, &manager).await.refused(404, "not-found");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_account_is_gone_everywhere() {
    let app = App::start().await;
    let admin = app.admin().await;
    let ann = app.customer_with(PLENTY).await;
    ann.told(1).await;
    ann.delete("/users/me").await.expect(204);
    for path in [
        "/users/me",
        "/orders",
        "/billing/account/my",
        "/notifications",
    ] {
        ann.get(path).await.refused(401, "revoked-token");
    }
    let login = json!({"login": ann.email, "password": ann.password});
    app.anonymous()
        .post("/auth/login", &login)
        .await
        .refused(401, "invalid-credentials");
    let refresh = json!({"refresh_token": ann.refresh_token});
    app.anonymous()
        .post("/auth/refresh", &refresh)
        .await
        .refused(401, "invalid-refresh-token");
    admin
        .get(&format!("/users/{}", ann.id))
        .await
        .refused(404, "not-found");
    app.quiet().await;
    let books = app.books();
    let of_ann = |sql: &str| books.number(&sql.replace('?', &format!("'{}'", ann.id)));
    assert_eq!(
        of_ann("SELECT count(*) FROM notifications.notifications WHERE user_id = ?"),
        0
    );
    let open = "SELECT count(*) FROM billing.accounts WHERE user_id = ? AND closed_at IS NULL";
    assert_eq!(of_ann(open), 0);
    // The email is free again, and whoever takes it is somebody else.
    let other = Actor::register(app.address(), &ann.email).await;
    assert_ne!(other.id, ann.id);
    assert_eq!(other.balance().await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_variables_there_is_no_administrator() {
    let app = App::start_with(&[("admin_email", ""), ("admin_password", "")]).await;
    app.customer().await;
    app.quiet().await;
    assert_eq!(
        app.books()
            .number("SELECT count(*) FROM auth.accounts WHERE role <> 'customer'"),
        0
    );
    app.finish().await;
}
