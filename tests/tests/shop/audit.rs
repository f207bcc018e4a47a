//! What is recorded of accounts, and what no log may say.

use crate::harness::app::ADMIN;
use crate::harness::running::on_spin;
use crate::harness::{Actor, App, eventually, logs, surgery};
use futures::future::join_all;
use serde_json::{Value, json};

async fn records(admin: &Actor, query: &str) -> Vec<Value> {
    let list = admin.get(&format!("/auth/audit?{query}")).await;
    list.expect(200).data()
}

/// The kinds of the records about an account, oldest first.
async fn kinds(admin: &Actor, account: &str) -> Vec<String> {
    let records = records(admin, &format!("limit=200&account_id={account}")).await;
    let kind = |record: &Value| record["kind"].as_str().unwrap_or_default().to_owned();
    records.iter().rev().map(kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_an_account_is_recorded() {
    let app = App::start().await;
    let admin = app.admin().await;
    let mut ann = app.customer().await;
    let email = ann.email.clone();
    let mut steps = vec!["account.registered"];
    let wrong = json!({"login": ann.email, "password": "wrong password"});
    app.anonymous()
        .post("/auth/login", &wrong)
        .await
        .expect(401);
    steps.push("login.refused");
    ann.log_in_again().await;
    steps.push("login.succeeded");
    let first = ann.refresh_token.clone();
    let refresh = json!({"refresh_token": first});
    for status in [200, 401] {
        let answer = app.anonymous().post("/auth/refresh", &refresh).await;
        answer.expect(status);
    }
    steps.push("refresh.replayed");
    ann.log_in_again().await;
    steps.push("login.succeeded");
    let change = json!({"current_password": "wrong one", "new_password": "a quite new one"});
    ann.post("/auth/password", &change).await.expect(422);
    steps.push("password.refused");
    let change = json!({"current_password": ann.password, "new_password": "a quite new one"});
    ann.take_tokens(&ann.post("/auth/password", &change).await.expect(200));
    steps.push("password.changed");
    logs::secret("a quite new one");
    let forgot = json!({"email": ann.email});
    app.anonymous()
        .post("/auth/password/forgot", &forgot)
        .await
        .expect(202);
    steps.push("password.reset_requested");
    let path = format!("/auth/users/{}", ann.id);
    admin
        .put(&format!("{path}/role"), &json!({"role": "manager"}))
        .await
        .expect(200);
    steps.push("role.changed");
    for what in ["disable", "enable"] {
        let request = admin.request("POST", &format!("{path}/{what}"));
        admin.send(request).await.expect(200);
    }
    steps.extend(["account.disabled", "account.enabled"]);
    ann.password = "a quite new one".to_owned();
    ann.log_in_again().await;
    ann.send(ann.request("POST", "/auth/logout"))
        .await
        .expect(204);
    ann.log_in_again().await;
    let everywhere = ann.request("POST", "/auth/logout/everywhere");
    ann.send(everywhere).await.expect(204);
    steps.extend([
        "login.succeeded",
        "logout",
        "login.succeeded",
        "logout.everywhere",
    ]);
    admin
        .delete(&format!("/users/{}", ann.id))
        .await
        .expect(204);
    steps.push("account.deleted");
    assert_eq!(kinds(&admin, &ann.id).await, steps);

    let changed = records(&admin, "kind=role.changed").await.remove(0);
    assert_eq!(changed["actor_id"], admin.id.as_str());
    assert_eq!(
        changed["detail"],
        json!({"from": "customer", "to": "manager"})
    );
    assert_eq!(changed["client"], "127.0.0.1");
    let deleted = records(&admin, "kind=account.deleted").await.remove(0);
    assert_eq!(deleted["actor_id"], admin.id.as_str());
    // Each is a line of JSON on the log, without what was typed or who it is.
    app.quiet().await;
    if !on_spin() {
        let log = logs::so_far();
        let lines: Vec<&str> = log.lines().filter(|l| l.contains(r#""audit":"#)).collect();
        let of_ann = lines.iter().filter(|line| line.contains(&ann.id));
        assert_eq!(of_ann.count(), steps.len(), "{lines:#?}");
        for line in &lines {
            let json = line.find('{').map(|at| &line[at..]).unwrap_or_default();
            // What the host's log says of it comes after.
            let mut values = serde_json::Deserializer::from_str(json).into_iter::<Value>();
            let record = values.next().and_then(Result::ok);
            let record = record.unwrap_or_else(|| panic!("no JSON: {line}"));
            assert!(record["at"].is_string() && !line.contains(&email), "{line}");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_typed_as_a_login_is_not_recorded() {
    let app = App::start().await;
    let admin = app.admin().await;
    // A password in the wrong field.
    let typed = "hunter2-in-the-wrong-field";
    logs::secret(typed);
    let body = json!({"login": typed, "password": "x"});
    app.anonymous().post("/auth/login", &body).await.expect(401);
    let refused = records(&admin, "kind=login.refused").await;
    assert_eq!(refused.len(), 1);
    assert!(refused[0].get("account_id").is_none(), "{refused:?}");
    assert!(!format!("{refused:?}").contains(typed));
    let ann = app.customer().await;
    ann.get("/auth/audit").await.refused(403, "forbidden");
    let refused = records(&admin, "kind=access.refused").await;
    assert_eq!(refused[0]["actor_id"], ann.id.as_str());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_paged_and_do_not_grow_for_ever() {
    let mut app = App::start().await;
    let admin = app.admin().await;
    for _ in 0..3 {
        app.customer().await;
    }
    let mut seen = Vec::new();
    let mut query = "limit=2".to_owned();
    loop {
        let page = admin.get(&format!("/auth/audit?{query}")).await.expect(200);
        seen.extend(
            page.data()
                .iter()
                .map(|r| r["id"].as_str().map(str::to_owned)),
        );
        match page.json()["next_cursor"].as_str() {
            Some(next) => query = format!("limit=2&cursor={next}"),
            None => break,
        }
    }
    assert!(
        seen.len() >= 4 && seen.is_sorted_by(|a, b| a > b),
        "{seen:?}"
    );
    for query in ["limit=0", "surprise=1"] {
        let refused = admin.get(&format!("/auth/audit?{query}")).await;
        refused.refused(422, "invalid-input");
    }
    // Some are a year old; of one kind there are too many.
    app.quiet().await;
    app.restart_after(|databases| {
        let auth = surgery::open(databases, "auth");
        let flood = "UPDATE audit SET at = 0 WHERE kind = 'account.registered';
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100300)
            INSERT INTO audit (id, kind, at) SELECT printf('0190%020d', i), 'login.refused',
                unixepoch() * 1000 FROM n";
        auth.execute_batch(flood).expect("aged and flooded");
    })
    .await;
    let count = |app: &App, kind: &str| {
        let sql = format!("SELECT count(*) FROM auth.audit WHERE kind = '{kind}'");
        app.books().number(&sql)
    };
    eventually("the sweep", async || {
        // One tick in many sweeps.
        app.tick("auth").await;
        let left = (
            count(&app, "account.registered"),
            count(&app, "login.refused"),
        );
        (left == (0, 100_000)).then_some(())
    })
    .await;
    assert!(count(&app, "login.succeeded") >= 1, "the rest stays");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_customers_refused_accesses_push_nobody_elses_out() {
    let mut app = App::start().await;
    let admin = app.admin().await;
    let (ann, bob) = (app.customer().await, app.customer().await);
    bob.get("/auth/audit").await.expect(403);
    for _ in 0..15 {
        let asked = (0..10).map(async |number| match number % 3 {
            0 => ann.get("/auth/users").await.expect(403),
            1 => ann.get("/auth/audit").await.expect(403),
            _ => {
                let path = format!("/auth/users/{}/disable", bob.id);
                ann.send(ann.request("POST", &path)).await.expect(403)
            }
        });
        join_all(asked).await;
    }
    let refused = async |admin: &Actor, whom: &Actor| {
        let mut records = records(admin, "kind=access.refused&limit=200").await;
        records.retain(|record| record["actor_id"] == whom.id.as_str());
        records
    };
    let of_ann = refused(&admin, &ann).await;
    assert_eq!(of_ann.len(), 20, "{of_ann:?}");
    let times = |record: &Value| record["times"].as_i64().unwrap_or(1);
    assert_eq!(of_ann.iter().map(times).sum::<i64>(), 150);
    assert!(of_ann[0]["last_at"].is_string(), "{}", of_ann[0]);
    assert_eq!(refused(&admin, &bob).await.len(), 1);
    // An hour later there are rows again; but one customer's number of rows stays bounded, however
    // long it goes on.
    app.quiet().await;
    app.restart_after(|databases| {
        let auth = surgery::open(databases, "auth");
        let sql = "UPDATE audit SET at = at - 3600000 WHERE kind = 'access.refused'";
        auth.execute(sql, []).expect("aged");
    })
    .await;
    ann.get("/auth/users").await.expect(403);
    assert_eq!(refused(&admin, &ann).await.len(), 21);
    app.quiet().await;
    app.restart_after(|databases| {
        let auth = surgery::open(databases, "auth");
        let flood = format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
             INSERT INTO audit (id, kind, at, subject) SELECT printf('0190%020d', i),
                 'access.refused', 1000, '{}' FROM n",
            ann.id
        );
        auth.execute_batch(&flood).expect("flooded");
    })
    .await;
    let of_ann = format!(
        "SELECT count(*) FROM auth.audit WHERE subject = '{}'",
        ann.id
    );
    let before = app.books().number(&of_ann);
    ann.get("/auth/users").await.expect(403);
    // Each new record makes room for itself and a few more.
    assert!(app.books().number(&of_ann) < before - 5);
    assert_eq!(refused(&admin, &bob).await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_a_log_is_noticed() {
    let app = App::start().await;
    let ann = app.customer().await;
    let token = ann.token.clone().unwrap_or_default();
    for secret in [
        &ann.password,
        &ann.refresh_token,
        &token,
        &ADMIN.1.to_owned(),
        &"-----BEGIN PRIVATE KEY-----".to_owned(),
        &"eyJhbGciOiJSUzI1NiJ9".to_owned(),
    ] {
        app.admin().await;
        let log = format!("a line\nINFO guest: {secret} is what was said\nanother");
        assert_eq!(logs::told(&log).len(), 1, "{secret}");
    }
    assert!(logs::told("a line\nand another about 42 things").is_empty());
    // And there is a log to look through.
    if !on_spin() {
        assert!(logs::so_far().contains(r#""audit":"account.registered""#));
    }
    app.finish().await;
}
