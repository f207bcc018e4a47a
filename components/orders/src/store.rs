//! The SQL of orders: rows in and out, no decisions.

use wasmart_domain::money::CURRENCY;
use wasmart_domain::order::{Line, Status};
use wasmart_domain::saga::{Reason, STATES, Saga, State};
use wasmart_service::clock::now_ms;
use wasmart_service::db::{Db, DbError, Row, Tx};

/// An order without its lines.
pub struct Order {
    pub id: String,
    pub number: i64,
    pub user_id: String,
    /// The saga's state and reason as they are stored; [`Order::saga`] is what this version makes of them.
    pub state: String,
    pub reason: Option<String>,
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
/// How many these are.
const ORDER_COLUMNS: usize = 13;

impl Order {
    fn read(row: &Row) -> Result<Order, DbError> {
        Ok(Order {
            id: row.text(0)?,
            number: row.int(1)?,
            user_id: row.text(2)?,
            state: row.text(3)?,
            reason: row.opt_text(4)?,
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

    /// Where the saga stands. None in a state that this version does not know: a newer one wrote it,
    /// before a roll-back. Such an order can be looked at, but nothing moves it before that version is back.
    pub fn saga(&self) -> Option<Saga> {
        Some(Saga {
            state: State::parse(&self.state)?,
            reason: self.reason.as_deref().and_then(Reason::parse),
        })
    }

    /// The saga has moved on; the first reason stays.
    pub fn moved_to(&mut self, saga: Saga, now: i64) {
        self.updated_at = now;
        self.state = saga.state.as_str().to_owned();
        let reason = saga.reason.map(|reason| reason.as_str().to_owned());
        self.reason = self.reason.take().or(reason);
    }

    /// What the customer sees; of a state that is not known, that it is under way.
    pub fn status(&self) -> Status {
        self.saga()
            .map_or(Status::Pending, |saga| saga.state.status())
    }
}

impl StoredLine {
    /// From the columns that begin at `at`.
    fn read(row: &Row, at: usize) -> Result<StoredLine, DbError> {
        Ok(StoredLine {
            order_id: row.text(at)?,
            item_id: row.text(at + 1)?,
            quantity: row.count(at + 2)?,
            name: row.opt_text(at + 3)?,
            unit_price: row.opt_int(at + 4)?,
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
    insert_lines(tx, order_id, lines).await?;
    tx.execute(
        "UPDATE orders SET updated_at = ? WHERE id = ?",
        &[&now_ms(), &order_id],
    )
    .await
}

pub async fn set_address(tx: &Tx, order_id: &str, address: Option<&str>) -> Result<(), DbError> {
    tx.execute(
        "UPDATE orders SET address = ?, updated_at = ? WHERE id = ?",
        &[&address, &now_ms(), &order_id],
    )
    .await
}

/// Removes the addresses and the traces of the requests from a user's orders.
pub async fn erase_personal(tx: &Tx, user_id: &str) -> Result<(), DbError> {
    tx.execute(
        "UPDATE orders SET address = NULL, traceparent = NULL
         WHERE user_id = ? AND (address IS NOT NULL OR traceparent IS NOT NULL)",
        &[&user_id],
    )
    .await
}

/// A user's orders that have not ended and are not past the point of return.
pub async fn cancelable(tx: &Tx, user_id: &str) -> Result<Vec<String>, DbError> {
    let rows = tx
        .query(
            "SELECT id FROM orders WHERE user_id = ?
                 AND state NOT IN ('committing', 'completed', 'canceled') ORDER BY id",
            &[&user_id],
        )
        .await?;
    rows.iter().map(|row| row.text(0)).collect()
}

pub async fn find(db: &Db, id: &str) -> Result<Option<Order>, DbError> {
    let row = db
        .first(&format!("SELECT {ORDER} FROM orders WHERE id = ?"), &[&id])
        .await?;
    row.as_ref().map(Order::read).transpose()
}

/// An order and its lines, by one statement: this is what shops are asked most.
pub async fn find_whole(db: &Db, id: &str) -> Result<Option<(Order, Vec<StoredLine>)>, DbError> {
    let sql = format!(
        "SELECT {ORDER}, order_id, item_id, quantity, name, unit_price
         FROM orders LEFT JOIN order_lines ON order_id = id WHERE id = ? ORDER BY position"
    );
    let rows = db.query(&sql, &[&id]).await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let order = Order::read(first)?;
    // An order without lines has one row, with nothing in the columns of a line.
    let lines = rows
        .iter()
        .filter(|row| row.opt_text(ORDER_COLUMNS).is_ok_and(|id| id.is_some()))
        .map(|row| StoredLine::read(row, ORDER_COLUMNS))
        .collect::<Result<_, _>>()?;
    Ok(Some((order, lines)))
}

/// A user's orders with a number below `before`, newest first; only those of this status, if one is given.
pub async fn list(
    db: &Db,
    user_id: &str,
    status: Option<Status>,
    before: i64,
    limit: i64,
) -> Result<Vec<Order>, DbError> {
    let of_user = |condition: &str| {
        format!(
            "SELECT * FROM (SELECT {ORDER} FROM orders WHERE user_id = ?1 AND number < ?2 {condition}
                 ORDER BY number DESC LIMIT ?3)"
        )
    };
    let sql = match status {
        None => of_user(""),
        // By exclusion, so that an unknown state counts as [`Order::status`] says. Word for word
        // the condition of the index.
        Some(Status::Pending) => {
            of_user("AND state NOT IN ('draft', 'paid', 'committing', 'completed', 'canceled')")
        }
        // One look into the index for each state.
        Some(status) => STATES
            .into_iter()
            .filter(|state| state.status() == status)
            .map(|state| of_user(&format!("AND state = '{}'", state.as_str())))
            .collect::<Vec<_>>()
            .join(" UNION ALL "),
    };
    let sql = format!("{sql} ORDER BY number DESC LIMIT ?3");
    let rows = db.query(&sql, &[&user_id, &before, &limit]).await?;
    rows.iter().map(Order::read).collect()
}

/// The names of states, as a JSON array.
fn names(states: impl IntoIterator<Item = State>) -> String {
    let names: Vec<&str> = states.into_iter().map(State::as_str).collect();
    serde_json::to_string(&names).unwrap_or_default()
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
    rows.iter().map(|row| StoredLine::read(row, 0)).collect()
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

/// Stores where the saga stands now. The first reason stays, also one that this version does not know.
pub async fn move_to(
    tx: &Tx,
    order: &Order,
    to: Saga,
    deadlines: Deadlines,
    now: i64,
) -> Result<(), DbError> {
    tx.execute(
        "UPDATE orders SET state = ?, reason = coalesce(reason, ?), deadline_at = ?, give_up_at = ?, updated_at = ?
         WHERE id = ?",
        &[
            &to.state.as_str(),
            &to.reason.map(Reason::as_str),
            &deadlines.step_at,
            &deadlines.give_up_at,
            &now,
            &order.id,
        ],
    )
    .await
}

/// Orders whose answer is overdue, the longest first. Only those in a state that has a deadline here:
/// others can't be turned round, and would be in the way of those behind them.
pub async fn overdue(db: &Db, now: i64, limit: i64) -> Result<Vec<String>, DbError> {
    let states = names(STATES.into_iter().filter(|state| state.has_deadline()));
    let rows = db
        .query(
            "SELECT id FROM orders WHERE deadline_at <= ?
                 AND state IN (SELECT value FROM json_each(?)) ORDER BY deadline_at LIMIT ?",
            &[&now, &states, &limit],
        )
        .await?;
    rows.iter().map(|row| row.text(0)).collect()
}

/// Whether an order's deadline is later than this.
pub async fn any_due_after(db: &Db, latest: i64) -> Result<bool, DbError> {
    let row = db
        .first(
            "SELECT 1 FROM orders WHERE deadline_at > ? LIMIT 1",
            &[&latest],
        )
        .await?;
    Ok(row.is_some())
}

/// Sets deadlines that are later than this anew.
pub async fn redate(tx: &Tx, latest: i64, to: &Deadlines) -> Result<(), DbError> {
    tx.execute(
        "UPDATE orders SET deadline_at = ?, give_up_at = ? WHERE deadline_at > ?",
        &[&to.step_at, &to.give_up_at, &latest],
    )
    .await
}

/// Sagas under way that were last changed before `changed_before`, the longest unchanged first; also
/// those in a state that is not known.
pub async fn under_way(
    db: &Db,
    changed_before: i64,
    (after, after_id): &(i64, String),
    limit: i64,
) -> Result<Vec<Order>, DbError> {
    let rows = db
        .query(
            // Word for word the condition of the index.
            &format!(
                "SELECT {ORDER} FROM orders
                 WHERE state NOT IN ('draft', 'paid', 'completed', 'canceled')
                     AND updated_at <= ? AND (updated_at, id) > (?, ?)
                 ORDER BY updated_at, id LIMIT ?"
            ),
            &[&changed_before, after, after_id, &limit],
        )
        .await?;
    rows.iter().map(Order::read).collect()
}
