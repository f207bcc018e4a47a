//! One person, one account: all spellings of an email or a username are the same.

use crate::harness::surgery;
use crate::harness::{Actor, App, eventually};
use rusqlite::{Connection, params};
use serde_json::json;

const PASSWORD: &str = "correct horse";

async fn register(app: &App, email: &str, username: Option<&str>) -> crate::harness::Answer {
    let body = json!({"email": email, "username": username, "password": PASSWORD});
    app.anonymous().post("/auth/register", &body).await
}

/// The account that a login leads to, if it leads to any.
async fn logged_in(app: &App, login: &str) -> Option<String> {
    let body = json!({"login": login, "password": PASSWORD});
    let answer = app.anonymous().post("/auth/login", &body).await;
    let id = || answer.json()["user_id"].as_str().expect("an id").to_owned();
    (answer.status == 200).then(id)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_spellings_of_an_email_or_a_username_are_one_account() {
    let app = App::start().await;
    for (spellings, stored) in [
        (
            [
                "jose\u{301}@example.com",
                "José@Example.com",
                "JOSE\u{301}@EXAMPLE.COM",
            ],
            "josé@example.com",
        ),
        (
            [
                "Ann@BU\u{308}CHER.example",
                "ann@xn--bcher-kva.example",
                "ａｎｎ＠ｂücher。example",
            ],
            "ann@bücher.example",
        ),
        (
            [
                "用户@例子.中国",
                "用户@xn--fsqu00a.xn--fiqs8s",
                " 用户@例子。中国 ",
            ],
            "用户@例子.中国",
        ),
    ] {
        let first = register(&app, spellings[0], None).await.expect(201).json();
        for spelling in spellings.iter().chain(&[stored]) {
            register(&app, spelling, None)
                .await
                .refused(409, "already-registered");
            let id = logged_in(&app, spelling).await;
            assert_eq!(id.as_deref(), first["user_id"].as_str(), "{spelling:?}");
        }
        let sql = format!("SELECT count(*) FROM auth.accounts WHERE email = '{stored}'");
        assert_eq!(app.books().number(&sql), 1);
    }
    let names = ["Zoe\u{308}.Lee", "zoë.lee", "ZOË.LEE", "ｚｏë．ｌｅｅ"];
    let first = register(&app, "zoe@example.com", Some(names[0]))
        .await
        .expect(201)
        .json();
    for (number, name) in names.iter().enumerate() {
        let email = format!("zoe{number}@example.com");
        register(&app, &email, Some(name))
            .await
            .refused(409, "already-registered");
        assert_eq!(
            logged_in(&app, name).await.as_deref(),
            first["user_id"].as_str(),
            "{name:?}"
        );
    }
    // Not the same mailbox: to fold these would give one the other's mail.
    register(&app, "strasse@example.com", None)
        .await
        .expect(201);
    register(&app, "straße@example.com", None).await.expect(201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_with_a_hidden_character_names_no_account() {
    let app = App::start().await;
    register(&app, "ann@example.com", Some("ann"))
        .await
        .expect(201);
    for hidden in [
        "\u{200B}",
        "\u{AD}",
        "\u{2060}",
        "\u{FEFF}",
        "\u{200D}",
        "\u{202E}",
        "\u{E0041}",
        "\0",
        "\u{3164}",
    ] {
        for login in [
            format!("ann{hidden}@example.com"),
            format!("ann@exam{hidden}ple.com"),
            format!("an{hidden}n"),
        ] {
            assert_eq!(logged_in(&app, &login).await, None, "{login:?}");
        }
        let refused = register(&app, &format!("new{hidden}@example.com"), None).await;
        assert_eq!(
            refused.refused(422, "invalid-input").fields(),
            ["email"],
            "{hidden:?}"
        );
        let refused = register(&app, "new@example.com", Some(&format!("new{hidden}name"))).await;
        assert_eq!(
            refused.refused(422, "invalid-input").fields(),
            ["username"],
            "{hidden:?}"
        );
    }
    app.finish().await;
}

/// Puts accounts back to what they were before they had one spelling.
fn spell(auth: &Connection, id: &str, email: &str, username: Option<&str>) {
    let sql = "UPDATE accounts SET email = ?2, username = ?3, folded = NULL WHERE id = ?1";
    let changed = auth
        .execute(sql, params![id, email, username])
        .expect("spelled");
    assert_eq!(changed, 1, "{email}");
}

#[tokio::test(flavor = "multi_thread")]
async fn older_accounts_are_found_under_every_spelling() {
    let mut app = App::start().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let email = format!("old{number}@example.com");
        let answer = register(&app, &email, Some(&format!("old{number}")))
            .await
            .expect(201);
        ids.push(answer.json()["user_id"].as_str().expect("an id").to_owned());
    }
    app.quiet().await;
    let (decomposed, composed) = ("jose\u{301}@example.com", "josé@example.com");
    let (hidden, punycode) = ("a\u{200B}b@example.com", "ann@xn--bcher-kva.example");
    app.restart_after(|databases| {
        let auth = surgery::open(databases, "auth");
        spell(&auth, &ids[0], decomposed, Some("roman\u{2173}"));
        spell(&auth, &ids[1], hidden, Some("ａｎｎ"));
        spell(&auth, &ids[2], punycode, None);
        // Two spellings that are the same now: each account keeps its own.
        spell(&auth, &ids[3], "zoe\u{308}@example.com", None);
        spell(&auth, &ids[4], "zoë@example.com", None);
    })
    .await;
    for (login, id) in [
        (decomposed, 0),
        (composed, 0),
        ("JOSÉ@example.com", 0),
        ("Roman\u{2163}", 0),
        (hidden, 1),
        ("A\u{200B}B@Example.com", 1),
        ("ａｎｎ", 1),
        ("ann", 1),
        (punycode, 2),
        ("ann@bücher.example", 2),
        ("zoe\u{308}@example.com", 3),
        ("zoë@example.com", 4),
        ("ZOË@EXAMPLE.com", 4),
    ] {
        assert_eq!(
            logged_in(&app, login).await.as_ref(),
            Some(&ids[id]),
            "{login:?}"
        );
    }
    register(&app, composed, None)
        .await
        .refused(409, "already-registered");
    // The reset is mailed to the right account.
    for (login, id) in [
        ("zoe\u{308}@example.com", 3),
        ("zoë@example.com", 4),
        (composed, 0),
    ] {
        let anonymous = app.anonymous();
        let body = json!({"email": login});
        let forgot = anonymous.post("/auth/password/forgot", &body).await;
        forgot.expect(202);
        let sql = format!(
            "SELECT count(*) FROM auth.password_resets WHERE account_id = '{}'",
            ids[id]
        );
        assert_eq!(app.books().number(&sql), 1, "{login:?}");
    }
    let left = "SELECT count(*) FROM auth.accounts WHERE folded IS NULL AND deleted_at IS NULL";
    eventually("all have their spelling", async || {
        (app.books().number(left) == 0).then_some(())
    })
    .await;
    let admin = app.admin().await;
    let found = admin
        .get("/auth/users?search=jose")
        .await
        .expect(200)
        .data();
    assert_eq!((found.len(), &found[0]["email"]), (1, &json!(composed)));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_leaves_nothing_to_find() {
    let app = App::start().await;
    let ann = Actor::register(app.address(), "ann@example.com").await;
    ann.delete("/users/me").await.expect(204);
    let left =
        "SELECT count(*) FROM auth.accounts WHERE deleted_at IS NOT NULL AND folded IS NOT NULL";
    assert_eq!(app.books().number(left), 0);
    app.finish().await;
}
