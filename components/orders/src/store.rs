//! The SQL of orders: rows in and out, no decisions.

use wasmart_domain::money::CURRENCY;
use wasmart_domain::order::Line;
use wasmart_domain::saga::{Reason, STATES, Saga, State};
use wasmart_service::clock::now_ms;
use wasmart_service::db::{Db, DbError, Row, Tx};

/// An order without its lines.
pub struct Order {
    pub id: String,
    pub number: i64,
    pub user_id: String,
    pub saga: Saga,
    pub total: Option<i64>,
    pub currency: String,
    pub address: Option<String>,
    pub traceparent: Option<String>,
    pub created_at: i64,
    pub updated_at: i64,
    pub deadline_at: Option<i64>,
    pub give_up_at: Option<i64>,
}

/// A line; name and price once stock has told them.
pub struct StoredLine {
    pub order_id: String,
    pub item_id: String,
    pub quantity: u32,
    pub name: Option<String>,
    pub unit_price: Option<i64>,
}

/// One row of the history.
pub struct HistoryRow {
    pub event: String,
    pub from_state: String,
    pub to_state: String,
    pub reason: Option<String>,
    pub at: i64,
}

/// What a new order begins with.
pub struct NewOrder<'a> {
    pub id: &'a str,
    pub user_id: &'a str,
    pub address: Option<&'a str>,
    pub traceparent: Option<&'a str>,
    pub lines: &'a [Line],
}

const ORDER: &str = "id, number, user_id, state, reason, total, currency, address, traceparent,
    created_at, updated_at, deadline_at, give_up_at";

impl Order {
    fn read(row: &Row) -> Result<Order, DbError> {
        let state = row.text(3)?;
        let reason = row.opt_text(4)?;
        Ok(Order {
            id: row.text(0)?,
            number: row.int(1)?,
            user_id: row.text(2)?,
            saga: Saga {
                state: State::parse(&state)
                    .ok_or_else(|| DbError::Failed(format!("unknown state {state}")))?,
                reason: reason.as_deref().and_then(Reason::parse),
            },
            total: row.opt_int(5)?,
            currency: row.text(6)?,
            address: row.opt_text(7)?,
            traceparent: row.opt_text(8)?,
            created_at: row.int(9)?,
            updated_at: row.int(10)?,
            deadline_at: row.opt_int(11)?,
            give_up_at: row.opt_int(12)?,
        })
    }
}

/// Makes a draft with the next number of the shop.
pub async fn insert(tx: &Tx, new: &NewOrder<'_>) -> Result<Order, DbError> {
    let now = now_ms();
    let row = tx
        .first(
            &format!(
                "INSERT INTO orders (id, number, user_id, state, currency, address, traceparent,
                     created_at, updated_at)
                 VALUES (?1, (SELECT coalesce(max(number), 1000) + 1 FROM orders), ?2, ?3, ?4, ?5,
                     ?6, ?7, ?7)
                 RETURNING {ORDER}"
            ),
            &[
                &new.id,
                &new.user_id,
                &State::Draft.as_str(),
                &CURRENCY,
                &new.address,
                &new.traceparent,
                &now,
            ],
        )
        .await?;
    insert_lines(tx, new.id, new.lines).await?;
    row.as_ref().map_or_else(
        || Err(DbError::Failed("no row inserted".into())),
        Order::read,
    )
}

async fn insert_lines(tx: &Tx, order_id: &str, lines: &[Line]) -> Result<(), DbError> {
    let rows: Vec<(&str, u32)> = lines
        .iter()
        .map(|line| (line.item_id.as_str(), line.quantity))
        .collect();
    let rows = serde_json::to_string(&rows).unwrap_or_default();
    tx.execute(
        "INSERT INTO order_lines (order_id, position, item_id, quantity)
         SELECT ?, key, json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)",
        &[&order_id, &rows],
    )
    .await
}

/// Puts other lines in place of a draft's.
pub async fn replace_lines(tx: &Tx, order_id: &str, lines: &[Line]) -> Result<(), DbError> {
    tx.execute("DELETE FROM order_lines WHERE order_id = ?", &[&order_id])
        .await?;
    insert_lines(tx, order_id, lines).await
}

pub async fn set_address(tx: &Tx, order_id: &str, address: &str) -> Result<(), DbError> {
    tx.execute(
        "UPDATE orders SET address = ?, updated_at = ? WHERE id = ?",
        &[&address, &now_ms(), &order_id],
    )
    .await
}

pub async fn find(db: &Db, id: &str) -> Result<Option<Order>, DbError> {
    let row = db
        .first(&format!("SELECT {ORDER} FROM orders WHERE id = ?"), &[&id])
        .await?;
    row.as_ref().map(Order::read).transpose()
}

/// A user's orders, newest first; only those in these states.
pub async fn list(
    db: &Db,
    user_id: &str,
    states: &[State],
    before: &str,
    limit: i64,
) -> Result<Vec<Order>, DbError> {
    let all = states.len() == STATES.len();
    let states: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
    let states = serde_json::to_string(&states).unwrap_or_default();
    let rows = db
        .query(
            &format!(
                "SELECT {ORDER} FROM orders WHERE user_id = ?1 AND id < ?2
                     AND (?3 OR state IN (SELECT value FROM json_each(?4)))
                 ORDER BY id DESC LIMIT ?5"
            ),
            &[&user_id, &before, &all, &states, &limit],
        )
        .await?;
    rows.iter().map(Order::read).collect()
}

/// The lines of these orders, in order.
pub async fn lines(db: &Db, orders: &[&str]) -> Result<Vec<StoredLine>, DbError> {
    let orders = serde_json::to_string(orders).unwrap_or_default();
    let rows = db
        .query(
            "SELECT order_id, item_id, quantity, name, unit_price FROM order_lines
             WHERE order_id IN (SELECT value FROM json_each(?)) ORDER BY order_id, position",
            &[&orders],
        )
        .await?;
    let read = |row: &Row| {
        Ok(StoredLine {
            order_id: row.text(0)?,
            item_id: row.text(1)?,
            quantity: row.count(2)?,
            name: row.opt_text(3)?,
            unit_price: row.opt_int(4)?,
        })
    };
    rows.iter().map(read).collect()
}

/// Names, prices and the total, as stock told them.
pub async fn set_prices(
    tx: &Tx,
    order_id: &str,
    prices: &[(&str, &str, i64)],
    total: i64,
) -> Result<(), DbError> {
    let prices = serde_json::to_string(prices).unwrap_or_default();
    tx.execute(
        "UPDATE order_lines SET
             name = (SELECT json_extract(value, '$[1]') FROM json_each(?1)
                     WHERE json_extract(value, '$[0]') = item_id),
             unit_price = (SELECT json_extract(value, '$[2]') FROM json_each(?1)
                     WHERE json_extract(value, '$[0]') = item_id)
         WHERE order_id = ?2",
        &[&prices, &order_id],
    )
    .await?;
    tx.execute(
        "UPDATE orders SET total = ? WHERE id = ?",
        &[&total, &order_id],
    )
    .await
}

/// When the present step, and the whole way, are overdue.
pub struct Deadlines {
    pub step_at: Option<i64>,
    pub give_up_at: Option<i64>,
}

/// Stores where the saga stands now, and the change in the history.
pub async fn move_to(
    tx: &Tx,
    order: &Order,
    event: &str,
    to: Saga,
    deadlines: Deadlines,
) -> Result<(), DbError> {
    let now = now_ms();
    let reason = to.reason.map(Reason::as_str);
    tx.execute(
        "UPDATE orders SET state = ?, reason = ?, deadline_at = ?, give_up_at = ?, updated_at = ?
         WHERE id = ?",
        &[
            &to.state.as_str(),
            &reason,
            &deadlines.step_at,
            &deadlines.give_up_at,
            &now,
            &order.id,
        ],
    )
    .await?;
    tx.execute(
        "INSERT INTO order_events (order_id, event, from_state, to_state, reason, at)
         VALUES (?, ?, ?, ?, ?, ?)",
        &[
            &order.id,
            &event,
            &order.saga.state.as_str(),
            &to.state.as_str(),
            &reason,
            &now,
        ],
    )
    .await
}

pub async fn history(db: &Db, order_id: &str) -> Result<Vec<HistoryRow>, DbError> {
    let rows = db
        .query(
            "SELECT event, from_state, to_state, reason, at FROM order_events
             WHERE order_id = ? ORDER BY id",
            &[&order_id],
        )
        .await?;
    let read = |row: &Row| {
        Ok(HistoryRow {
            event: row.text(0)?,
            from_state: row.text(1)?,
            to_state: row.text(2)?,
            reason: row.opt_text(3)?,
            at: row.int(4)?,
        })
    };
    rows.iter().map(read).collect()
}

/// Orders whose answer is overdue, the longest first.
pub async fn overdue(db: &Db, now: i64, limit: i64) -> Result<Vec<String>, DbError> {
    let rows = db
        .query(
            "SELECT id FROM orders WHERE deadline_at <= ? ORDER BY deadline_at LIMIT ?",
            &[&now, &limit],
        )
        .await?;
    rows.iter().map(|row| row.text(0)).collect()
}

/// Sagas under way that were last changed before `changed_before`, the longest unchanged first.
pub async fn under_way(db: &Db, changed_before: i64, limit: i64) -> Result<Vec<Order>, DbError> {
    let waiting: Vec<&str> = STATES
        .iter()
        .filter(|state| state.waits())
        .map(|state| state.as_str())
        .collect();
    let waiting = serde_json::to_string(&waiting).unwrap_or_default();
    let rows = db
        .query(
            &format!(
                "SELECT {ORDER} FROM orders WHERE state IN (SELECT value FROM json_each(?))
                     AND updated_at <= ? ORDER BY updated_at LIMIT ?"
            ),
            &[&waiting, &changed_before, &limit],
        )
        .await?;
    rows.iter().map(Order::read).collect()
}
