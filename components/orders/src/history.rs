//! The history of an order: every change of state, in order, with who made it.

use crate::store::Order;
use wasmart_domain::saga::{Reason, Saga};
use wasmart_service::actor::Actor;
use wasmart_service::db::{Db, DbError, Row, Tx};

/// One change of state.
pub struct HistoryRow {
    pub event: String,
    pub from_state: String,
    pub to_state: String,
    pub reason: Option<String>,
    /// `None` in rows that are older than this column.
    pub actor: Option<Actor>,
    pub at: i64,
}

/// Records a change of an order. `order` is still in its former state.
pub async fn add(
    tx: &Tx,
    order: &Order,
    event: &str,
    to: Saga,
    actor: &Actor,
    now: i64,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO order_events
             (order_id, event, from_state, to_state, reason, actor_kind, actor_id, at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        &[
            &order.id,
            &event,
            &order.state,
            &to.state.as_str(),
            &to.reason.map(Reason::as_str),
            &actor.kind(),
            &actor.id(),
            &now,
        ],
    )
    .await
}

/// All changes of an order, oldest first.
pub async fn of(db: &Db, order_id: &str) -> Result<Vec<HistoryRow>, DbError> {
    let rows = db
        .query(
            "SELECT event, from_state, to_state, reason, actor_kind, actor_id, at FROM order_events
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
            actor: Actor::read(row, 4)?,
            at: row.int(6)?,
        })
    };
    rows.iter().map(read).collect()
}
