//! Changes to the databases of a shop that stands still: what a crash, an older version or a wrong clock
//! would have left there; and a hold on those of one that runs.

use rusqlite::{Connection, params};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A day.
pub const DAY_MS: i64 = 86_400_000;

/// Milliseconds since the Unix epoch, as the databases count.
pub fn now_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("past 1970");
    i64::try_from(now.as_millis()).expect("before the end of time")
}

/// The database of a service, for writing.
pub fn open(databases: &Path, service: &str) -> Connection {
    let path = databases.join(format!("{service}.db"));
    Connection::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Takes the right to write in the database of a service that runs, until what is given is dropped.
///
/// # Panics
/// When nobody lets go of it for ten seconds.
pub fn lock(databases: &Path, service: &str) -> Connection {
    let connection = open(databases, service);
    let taken = connection
        .busy_timeout(Duration::from_secs(10))
        .and_then(|()| connection.execute_batch("BEGIN IMMEDIATE"));
    taken.unwrap_or_else(|error| panic!("{service}: {error}"));
    connection
}

/// A row of the outbox of orders, sent so often and due then.
pub struct Question<'a> {
    pub kind: &'a str,
    pub channel: &'a str,
    pub data: serde_json::Value,
    pub attempts: i64,
    pub next_attempt_at: i64,
}

/// Moves an order and asks what belongs to it, as orders does in one transaction.
pub fn move_order(orders: &Connection, order: &str, event: &str, to: &str, asks: Question<'_>) {
    let at = now_ms();
    let moved = orders.execute(
        "INSERT INTO order_events (order_id, event, from_state, to_state, reason, at)
         SELECT id, ?2, state, ?3, CASE ?3 WHEN 'refunding' THEN 'canceled_by_customer' END, ?4
         FROM orders WHERE id = ?1",
        params![order, event, to, at],
    );
    assert_eq!(moved.expect("a row of the history"), 1);
    let sql = "UPDATE orders SET state = ?2,
         reason = CASE ?2 WHEN 'refunding' THEN 'canceled_by_customer' END WHERE id = ?1";
    orders.execute(sql, params![order, to]).expect("moved");
    let id = format!("01900000-0000-7000-9000-{}", &order[24..]);
    let asked = json!({
        "specversion": "1.0", "id": id, "source": "/orders", "type": asks.kind, "subject": order,
        "time": "2026-01-01T00:00:00Z", "dataschema": "wasmart:saga/messages@1.0.0",
        "data": asks.data,
    });
    let sql = "INSERT INTO outbox
         (id, channel, subject, event, created_at, attempts, next_attempt_at)
         VALUES (?, ?, ?, ?, ?, ?, ?)";
    let row = params![
        id,
        asks.channel,
        order,
        asked.to_string(),
        at,
        asks.attempts,
        asks.next_attempt_at
    ];
    orders.execute(sql, row).expect("a row of the outbox");
}

/// Confirms a draft of one item: it waits for stock, which was asked so often and will be then. Its customer
/// has not been told yet.
pub fn confirm(
    orders: &Connection,
    order: &str,
    (item, quantity): (&str, i64),
    (attempts, next_attempt_at): (i64, i64),
) {
    let line = json!({"item_id": item, "quantity": quantity});
    let asks = Question {
        kind: "stock.reserve",
        channel: "stock_changes",
        data: json!({"order_id": order, "lines": [line]}),
        attempts,
        next_attempt_at,
    };
    move_order(orders, order, "confirmed", "reserving", asks);
    let id = format!("01900000-0000-7000-a000-{}", &order[24..]);
    let notice = "INSERT INTO outbox (id, channel, subject, event, created_at, next_attempt_at)
         SELECT ?2, 'notifications', id, json_object('specversion', '1.0', 'id', ?2,
             'source', '/orders', 'type', 'order.created', 'subject', id,
             'time', '2026-01-01T00:00:00Z', 'dataschema', 'wasmart:saga/messages@1.0.0',
             'data', json_object('user_id', user_id, 'order_id', id, 'number', number,
                 'total', NULL, 'currency', currency, 'reason', NULL)), 0, 0
         FROM orders WHERE id = ?1";
    let told = orders.execute(notice, params![order, id]);
    assert_eq!(told.expect("a row of the outbox"), 1);
}

/// Begins to undo an order that was paid.
pub fn refund(orders: &Connection, order: &str, (attempts, next_attempt_at): (i64, i64)) {
    let asks = Question {
        kind: "payment.refund",
        channel: "payments",
        data: json!({"order_id": order}),
        attempts,
        next_attempt_at,
    };
    move_order(orders, order, "cancel_requested", "refunding", asks);
}
