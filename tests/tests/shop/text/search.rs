//! Searches: case, accents and Unicode form make no difference, in any script.

use crate::harness::surgery;
use crate::harness::{Actor, App, eventually};
use serde_json::{Value, json};

/// A name, searches that find it, and searches that do not.
const NAMES: [(&str, &[&str], &[&str]); 14] = [
    (
        "Чайник",
        &["чайник", "ЧАЙНИК", "чаи\u{306}ник", "айн"],
        &["чайка"],
    ),
    (
        "éclair",
        &["eclair", "ÉCLAIR", "e\u{301}clair", "E\u{301}CL", "Éclair"],
        &["eclaire"],
    ),
    (
        "Cre\u{300}me bru\u{302}le\u{301}e",
        &["crème", "CREME BRULEE", "brûl"],
        &["brulé e"],
    ),
    ("Ёлка", &["елка", "ёлка", "ЕЛКА", "е\u{308}лка"], &["йолка"]),
    (
        "Straßenkarte",
        &["strasse", "STRASSE", "straße", "STRAẞE"],
        &["strase"],
    ),
    (
        "İstanbul tea",
        &["istanbul", "ISTANBUL", "ıstanbul", "i\u{307}stanbul"],
        &["estanbul"],
    ),
    ("Łódź mug", &["lodz", "łódź", "ŁÓDŹ"], &["lodzi"]),
    (
        "ガラスのコップ",
        &["ｶﾞﾗｽ", "カ\u{3099}ラス", "コップ"],
        &["カラス", "がらす"],
    ),
    ("Ｔｅａ　Ｓｅｔ", &["tea set", "ＴＥＡ", "set"], &["teaset"]),
    ("ΟΔΟΣ", &["οδός", "οδοσ", "Οδος"], &["οδη"]),
    ("کتاب\u{200C}ها", &["کتابها", "کتاب\u{200C}ها"], &["کتب"]),
    (
        "한글 찻잔",
        &["\u{1112}\u{1161}\u{11AB}글", "찻잔"],
        &["한국"],
    ),
    ("हिन्दी", &["हिन्दी", "हिन्"], &["हनदी"]),
    (
        "100%_\\'\" \u{1F375}",
        &["100%", "%_", "_\\", "'\"", "\u{1F375}"],
        &["%%", "__", "100_", "\\\\", "''"],
    ),
];

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

async fn found(actor: &Actor, path: &str, text: &str) -> Vec<Value> {
    actor
        .get(&format!("{path}{}", encoded(text)))
        .await
        .expect(200)
        .data()
}

async fn names_found(actor: &Actor, text: &str) -> Vec<String> {
    let items = found(actor, "/items?q=", text).await;
    let name = |item: &Value| item["name"].as_str().expect("a name").to_owned();
    items.iter().map(name).collect()
}

/// Every search finds its own item, and no other.
async fn check(actor: &Actor) {
    for (name, right, wrong) in NAMES {
        // Stored in NFC.
        let stored = match name {
            "Cre\u{300}me bru\u{302}le\u{301}e" => "Crème brûlée",
            name => name,
        };
        for text in right {
            let found = names_found(actor, text).await;
            assert!(
                found.iter().any(|found| found == stored),
                "{text} finds {found:?}, not {stored}"
            );
        }
        for text in wrong {
            let found = names_found(actor, text).await;
            assert!(
                found.iter().all(|found| found != stored),
                "{text} finds {stored}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_found_in_any_script_whatever_the_case_the_accents_and_the_form() {
    let app = App::start().await;
    let admin = app.admin().await;
    for (name, _, _) in NAMES {
        admin.sell(name, 1, 1).await;
    }
    check(&app.anonymous()).await;
    // An empty search finds everything.
    for text in ["", " ", "\u{3000}"] {
        assert_eq!(
            names_found(&admin, text).await.len(),
            NAMES.len(),
            "{text:?}"
        );
    }
    // With another name it is found under that one only.
    let item = admin.sell("Old name", 1, 1).await;
    admin
        .patch(&format!("/items/{item}"), &json!({"name": "Ñandú"}))
        .await
        .expect(200);
    assert_eq!(names_found(&admin, "nandu").await, ["Ñandú"]);
    assert!(names_found(&admin, "old name").await.is_empty());
    admin
        .patch(&format!("/items/{item}"), &json!({"price": 2}))
        .await
        .expect(200);
    assert_eq!(names_found(&admin, "nandu").await, ["Ñandú"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn older_items_are_found_as_before_and_folded_by_ticks() {
    let mut app = App::start().await;
    let admin = app.admin().await;
    for (name, _, _) in NAMES {
        admin.sell(name, 1, 1).await;
    }
    app.quiet().await;
    app.restart_after(|databases| {
        let stock = surgery::open(databases, "stock");
        let forget = "UPDATE items SET folded_name = NULL";
        assert_eq!(stock.execute(forget, []).expect("forgotten"), NAMES.len());
    })
    .await;
    // Before or after a tick.
    assert_eq!(names_found(&admin, "straßenKARTE").await, ["Straßenkarte"]);
    app.tick("stock").await;
    let left = "SELECT count(*) FROM stock.items WHERE folded_name IS NULL";
    eventually("all are folded", async || {
        (app.books().number(left) == 0).then_some(())
    })
    .await;
    check(&admin).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_find_accounts_in_any_script() {
    let app = App::start().await;
    let admin = app.admin().await;
    for (email, username) in [
        ("josé@example.com", "Ёжик"),
        ("ann@bücher.example", "ガラス"),
        ("ann_lee%x@example.com", "ann_lee"),
        ("annylee@example.com", "annylee"),
    ] {
        let new = json!({"email": email, "username": username, "password": "correct horse"});
        app.anonymous()
            .post("/auth/register", &new)
            .await
            .expect(201);
    }
    for (text, emails) in [
        ("jose", &["josé@example.com"][..]),
        ("JOSE\u{301}@", &["josé@example.com"]),
        ("ежик", &["josé@example.com"]),
        ("ЁЖ", &["josé@example.com"]),
        ("BUCHER", &["ann@bücher.example"]),
        ("ｶﾞﾗ", &["ann@bücher.example"]),
        ("ann_lee", &["ann_lee%x@example.com"]),
        ("lee%X", &["ann_lee%x@example.com"]),
        ("%", &["ann_lee%x@example.com"]),
        ("'", &[]),
        ("\\", &[]),
        ("com\nе", &[]),
    ] {
        if text.contains('\n') {
            let path = format!("/auth/users?search={}", encoded(text));
            admin.get(&path).await.refused(422, "invalid-input");
            continue;
        }
        let accounts = found(&admin, "/auth/users?search=", text).await;
        let found: Vec<_> = accounts
            .iter()
            .map(|account| account["email"].as_str().unwrap_or("-"))
            .collect();
        assert_eq!(found, emails, "{text}");
    }
    assert_eq!(found(&admin, "/auth/users?search=", "").await.len(), 5);
    app.finish().await;
}
