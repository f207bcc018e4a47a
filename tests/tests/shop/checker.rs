//! The checker is checked: books that are wrong must not pass.

use crate::harness::App;
use crate::harness::actor::PLENTY;
use rusqlite::Connection;
use std::fs::DirEntry;
use std::io::ErrorKind;
use std::path::Path;
use tempfile::TempDir;

/// A falsification: in which database, what, and a word of what must be said of it.
const FALSIFICATIONS: [(&str, &str, &str); 26] = [
    (
        "stock",
        "UPDATE items SET on_hand = on_hand - 1",
        "that was put in",
    ),
    (
        "stock",
        "UPDATE items SET reserved = reserved + 1, on_hand = on_hand - 1",
        "hold and have bought",
    ),
    (
        "stock",
        "DELETE FROM movements WHERE kind = 'adjust'",
        "that was put in",
    ),
    (
        "stock",
        "UPDATE reservations SET state = 'held' WHERE state = 'released'",
        "without an open order",
    ),
    (
        "stock",
        "UPDATE reservations SET order_id = 'x' WHERE state = 'held'",
        "without an open order",
    ),
    (
        "stock",
        "DELETE FROM reservations WHERE state = 'held'",
        "every line",
    ),
    (
        "stock",
        "UPDATE reservations SET quantity = quantity + 1 WHERE state = 'sold'",
        "every line",
    ),
    (
        "billing",
        "UPDATE accounts SET balance = balance + 1 WHERE code = 'sales'",
        "together hold nothing",
    ),
    (
        "billing",
        "UPDATE accounts SET balance = balance - 1 WHERE code = 'sales';
                 UPDATE accounts SET balance = balance + 1 WHERE code = 'external'",
        "brought and took",
    ),
    (
        "billing",
        "UPDATE transactions SET balance = balance + 1 WHERE kind = 'charge'",
        "held afterwards",
    ),
    (
        "billing",
        "DELETE FROM transactions WHERE kind = 'refund'",
        "total of an order paid for",
    ),
    (
        "billing",
        "INSERT INTO transactions (id, kind, debit, credit, amount, user_id, order_id, balance,
                 created_at)
         SELECT id || 'x', kind, debit, credit, amount, user_id, order_id, balance, created_at
         FROM transactions WHERE kind = 'charge'",
        "at most once",
    ),
    (
        "billing",
        "UPDATE transactions SET order_id = 'x' WHERE kind = 'charge'",
        "charged for that is none",
    ),
    (
        "orders",
        "UPDATE orders SET state = 'charging' WHERE state = 'paid'",
        "charging",
    ),
    (
        "orders",
        "UPDATE orders SET total = total + 1 WHERE state = 'paid'",
        "sum of its lines",
    ),
    ("orders", "UPDATE orders SET reason = NULL", "says why"),
    (
        "orders",
        "UPDATE orders SET state = 'committing', updated_at = 0 WHERE state = 'paid'",
        "waits for ever",
    ),
    (
        "orders",
        "DELETE FROM order_events WHERE event = 'stock.reserved'",
        "a chain",
    ),
    (
        "orders",
        "UPDATE order_events SET to_state = 'completed' WHERE to_state = 'paid'",
        "table allows",
    ),
    (
        "orders",
        "INSERT INTO outbox VALUES ('x', 'payments', NULL, 'x', 0, 0, 0)",
        "waits for an answer",
    ),
    (
        "auth",
        "INSERT INTO dead_letters VALUES ('x', 'x', 'x', 'x', 0)",
        "dead letters expected",
    ),
    (
        "notifications",
        "INSERT INTO notifications SELECT id || 'x', event_id || 'x', user_id, kind, text,
                       order_id, created_at, read_at FROM notifications",
        "told twice",
    ),
    (
        "notifications",
        "DELETE FROM notifications WHERE kind = 'order.paid'",
        "was told or",
    ),
    (
        "billing",
        "UPDATE accounts SET closed_at = 1 WHERE balance > 0 AND user_id IS NOT NULL",
        "closed wallet holds nothing",
    ),
    (
        "billing",
        "UPDATE accounts SET closed_at = NULL",
        "is closed, or about to be",
    ),
    (
        "orders",
        "UPDATE orders SET address = 'Paris'",
        "has an address",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn books_that_were_falsified_do_not_pass() {
    let app = App::start().await;
    let manager = app.manager().await;
    let tea = manager.sell("Tea", 100, 10).await;
    let ann = app.customer_with(PLENTY).await;
    let [paid, completed, canceled] = [
        ann.order(&tea, 1).await,
        ann.order(&tea, 2).await,
        ann.order(&tea, 3).await,
    ];
    for order in [&paid, &completed, &canceled] {
        ann.wait_for(order, "paid").await;
    }
    manager.execute(&completed, "complete").await.expect(200);
    ann.execute(&canceled, "cancel").await.expect(200);
    ann.wait_for(&completed, "completed").await;
    ann.wait_for(&canceled, "canceled").await;
    let gone = app.customer().await;
    let order = gone.order(&tea, 1).await;
    gone.wait_for(&order, "canceled").await;
    gone.delete("/users/me").await.expect(204);
    app.quiet().await;
    assert_eq!(app.books().faults(0), Vec::<String>::new());

    for (service, falsify, said) in FALSIFICATIONS {
        let copy = copied(&app.databases());
        let database = Connection::open(copy.path().join(format!("{service}.db"))).expect("opened");
        let falsified = database.execute_batch(&format!(
            "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; {falsify}"
        ));
        falsified.unwrap_or_else(|error| panic!("{falsify}: {error}"));
        drop(database);
        let faults = crate::harness::books::Books::open(copy.path()).faults(0);
        let found = faults.iter().any(|fault| fault.contains(said));
        assert!(found, "{falsify} went unnoticed: {faults:#?}");
    }
    app.finish().await;
}

/// A copy of the databases. Their logs come and go where each statement opens a file of its own, as on Spin: a copy
/// in which one has gone missing is begun again.
fn copied(databases: &Path) -> TempDir {
    loop {
        let copy = tempfile::tempdir().expect("a temporary folder");
        let files = std::fs::read_dir(databases).expect("the databases");
        let is_database = |file: &DirEntry| file.file_name().to_string_lossy().contains(".db");
        let mut files = files.map(|file| file.expect("a file")).filter(is_database);
        let result = files.try_for_each(|file| {
            std::fs::copy(file.path(), copy.path().join(file.file_name())).map(drop)
        });
        match result {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            result => {
                result.expect("copied");
                return copy;
            }
        }
    }
}
