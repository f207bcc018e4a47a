//! Another version of the shop on the same databases, in the middle of sagas: an older schema is brought up to
//! date, and what a newer version left there stops nobody else.

use crate::harness::actor::PLENTY;
use crate::harness::surgery;
use crate::harness::{Actor, App, eventually, workspace};
use rusqlite::Connection;
use serde_json::json;
use std::path::Path;

/// The schema that the first version made: its files, as they are never changed.
fn first_schema(service: &str) -> String {
    let read = |file: &str| std::fs::read_to_string(workspace::root().join(file)).expect(file);
    let common = read("crates/service/src/db/common.sql");
    let own = read(&format!("components/{service}/migrations/0001_init.sql"));
    format!("{common}{own}INSERT INTO migrations VALUES (0, 0), (1, 0);")
}

/// Puts a service's database back to its first version, with all that is in it.
fn downgrade(databases: &Path, service: &str) {
    let path = databases.join(format!("{service}.db"));
    let newer = databases.join(format!("{service}.newer"));
    let copy = format!("VACUUM INTO '{}'", newer.display());
    surgery::open(databases, service)
        .execute(&copy, [])
        .expect("copied");
    for file in ["db", "db-wal", "db-shm"] {
        let _ = std::fs::remove_file(path.with_extension(file));
    }

    let older = Connection::open(&path).expect("made");
    let name = newer.display();
    older
        .execute_batch(&format!(
            "PRAGMA foreign_keys = OFF; {} ATTACH '{name}' AS newer;",
            first_schema(service)
        ))
        .expect("the first schema");
    let list = |sql: &str| -> Vec<String> {
        let mut statement = older.prepare(sql).expect(sql);
        let rows = statement.query_map([], |row| row.get(0)).expect(sql);
        rows.map(|row| row.expect(sql)).collect()
    };
    for table in list("SELECT name FROM main.sqlite_master WHERE type = 'table'") {
        if ["migrations", "drain_lease", "sqlite_sequence"].contains(&table.as_str()) {
            continue;
        }
        let columns = list(&format!("SELECT name FROM pragma_table_info('{table}')")).join(", ");
        older
            .execute_batch(&format!(
                "INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}"
            ))
            .unwrap_or_else(|error| panic!("{table}: {error}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sagas_under_way_go_on_after_their_databases_are_brought_up_to_date() {
    let mut app = App::start().await;
    let tea = app.manager().await.sell("Tea", 100, 10).await;
    let ann = app.customer_with(PLENTY).await;
    let (never, often) = (ann.draft(&tea, 1).await, ann.draft(&tea, 2).await);
    let undone = ann.order(&tea, 3).await;
    ann.wait_for(&undone, "paid").await;
    app.quiet().await;
    app.restart_after(|databases| {
        for service in [
            "orders",
            "stock",
            "billing",
            "notifications",
            "users",
            "auth",
        ] {
            downgrade(databases, service);
        }
        let orders = surgery::open(databases, "orders");
        surgery::confirm(&orders, &never, (&tea, 1), (0, 0));
        surgery::confirm(&orders, &often, (&tea, 2), (5, 0));
        surgery::refund(&orders, &undone, (1, 0));
    })
    .await;
    ann.wait_for(&never, "paid").await;
    ann.wait_for(&often, "paid").await;
    let canceled = ann.wait_for(&undone, "canceled").await;
    assert_eq!(canceled["reason"], "canceled_by_customer");
    assert_eq!(ann.balance().await, PLENTY - 300);
    let version = |service: &str| {
        let sql = format!("SELECT max(version) FROM {service}.migrations");
        app.books().number(&sql)
    };
    assert_eq!((version("orders"), version("stock")), (7, 5));
    // From now on every change has an actor; older changes have none.
    let events = ann.get(&format!("/orders/{undone}/events")).await;
    let events = events.expect(200).data();
    assert_eq!(events[0].get("actor"), None, "{events:?}");
    let last = events.last().expect("a history");
    assert_eq!(last["actor"], json!({"kind": "system"}), "{events:?}");
    let statement = ann.get("/billing/transactions").await.expect(200).data();
    let deposit = statement.last().expect("a deposit");
    assert_eq!(deposit.get("actor"), None, "{deposit}");
    assert!(statement[0]["actor"].is_object(), "{statement:?}");
    // And nobody has lost what they can log in with.
    ann.clone().log_in_again().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_an_earlier_version_closed_with_money_in_it_is_paid_out() {
    let mut app = App::start().await;
    let (ann, bob) = (
        app.customer_with(PLENTY).await,
        app.customer_with(500).await,
    );
    app.quiet().await;
    app.restart_after(|databases| {
        downgrade(databases, "billing");
        let billing = surgery::open(databases, "billing");
        let close = "UPDATE accounts SET closed_at = 1 WHERE user_id = ?1";
        assert_eq!(billing.execute(close, [&ann.id]).expect("closed"), 1);
    })
    .await;
    assert_eq!(bob.balance().await, 500);
    let of_ann = format!(
        "SELECT kind, credit, amount, balance FROM billing.transactions WHERE user_id = '{}'
         ORDER BY rowid DESC LIMIT 1",
        ann.id
    );
    let paid_out = format!("payout, external, {PLENTY}, 0");
    assert_eq!(app.books().rows(&of_ann), [paid_out]);
    app.finish().await;
}

/// What an operator sees of a saga.
async fn listed(admin: &Actor, order: &str) -> serde_json::Value {
    let sagas = admin.get("/sagas?stuck=true").await.expect(200).data();
    let found = sagas.into_iter().find(|saga| saga["order_id"] == *order);
    found.expect("the saga is listed as needing a person")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_in_a_state_of_a_newer_version_stops_nobody() {
    let mut app = App::start().await;
    let tea = app.manager().await.sell("Tea", 100, 10).await;
    let ann = app.customer_with(PLENTY).await;
    let (ahead, behind) = (ann.order(&tea, 1).await, ann.draft(&tea, 2).await);
    ann.wait_for(&ahead, "paid").await;
    app.quiet().await;
    // The newer version had a step between: packing, asked of stock and overdue.
    app.restart_after(|databases| {
        let orders = surgery::open(databases, "orders");
        let asks = surgery::Question {
            kind: "stock.commit",
            channel: "stock_changes",
            data: json!({"order_id": ahead}),
            attempts: 1,
            next_attempt_at: 0,
        };
        surgery::move_order(&orders, &ahead, "handed_over", "packing", asks);
        surgery::confirm(&orders, &behind, (&tea, 2), (9, surgery::now_ms() + 4_000));
        let overdue = "UPDATE orders SET deadline_at = CASE state WHEN 'packing' THEN 1 ELSE 2 END
            WHERE state IN ('packing', 'reserving')";
        orders.execute(overdue, []).expect("overdue");
    })
    .await;

    // The order behind it in the line of the overdue is turned round.
    let canceled = ann.wait_for(&behind, "canceled").await;
    assert_eq!(canceled["reason"], "timeout");
    let other = ann.order(&tea, 3).await;
    ann.wait_for(&other, "paid").await;

    // It can be seen, alone and among others, and moved by nobody.
    let seen = ann.read_order(&ahead).await;
    assert_eq!(
        (&seen["status"], &seen["saga"]),
        (&json!("pending"), &json!("packing"))
    );
    assert_eq!(ann.get("/orders").await.expect(200).data().len(), 3);
    let count = async |status: &str| {
        let path = format!("/orders?status={status}");
        ann.get(&path).await.expect(200).data().len()
    };
    assert_eq!((count("pending").await, count("paid").await), (1, 1));
    ann.execute(&ahead, "cancel")
        .await
        .refused(409, "wrong-state");
    let admin = app.admin().await;
    assert_eq!(listed(&admin, &ahead).await["state"], "packing");
    let detail = admin
        .get(&format!("/sagas/{ahead}"))
        .await
        .expect(200)
        .json();
    assert_eq!(detail["undo"], json!({"possible": false, "steps": []}));

    // Stock has answered, but nobody here understands it: it is asked again when somebody does.
    eventually("the question is asked again", async || {
        let asked = "SELECT attempts FROM orders.outbox WHERE channel = 'stock_changes'";
        (app.books().number(asked) >= 2).then_some(())
    })
    .await;
    app.restart_after(|databases| {
        let orders = surgery::open(databases, "orders");
        let known = "UPDATE orders SET state = 'committing', deadline_at = NULL
                WHERE state = 'packing';
            UPDATE order_events SET to_state = 'committing' WHERE to_state = 'packing'";
        orders.execute_batch(known).expect("known again");
    })
    .await;
    ann.wait_for(&ahead, "completed").await;
    app.finish().await;
}
