//! The rows of an order, written straight into database files: what SQLite alone would take for them,
//! and how a shop comes to have had a million orders.
//!
//! The schemas are the components' own; the rows are those that a shop leaves behind, and `wasmart
//! verify` must find nothing wrong with them.

use rusqlite::{Connection, params};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, SystemTime};
use uuid::Uuid;
use wasmart_contracts::envelope::{DATA_SCHEMA, Event, SPEC_VERSION};

/// What one order costs.
const PRICE: i64 = 100;
/// What a wallet begins with.
const MONEY: i64 = 1_000_000_000;
/// Pieces of an item to begin with.
const PIECES: i64 = 10_000_000;

const COMMON: &str = include_str!("../../service/src/db/common.sql");
const ORDERS: &str = include_str!("../../../components/orders/migrations/0001_init.sql");
const STOCK: &str = include_str!("../../../components/stock/migrations/0001_init.sql");
const BILLING: &str = include_str!("../../../components/billing/migrations/0001_init.sql");
const NOTIFICATIONS: &str =
    include_str!("../../../components/notifications/migrations/0001_init.sql");

/// An order that will be paid.
pub struct Order {
    id: String,
    number: i64,
    user: String,
    item: String,
    /// The wallet's balance after the charge.
    balance: i64,
    /// Ids of the events: reserve, created, charge, paid.
    events: [String; 4],
    at: i64,
}

/// Makes orders: the customers take turns.
pub struct Plan {
    users: Vec<String>,
    items: Vec<String>,
    made: i64,
}

impl Plan {
    pub fn new(users: usize, items: usize) -> Plan {
        let ids = |count| (0..count).map(|_| new_id()).collect();
        Plan {
            users: ids(users),
            items: ids(items),
            made: 0,
        }
    }

    pub fn next(&mut self) -> Order {
        let number = self.made;
        self.made += 1;
        let turn = usize::try_from(number).unwrap_or_default();
        let count = i64::try_from(self.users.len()).unwrap_or(1);
        Order {
            id: new_id(),
            number: 1001 + number,
            user: self.users[turn % self.users.len()].clone(),
            item: self.items[turn % self.items.len()].clone(),
            balance: MONEY - PRICE * (number / count + 1),
            events: std::array::from_fn(|_| new_id()),
            at: now_ms(),
        }
    }
}

/// Makes `orders.db`, with the schema that the component would make.
pub fn orders(folder: &Path, synchronous: &str) -> rusqlite::Result<Connection> {
    create(&folder.join("orders.db"), synchronous, ORDERS)
}

/// Makes `stock.db` with the plan's items.
pub fn stock(folder: &Path, synchronous: &str, plan: &Plan) -> rusqlite::Result<Connection> {
    let mut connection = create(&folder.join("stock.db"), synchronous, STOCK)?;
    let tx = connection.transaction()?;
    for (number, item) in plan.items.iter().enumerate() {
        tx.execute(
            "INSERT INTO items (id, name, price, on_hand, created_at, updated_at)
             VALUES (?, ?, ?, ?, ?, ?)",
            params![
                item,
                format!("Old {number}"),
                PRICE,
                PIECES,
                now_ms(),
                now_ms()
            ],
        )?;
        tx.execute(
            "INSERT INTO movements (id, item_id, kind, quantity, at) VALUES (?, ?, 'adjust', ?, ?)",
            params![new_id(), item, PIECES, now_ms()],
        )?;
    }
    tx.commit()?;
    Ok(connection)
}

/// Makes `billing.db` with the plan's wallets, filled.
pub fn billing(folder: &Path, synchronous: &str, plan: &Plan) -> rusqlite::Result<Connection> {
    let mut connection = create(&folder.join("billing.db"), synchronous, BILLING)?;
    let tx = connection.transaction()?;
    let open = "INSERT INTO accounts (code, user_id, currency, balance, created_at)
                VALUES (?, ?, 'EUR', ?, ?)";
    let put_in = MONEY * i64::try_from(plan.users.len()).unwrap_or_default();
    tx.execute(open, params!["external", None::<String>, -put_in, now_ms()])?;
    tx.execute(open, params!["sales", None::<String>, 0, now_ms()])?;
    for user in &plan.users {
        let wallet = format!("wallet:{user}");
        tx.execute(open, params![wallet, user, MONEY, now_ms()])?;
        tx.execute(
            "INSERT INTO transactions (id, kind, debit, credit, amount, user_id, balance, created_at)
             VALUES (?, 'deposit', 'external', ?, ?, ?, ?, ?)",
            params![new_id(), wallet, MONEY, user, MONEY, now_ms()],
        )?;
    }
    tx.commit()?;
    Ok(connection)
}

/// Makes `notifications.db`.
pub fn notifications(folder: &Path, synchronous: &str) -> rusqlite::Result<Connection> {
    create(&folder.join("notifications.db"), synchronous, NOTIFICATIONS)
}

fn create(path: &Path, synchronous: &str, schema: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.execute_batch(COMMON)?;
    connection.execute_batch(schema)?;
    for version in [0, 1] {
        connection.execute(
            "INSERT INTO migrations (version, applied_at) VALUES (?, ?)",
            params![version, now_ms()],
        )?;
    }
    Ok(connection)
}

/// What a step of an order writes into its database.
pub type Step = fn(&Connection, &Order) -> rusqlite::Result<()>;

/// `POST /orders`: the order, its line, its history, two events and the answer under its key.
pub fn accept(db: &Connection, order: &Order) -> rusqlite::Result<()> {
    run(
        db,
        "INSERT INTO orders (id, number, user_id, state, currency, created_at, updated_at)
         VALUES (?, ?, ?, 'draft', 'EUR', ?, ?)",
        params![order.id, order.number, order.user, order.at, order.at],
    )?;
    run(
        db,
        "INSERT INTO order_lines (order_id, position, item_id, quantity) VALUES (?, 0, ?, 1)",
        params![order.id, order.item],
    )?;
    advance(db, order, "confirmed", "draft", "reserving")?;
    send(db, order, 0, "stock_changes", "stock.reserve")?;
    send(db, order, 1, "notifications", "order.created")?;
    run(
        db,
        "INSERT INTO idempotency (caller, key, fingerprint, status, location, body, created_at)
         VALUES (?, ?, ?, 201, ?, ?, ?)",
        params![
            order.user,
            order.events[0],
            format!(r#"POST /orders {{"lines":[{{"item_id":"{}","quantity":1}}]}}"#, order.item),
            format!("/api/v1/orders/{}", order.id),
            json!({"id": order.id, "number": order.number, "status": "pending", "currency": "EUR",
                "lines": [{"item_id": order.item, "quantity": 1}], "created_at": "2026-01-01T00:00:00.000Z"})
            .to_string(),
            order.at
        ],
    )
}

/// The prices are known: they are kept, the charge is asked for.
pub fn price(db: &Connection, order: &Order) -> rusqlite::Result<()> {
    answered(db, order, 0)?;
    run(
        db,
        "UPDATE order_lines SET name = 'Old thing', unit_price = ? WHERE order_id = ?",
        params![PRICE, order.id],
    )?;
    run(
        db,
        "UPDATE orders SET total = ? WHERE id = ?",
        params![PRICE, order.id],
    )?;
    advance(db, order, "stock.reserved", "reserving", "charging")?;
    send(db, order, 2, "payments", "payment.charge")
}

/// Paid.
pub fn settle(db: &Connection, order: &Order) -> rusqlite::Result<()> {
    answered(db, order, 2)?;
    advance(db, order, "payment.charged", "charging", "paid")?;
    send(db, order, 3, "notifications", "order.paid")
}

/// The customer was told; not one of the five transactions that an order waits for.
pub fn acknowledge(db: &Connection, order: &Order) -> rusqlite::Result<()> {
    answered(db, order, 1)?;
    answered(db, order, 3)
}

/// Stock's side: the barrier, the counts, the reservation, the movement.
pub fn reserve(db: &Connection, order: &Order) -> rusqlite::Result<()> {
    barrier(db, order, "reserve")?;
    run(
        db,
        "UPDATE items SET on_hand = on_hand - 1, reserved = reserved + 1, updated_at = ? WHERE id = ?",
        params![order.at, order.item],
    )?;
    run(
        db,
        "INSERT INTO reservations (order_id, item_id, quantity, state, created_at, updated_at)
         VALUES (?, ?, 1, 'held', ?, ?)",
        params![order.id, order.item, order.at, order.at],
    )?;
    run(
        db,
        "INSERT INTO movements (id, item_id, kind, quantity, order_id, at)
         VALUES (?, ?, 'reserve', 1, ?, ?)",
        params![new_id(), order.item, order.id, order.at],
    )
}

/// Billing's side: the barrier, both accounts, the transaction.
pub fn charge(db: &Connection, order: &Order) -> rusqlite::Result<()> {
    barrier(db, order, "charge")?;
    let wallet = format!("wallet:{}", order.user);
    let book = "UPDATE accounts SET balance = balance + ? WHERE code = ?";
    run(db, book, params![-PRICE, wallet])?;
    run(db, book, params![PRICE, "sales"])?;
    run(
        db,
        "INSERT INTO transactions
             (id, kind, debit, credit, amount, user_id, order_id, balance, created_at)
         VALUES (?, 'charge', ?, 'sales', ?, ?, ?, ?, ?)",
        params![
            new_id(),
            wallet,
            PRICE,
            order.user,
            order.id,
            order.balance,
            order.at
        ],
    )
}

/// What the customer was told.
pub fn notify(db: &Connection, order: &Order) -> rusqlite::Result<()> {
    for (event, kind) in [(1, "order.created"), (3, "order.paid")] {
        run(
            db,
            "INSERT INTO notifications (id, event_id, user_id, kind, text, order_id, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                new_id(),
                order.events[event],
                order.user,
                kind,
                format!(
                    "Your order {} is in. We are setting its items aside.",
                    order.number
                ),
                order.id,
                order.at
            ],
        )?;
    }
    Ok(())
}

fn advance(
    db: &Connection,
    order: &Order,
    event: &str,
    from: &str,
    to: &str,
) -> rusqlite::Result<()> {
    let deadline = (to != "paid").then_some(order.at + 30_000);
    run(
        db,
        "UPDATE orders SET state = ?, deadline_at = ?, give_up_at = ?, updated_at = ? WHERE id = ?",
        params![to, deadline, deadline, order.at, order.id],
    )?;
    run(
        db,
        "INSERT INTO order_events (order_id, event, from_state, to_state, at) VALUES (?, ?, ?, ?, ?)",
        params![order.id, event, from, to, order.at],
    )
}

fn send(
    db: &Connection,
    order: &Order,
    event: usize,
    channel: &str,
    kind: &str,
) -> rusqlite::Result<()> {
    let id = &order.events[event];
    let json = one_event(id, "/orders", kind, &order.id, &order.user, order.number);
    run(
        db,
        "INSERT INTO outbox (id, channel, subject, event, created_at, next_attempt_at)
         VALUES (?, ?, ?, ?, ?, ?)",
        params![id, channel, order.id, json, order.at, order.at],
    )
}

fn answered(db: &Connection, order: &Order, event: usize) -> rusqlite::Result<()> {
    run(
        db,
        "DELETE FROM outbox WHERE id = ?",
        params![order.events[event]],
    )
}

fn barrier(db: &Connection, order: &Order, step: &str) -> rusqlite::Result<()> {
    let seen = "SELECT answer FROM barrier WHERE subject = ? AND step = ? AND operation = 'do'";
    db.prepare_cached(seen)?.exists(params![order.id, step])?;
    run(
        db,
        "INSERT INTO barrier (subject, step, operation, answer, created_at)
         VALUES (?, ?, 'do', ?, ?)",
        params![
            order.id,
            step,
            json!({"Charged": {"order_id": order.id, "amount": PRICE}}).to_string(),
            order.at
        ],
    )
}

fn run(db: &Connection, sql: &str, values: impl rusqlite::Params) -> rusqlite::Result<()> {
    db.prepare_cached(sql)?.execute(values).map(drop)
}

/// An event about an order, as JSON.
pub fn one_event(
    id: &str,
    source: &str,
    kind: &str,
    order: &str,
    user: &str,
    number: i64,
) -> String {
    let event = Event {
        specversion: SPEC_VERSION.to_owned(),
        id: id.to_owned(),
        source: source.to_owned(),
        kind: kind.to_owned(),
        subject: Some(order.to_owned()),
        time: "2026-01-01T00:00:00.000Z".to_owned(),
        dataschema: DATA_SCHEMA.to_owned(),
        traceparent: None,
        causationid: None,
        receiver: None,
        data: json!({"user_id": user, "order_id": order, "number": number, "total": PRICE,
            "currency": "EUR", "reason": null}),
    };
    serde_json::to_string(&event).unwrap_or_default()
}

pub fn new_id() -> String {
    Uuid::now_v7().to_string()
}

fn now_ms() -> i64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
