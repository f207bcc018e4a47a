//! What operators and administrators did to sagas and dead letters (redrive, compensate, discard):
//! who did it, when and why.

use crate::actor::Actor;
use crate::clock::{now_ms, rfc3339};
use crate::db::{Db, DbError, Row, Tx};
use crate::http::Problem;
use crate::new_id;
use serde::Serialize;
use wasmart_text::OPERATOR_REASON;

/// The table, for each service's line of versions.
pub const OPERATOR_ACTIONS: &str = include_str!("db/operator_actions.sql");

/// One action, as operators see it.
#[derive(Serialize)]
pub struct Action {
    /// Its own id.
    pub id: String,
    at: String,
    action: String,
    /// The order's or the event's id.
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<Actor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// A reason in its stored form; 422 for characters that no text may have.
pub fn clean_reason(reason: &str) -> Result<String, Problem> {
    OPERATOR_REASON
        .clean(reason)
        .map_err(|error| Problem::field("reason", error))
}

/// Stores an action, in the transaction of its effect.
pub async fn record(
    tx: &Tx,
    actor: &Actor,
    action: &str,
    subject: &str,
    reason: Option<&str>,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO operator_actions (id, at, action, subject, actor_kind, actor_id, reason)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
        &[
            &new_id(),
            &now_ms(),
            &action,
            &subject,
            &actor.kind(),
            &actor.id(),
            &reason,
        ],
    )
    .await
}

/// Actions on one subject or on any, newest first, from below `before`.
pub async fn list(
    db: &Db,
    subject: Option<&str>,
    before: &str,
    limit: i64,
) -> Result<Vec<Action>, DbError> {
    let rows = db
        .query(
            "SELECT id, at, action, subject, actor_kind, actor_id, reason FROM operator_actions
             WHERE (?1 IS NULL OR subject = ?1) AND id < ?2 ORDER BY id DESC LIMIT ?3",
            &[&subject, &before, &limit],
        )
        .await?;
    let read = |row: &Row| {
        Ok(Action {
            id: row.text(0)?,
            at: rfc3339(row.int(1)?),
            action: row.text(2)?,
            subject: row.text(3)?,
            actor: Actor::read(row, 4)?,
            reason: row.opt_text(6)?,
        })
    };
    rows.iter().map(read).collect()
}
