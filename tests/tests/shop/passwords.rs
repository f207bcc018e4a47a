//! Passwords: what they may be, how they are kept, changed and reset.

use crate::harness::process::{operator, said};
use crate::harness::{Actor, Answer, App, eventually, logs, surgery};
use futures::future::join_all;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;

/// Hashes of `an old password`, as another shop or an earlier setting left them.
const BCRYPT: &str = "$2b$06$nFXSYB2UzC9ZD0E7TJSSduG1/E2SuxzOR8uUgMVLRXgix7FW.z7sy";
const WEAK_ARGON2: &str = "$argon2id$v=19$m=1024,t=1,p=1$FQOWQqjPp/UIBraO1RIR+w$PDzXQ5HSnC2hSPKDBRSb/nKuF/ownVpqWa6KPWCOGLo";
/// One that takes longer than ours to check.
const DEAR_BCRYPT: &str = "$2b$10$Rtls.uRdEh5Kua9YlYfPQuwwoJXqXFNd9xNLQws/EjDslTZTfZ0Aa";
const OLD: &str = "an old password";

async fn log_in(app: &App, login: &str, password: &str) -> Answer {
    let body = json!({"login": login, "password": password});
    app.anonymous().post("/auth/login", &body).await
}

async fn register(app: &App, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password, "username": "the.customer"});
    app.anonymous().post("/auth/register", &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn any_characters_will_do_but_not_what_everybody_tries_first() {
    let app = App::start().await;
    for refused in [
        "short12",
        // Seven characters in fourteen bytes.
        "пароль1",
        "12345678",
        "iloveyou1",
        "Password1",
        "QWERTYUIOP",
        // The account's own names.
        "customer@example.com",
        "Customer@Example.com",
        "the.customer",
    ] {
        let answer = register(&app, "customer@example.com", refused).await;
        let fields = answer.refused(422, "invalid-input").fields();
        assert_eq!(fields, ["password"], "{refused}");
    }
    let long = "я".repeat(128);
    for (number, taken) in ["пароль12", " a b c d ", "🔑🔑🔑🔑🔑🔑🔑🔑", long.as_str()]
        .into_iter()
        .enumerate()
    {
        let email = format!("c{number}@example.com");
        let body = json!({"email": email, "password": taken});
        app.anonymous()
            .post("/auth/register", &body)
            .await
            .expect(201);
        log_in(&app, &email, taken).await.expect(200);
        let other = format!("{}x", taken.trim());
        log_in(&app, &email, &other).await.expect(401);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_the_same_however_its_letters_are_composed() {
    let app = App::start().await;
    let (composed, taken_apart) = ("caf\u{e9} cr\u{e8}me", "cafe\u{301} cre\u{300}me");
    register(&app, "ann@example.com", taken_apart)
        .await
        .expect(201);
    log_in(&app, "ann@example.com", composed).await.expect(200);
    log_in(&app, "ann@example.com", taken_apart)
        .await
        .expect(200);
    log_in(&app, "ann@example.com", "cafe creme")
        .await
        .expect(401);
    app.finish().await;
}

/// Puts a hash in place of the one that an account has.
fn set_hash(databases: &Path, email: &str, hash: &str) {
    let auth = surgery::open(databases, "auth");
    let set = "UPDATE accounts SET password_hash = ?1 WHERE email = ?2";
    assert_eq!(auth.execute(set, [hash, email]).expect("set"), 1);
}

fn hash_of(app: &App, email: &str) -> String {
    let sql = format!("SELECT password_hash FROM auth.accounts WHERE email = '{email}'");
    app.books().rows(&sql).remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn hashes_from_elsewhere_and_from_before_are_good_for_one_login_that_replaces_them() {
    let mut app = App::start().await;
    let (ann, bob) = (app.customer().await, app.customer().await);
    let mut newest = app.customer().await;
    app.restart_after(|databases| {
        set_hash(databases, &ann.email, BCRYPT);
        set_hash(databases, &bob.email, WEAK_ARGON2);
    })
    .await;
    let unchanged = hash_of(&app, &newest.email);
    for actor in [&ann, &bob] {
        log_in(&app, &actor.email, "wrong password")
            .await
            .refused(401, "invalid-credentials");
        let before = hash_of(&app, &actor.email);
        assert!([BCRYPT, WEAK_ARGON2].contains(&before.as_str()));
        log_in(&app, &actor.email, OLD).await.expect(200);
        let after = hash_of(&app, &actor.email);
        assert!(
            after.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{after}"
        );
        log_in(&app, &actor.email, OLD).await.expect(200);
        assert_eq!(hash_of(&app, &actor.email), after, "replaced once");
    }
    newest.log_in_again().await;
    assert_eq!(hash_of(&app, &newest.email), unchanged);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_refusal_tells_nothing() {
    let mut app = App::start_with(&[("trusted_proxies", "127.0.0.0/8")]).await;
    let (ann, bob) = (app.customer().await, app.customer().await);
    let logins = [&ann.email, &bob.email, "nobody@example.com", "nobody"];
    let mut networks =
        (0..=u8::MAX).flat_map(|high| (0..=u8::MAX).map(move |low| format!("10.0.{high}.{low}")));
    // What each takes at its quickest: the rest is the machine's.
    let mut quickest = async |app: &App| {
        let mut times = [u128::MAX; 4];
        for _ in 0..9 {
            // In turns, so that whatever else the machine does befalls all of them.
            for (login, time) in logins.iter().zip(&mut times) {
                let network = networks.next().expect("fewer tries");
                let somebody = app.anonymous().from(&network);
                let body = json!({"login": login, "password": "wrong password"});
                let begun = Instant::now();
                somebody.post("/auth/login", &body).await.expect(401);
                *time = begun.elapsed().as_millis().min(*time);
            }
        }
        times
    };
    let mut alike = async |app: &App| {
        let mut seen = vec![];
        // A busy machine may favour one of them for a while, but not always.
        for _ in 0..5 {
            let times = quickest(app).await;
            println!("ms to refuse ann, bob and two that are nobody: {times:?}");
            let [shortest, longest] = [times.iter().min(), times.iter().max()];
            if longest < shortest.map(|ms| ms * 5 / 4 + 5).as_ref() {
                return;
            }
            seen.push(times);
        }
        panic!("{seen:?}");
    };
    alike(&app).await;
    // Nor does it when one of them was brought along from elsewhere, with a hash that costs more.
    app.restart_after(|databases| set_hash(databases, &bob.email, DEAR_BCRYPT))
        .await;
    alike(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_password_ends_all_other_sessions() {
    let app = App::start().await;
    let mut ann = app.customer().await;
    let mut elsewhere = ann.clone();
    elsewhere.log_in_again().await;
    let (old, new) = (ann.password.clone(), "a quite new password");
    logs::secret(new);
    let change =
        |current: &str, new: &str| json!({"current_password": current, "new_password": new});
    app.anonymous()
        .post("/auth/password", &change(&old, new))
        .await
        .refused(401, "unauthorized");
    for (current, new, field) in [
        ("not the password", new, "current_password"),
        (&old, "short", "new_password"),
        (&old, "password1", "new_password"),
        (&old, &ann.email, "new_password"),
    ] {
        let refused = ann.post("/auth/password", &change(current, new)).await;
        assert_eq!(refused.refused(422, "invalid-input").fields(), [field]);
    }
    ann.get("/orders").await.expect(200);

    let before = ann.clone();
    let answer = ann.post("/auth/password", &change(&old, new)).await;
    ann.take_tokens(&answer.expect(200));
    for session in [&before, &elsewhere] {
        for path in ["/orders", "/users/me", "/billing/account"] {
            session.get(path).await.refused(401, "revoked-token");
        }
        let refresh = json!({"refresh_token": session.refresh_token});
        app.anonymous()
            .post("/auth/refresh", &refresh)
            .await
            .refused(401, "invalid-refresh-token");
    }
    ann.get("/orders").await.expect(200);
    log_in(&app, &ann.email, &old)
        .await
        .refused(401, "invalid-credentials");
    log_in(&app, &ann.email, new).await.expect(200);
    assert_eq!(ann.told(1).await, ["password.changed"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_at_once_one_is_made() {
    let app = App::start().await;
    let ann = app.customer().await;
    let change = async |new: &str| {
        let body = json!({"current_password": ann.password, "new_password": new});
        ann.post("/auth/password", &body).await.status
    };
    let mut statuses = join_all(["first new one", "second new one"].map(change)).await;
    statuses.sort_unstable();
    // The second no longer knows the current password, or no longer has a token.
    assert_eq!(statuses[0], 200);
    assert!([401, 409, 422].contains(&statuses[1]), "{statuses:?}");
    app.finish().await;
}

pub async fn forget(app: &App, email: &str) -> Answer {
    let body = json!({"email": email});
    let answer = app.anonymous().post("/auth/password/forgot", &body).await;
    answer.expect(202)
}

pub async fn reset(app: &App, token: &str, password: &str) -> Answer {
    let body = json!({"token": token, "password": password});
    app.anonymous().post("/auth/password/reset", &body).await
}

/// The mails that wait, the newest first, as the operator's command shows them.
fn mails(app: &App) -> Vec<String> {
    let (status, list) = said(&mut operator(app.address(), &["mail", "list"]));
    assert_eq!(status, Some(0), "{list}");
    let ids = list
        .lines()
        .filter(|line| line.contains("password.forgotten"));
    ids.filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

/// Waits for so many mails, and gives the token in the newest.
pub async fn token(app: &App, count: usize) -> String {
    let id = eventually("a mail", async || {
        let mails = mails(app);
        (mails.len() == count).then(|| mails[0].clone())
    })
    .await;
    let (status, mail) = said(&mut operator(app.address(), &["mail", "show", &id]));
    assert_eq!(status, Some(0), "{mail}");
    let token = mail
        .lines()
        .find(|line| line.len() == 43 && !line.contains(' '));
    let token = token
        .unwrap_or_else(|| panic!("no token: {mail}"))
        .to_owned();
    logs::secret(&token);
    token
}

/// Whether any row of any database has this text in it.
fn is_kept(databases: &Path, text: &str) -> Option<String> {
    for service in crate::harness::books::SERVICES {
        let database: Connection = surgery::open(databases, service);
        let list = |sql: &str| -> Vec<String> {
            let mut statement = database.prepare(sql).expect(sql);
            let rows = statement.query_map([], |row| row.get(0)).expect(sql);
            rows.filter_map(Result::ok).collect()
        };
        for table in list("SELECT name FROM sqlite_master WHERE type = 'table'") {
            for column in list(&format!("SELECT name FROM pragma_table_info('{table}')")) {
                let sql = format!(
                    "SELECT '{service}.{table}.{column}' FROM {table} WHERE instr(CAST({column} AS TEXT), '{text}') > 0"
                );
                if let Some(place) = list(&sql).pop() {
                    return Some(place);
                }
            }
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn who_forgot_gets_a_token_that_is_good_once() {
    let app = App::start().await;
    let ann = app.customer().await;
    let bob = app.customer().await;
    app.quiet().await;
    // The same for an account that is none, for one that is disabled, and for what is no email.
    let known = forget(&app, &ann.email).await;
    for email in ["nobody@example.com", "nobody", "", "@"] {
        assert_eq!(forget(&app, email).await.body, known.body, "{email}");
    }
    let token = token(&app, 1).await;
    assert!(is_kept(&app.databases(), &token).is_some());
    let none = "00000000-0000-7000-8000-000000000000";
    let (status, said) = said(&mut operator(app.address(), &["mail", "show", none]));
    assert!(status == Some(1) && said.contains("No such mail"), "{said}");
    // No user can read it.
    assert!(ann.get("/notifications").await.data().is_empty());
    for path in ["/internal/notifications/mails", "/notifications/mails"] {
        for actor in [&ann, &app.admin().await] {
            actor.get(path).await.expect(404);
        }
    }

    // A password that is refused leaves the token good.
    let refused = reset(&app, &token, "password1").await;
    assert_eq!(refused.refused(422, "invalid-input").fields(), ["password"]);
    let new = "a quite new password";
    logs::secret(new);
    let answers = join_all((0..4).map(|_| reset(&app, &token, new))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 401, 401, 401]);
    reset(&app, &token, "yet another one")
        .await
        .refused(401, "invalid-reset-token");

    ann.get("/orders").await.refused(401, "revoked-token");
    let refresh = json!({"refresh_token": ann.refresh_token});
    app.anonymous()
        .post("/auth/refresh", &refresh)
        .await
        .refused(401, "invalid-refresh-token");
    log_in(&app, &ann.email, &ann.password)
        .await
        .refused(401, "invalid-credentials");
    let mut ann = ann.clone();
    ann.password = new.to_owned();
    ann.log_in_again().await;
    assert_eq!(ann.told(1).await, ["password.changed"]);
    bob.get("/orders").await.expect(200);
    app.quiet().await;
    assert_eq!(is_kept(&app.databases(), &token), None);
    assert!(mails(&app).is_empty());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_past_its_end_is_good_for_nothing_and_kept_nowhere() {
    let mut app = App::start().await;
    let ann = app.customer().await;
    forget(&app, &ann.email).await;
    let token = token(&app, 1).await;
    app.quiet().await;
    app.restart_after(|databases| {
        // Made before a clock was set back by a day.
        let later = "UPDATE password_resets SET expires_at = expires_at + 86400000";
        let auth = surgery::open(databases, "auth");
        assert_eq!(auth.execute(later, []).expect("set"), 1);
    })
    .await;
    reset(&app, &token, "a quite new password")
        .await
        .refused(401, "invalid-reset-token");
    let bob = app.customer().await;
    app.quiet().await;
    app.restart_after(|databases| {
        let notifications = surgery::open(databases, "notifications");
        notifications
            .execute("DELETE FROM mails", [])
            .expect("gone");
    })
    .await;
    forget(&app, &bob.email).await;
    let token = self::token(&app, 1).await;
    app.quiet().await;
    app.restart_after(|databases| {
        // As if ten minutes had passed.
        for (service, table) in [("auth", "password_resets"), ("notifications", "mails")] {
            let sql = format!("UPDATE {table} SET expires_at = expires_at - 600000");
            let database = surgery::open(databases, service);
            assert_eq!(database.execute(&sql, []).expect("aged"), 1);
        }
    })
    .await;
    reset(&app, &token, "a quite new password")
        .await
        .refused(401, "invalid-reset-token");
    log_in(&app, &bob.email, &bob.password).await.expect(200);
    assert!(mails(&app).is_empty());
    app.tick("notifications").await;
    app.tick("auth").await;
    assert_eq!(is_kept(&app.databases(), &token), None);
    let left = "SELECT count(*) FROM auth.password_resets";
    assert_eq!(app.books().number(left), 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_asks_again_and_again_takes_no_token_away() {
    let app = App::start().await;
    let ann = app.customer().await;
    forget(&app, &ann.email).await;
    let first = token(&app, 1).await;
    for _ in 0..8 {
        forget(&app, &ann.email).await;
    }
    app.quiet().await;
    assert_eq!(mails(&app).len(), 5, "nobody's mailbox is filled");
    reset(&app, &first, "a quite new password")
        .await
        .expect(204);
    // One use ends them all.
    app.quiet().await;
    assert!(mails(&app).is_empty());
    let left = "SELECT count(*) FROM auth.password_resets";
    assert_eq!(app.books().number(left), 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reset_the_password_need_not_wait_for_earlier_mistakes() {
    let app = App::start().await;
    let ann: Actor = app.customer().await;
    for _ in 0..10 {
        log_in(&app, &ann.email, "wrong password").await.expect(401);
    }
    log_in(&app, &ann.email, &ann.password).await.expect(429);
    forget(&app, &ann.email).await;
    let token = token(&app, 1).await;
    let new = "a quite new password";
    reset(&app, &token, new).await.expect(204);
    let answer: Value = log_in(&app, &ann.email, new).await.expect(200).json();
    assert_eq!(answer["user_id"], ann.id.as_str());
    app.finish().await;
}
