//! Deletion: none of the data that an account's owner entered is left in any file, not even as bytes (docs/privacy.md).

use crate::harness::actor::{PLENTY, id_of};
use crate::harness::issuer::{CLIENT, Issuer};
use crate::harness::running::on_spin;
use crate::harness::{Actor, App, eventually, logs, surgery};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::path::Path;

/// What the owner enters, field by field. These strings occur nowhere else.
const TOLD: [&str; 9] = [
    "qxemail7731",
    "qxusername7731",
    "qxfirst7731",
    "qxlast7731",
    "+49 7731 77310042",
    "qxaddress7731",
    "qxkey7731",
    "7a7a1111deadbeef7a7a2222deadbeef",
    "qxlater7731",
];
/// What another issuer's token says about its user.
const FOREIGN: [&str; 2] = ["qxforeignemail7731", "qxforeignname7731"];

/// Does what docs/privacy.md asks of who runs the shop on Spin, which leaves the logs of the databases as they are.
fn empty_logs(databases: &Path) {
    if !on_spin() {
        return;
    }
    for file in std::fs::read_dir(databases).expect("a folder") {
        let path = file.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "db") {
            let database = Connection::open(path).expect("a database");
            let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
            database
                .query_row(checkpoint, [], |_| Ok(()))
                .expect("emptied");
        }
    }
}

/// Which of these words occur in which file of a folder. Links are not followed.
fn found(folder: &Path, words: &[&str]) -> Vec<String> {
    let mut hits = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            hits.extend(found(&entry.path(), words));
        } else if kind.is_file() {
            // SQLite's journals come and go while one looks.
            let bytes = match std::fs::read(entry.path()) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                bytes => bytes.expect("readable"),
            };
            let has = |word: &&&str| {
                bytes
                    .windows(word.len())
                    .any(|part| part == word.as_bytes())
            };
            let name = entry.path().display().to_string();
            hits.extend(
                words
                    .iter()
                    .filter(has)
                    .map(|word| format!("{word} in {name}")),
            );
        }
    }
    hits
}

/// The folder of databases, their logs and key-value stores.
fn everything(databases: &Path) -> &Path {
    databases.parent().expect("the shop's folder")
}

async fn register(app: &App) -> Actor {
    let mut owner = app.anonymous();
    let account = json!({
        "email": "qxemail7731@example.com", "username": "qxusername7731", "password": "correct horse",
        "first_name": "qxfirst7731", "last_name": "qxlast7731", "phone": "+49 7731 77310042",
    });
    owner.take_tokens(&owner.post("/auth/register", &account).await.expect(201));
    owner
}

async fn order(owner: &Actor, item: &str, draft: bool) -> String {
    let order = json!({
        "lines": [{"item_id": item, "quantity": 1}], "address": "qxaddress7731, Paris", "draft": draft,
    });
    let request = owner.request("POST", "/orders").json(&order);
    let request = request
        .header("idempotency-key", format!("qxkey7731 {draft}"))
        .header(
            "traceparent",
            "00-7a7a1111deadbeef7a7a2222deadbeef-7a7a3333deadbeef-01",
        );
    id_of(&owner.send(request).await.expect(201))
}

/// Events with personal data that no service can process.
async fn dead_letters(app: &App, owner: &str) {
    let event = |number: u32, kind: &str, receiver: &str, data: Value| {
        json!([{
            "specversion": "1.0", "id": format!("01900000-0000-7000-8000-00000000{number:04}"),
            "source": "/auth", "type": kind, "subject": owner, "time": "2026-01-01T00:00:00Z",
            "dataschema": "wasmart:saga/messages@1.0.0", "receiver": receiver, "data": data,
            "traceparent": "00-7a7a1111deadbeef7a7a2222deadbeef-7a7a3333deadbeef-01",
        }])
        .to_string()
    };
    let wrong = json!({"user_id": owner, "email": 7, "first_name": "qxfirst7731"});
    for (number, receiver) in ["/users", "/billing", "/orders"].into_iter().enumerate() {
        let number = u32::try_from(number).expect("few");
        let message = event(number, "account.registered", receiver, wrong.clone());
        app.publish("accounts", message).await;
    }
    let unknown = json!({"user_id": owner, "to": "qxemail7731@example.com"});
    let message = event(10, "parcel.sent", "/notifications", unknown);
    app.publish("notifications", message).await;
    let set_aside = async || (app.books().dead_letters().len() == 4).then_some(());
    eventually("four dead letters", set_aside).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_what_a_deleted_account_said_is_in_any_file() {
    let mut app = App::start().await;
    let tea = app.manager().await.sell("Tea", 100, 100).await;
    let owner = register(&app).await;
    // Neighbours, so that rows are moved and pages are shared.
    for _ in 0..6 {
        app.customer_with(PLENTY).await;
    }
    owner.deposit(PLENTY).await;
    let later = json!({"first_name": "qxlater7731"});
    owner.patch("/users/me", &later).await.expect(200);
    order(&owner, &tea, true).await;
    let paid = order(&owner, &tea, false).await;
    owner.wait_for(&paid, "paid").await;
    let forgotten = json!({"email": "qxemail7731@example.com"});
    owner
        .post("/auth/password/forgot", &forgotten)
        .await
        .expect(202);
    for _ in 0..6 {
        app.customer_with(PLENTY).await;
    }
    app.quiet().await;
    dead_letters(&app, &owner.id).await;
    let there = found(everything(&app.databases()), &TOLD);
    for word in TOLD {
        let is_there = there.iter().any(|hit| hit.starts_with(word));
        assert!(is_there, "{word} was never written: {there:#?}");
    }

    owner.delete("/users/me").await.expect(204);
    app.quiet().await;
    assert_eq!(app.books().dead_letters(), Vec::<String>::new());
    let mut left = vec!["not stopped".to_owned()];
    let log = logs::so_far();
    app.restart_after(|databases| {
        empty_logs(databases);
        left = found(everything(databases), &TOLD);
    })
    .await;
    assert_eq!(left, Vec::<String>::new());
    for word in TOLD {
        assert!(!log.contains(word), "{word} is in the log");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_what_another_issuer_said_of_a_deleted_account_is_in_any_file() {
    let issuer = Issuer::start().await;
    let entry = json!([{"issuer": issuer.url(), "audience": CLIENT, "azp": "web"}]).to_string();
    let variables = [
        ("trusted_issuers", entry.as_str()),
        ("issuer_host_b", issuer.url()),
        ("issuer_refetch_seconds", "1"),
    ];
    let mut app = App::start_with(&variables).await;
    let claims = json!({
        "preferred_username": "qxforeignname7731", "email": "qxforeignemail7731@example.com",
    });
    let mut owner = app.anonymous();
    owner.token = Some(issuer.access_token(claims));
    owner.get("/orders").await.expect(200);
    owner.get("/users/me").await.expect(200);
    let made = "SELECT count(*) FROM auth.identities";
    eventually("the account", async || {
        (app.books().number(made) == 1).then_some(())
    })
    .await;
    app.quiet().await;
    let there = found(everything(&app.databases()), &FOREIGN);
    assert!(!there.is_empty(), "it was never written");
    owner.delete("/users/me").await.expect(204);
    app.quiet().await;
    let mut left = vec!["not stopped".to_owned()];
    app.restart_after(|databases| {
        empty_logs(databases);
        left = found(everything(databases), &FOREIGN);
    })
    .await;
    assert_eq!(left, Vec::<String>::new());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_is_still_unsent_loses_its_data_with_the_account() {
    let mut app = App::start().await;
    let owner = register(&app).await;
    app.quiet().await;
    // As if users had been away since.
    let event = json!({
        "specversion": "1.0", "id": "01900000-0000-7000-8000-000000000001", "source": "/auth",
        "type": "account.registered", "subject": owner.id, "time": "2026-01-01T00:00:00Z",
        "dataschema": "wasmart:saga/messages@1.0.0", "receiver": "/nobody",
        "data": {"user_id": owner.id, "email": "qxemail7731@example.com", "first_name": "qxfirst7731"},
    });
    app.restart_after(|databases| {
        let auth = surgery::open(databases, "auth");
        let row = "INSERT INTO outbox (id, channel, subject, event, created_at, next_attempt_at)
             VALUES ('01900000-0000-7000-8000-000000000001', 'accounts', ?1, ?2, 1, 1)";
        let row = auth.execute(row, [&owner.id, &event.to_string()]);
        assert_eq!(row.expect("a row of the outbox"), 1);
    })
    .await;
    owner.delete("/users/me").await.expect(204);
    let told = "SELECT json_extract(event, '$.data') FROM auth.outbox WHERE channel = 'accounts'
         AND json_extract(event, '$.type') = 'account.registered'";
    let only_the_id = json!({"user_id": owner.id}).to_string();
    assert_eq!(app.books().rows(told), [only_the_id]);
    app.stop().await;
}
