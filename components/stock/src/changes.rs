//! The changes that managers make to an item, apart from its counts, and the record of who made
//! them.

use crate::store::Details;
use serde::Serialize;
use serde_json::{Map, Value, json};
use wasmart_service::actor::Actor;
use wasmart_service::clock::{now_ms, rfc3339};
use wasmart_service::db::{Db, DbError, Row, Tx};

/// One change, as managers see it.
#[derive(Serialize)]
pub struct Change {
    /// Grows with each change of any item.
    pub id: i64,
    kind: String,
    /// For each field that changed: what it was, what it is.
    changes: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<Actor>,
    at: String,
}

/// Records that an item was made.
pub async fn made(tx: &Tx, item_id: &str, new: &Details, actor: &Actor) -> Result<(), DbError> {
    let changes = differences(&json!({}), &fields(new));
    record(tx, item_id, "made", changes, actor).await
}

/// Records that an item was changed.
pub async fn changed(
    tx: &Tx,
    item_id: &str,
    (old, new): (&Details, &Details),
    actor: &Actor,
) -> Result<(), DbError> {
    let kind = match (old.archived, new.archived) {
        (false, true) => "archived",
        (true, false) => "restored",
        _ => "changed",
    };
    let changes = differences(&fields(old), &fields(new));
    record(tx, item_id, kind, changes, actor).await
}

fn fields(of: &Details) -> Value {
    json!({
        "name": of.name, "description": of.description, "price": of.price,
        "archived": of.archived,
    })
}

fn differences(old: &Value, new: &Value) -> Value {
    let new = new.as_object().into_iter().flatten();
    let changed: Map<String, Value> = new
        .filter(|(name, value)| old[name.as_str()] != **value)
        .map(|(name, value)| (name.clone(), json!([old[name.as_str()], value])))
        .collect();
    changed.into()
}

async fn record(
    tx: &Tx,
    item_id: &str,
    kind: &str,
    changes: Value,
    actor: &Actor,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO item_changes (item_id, kind, changes, actor_kind, actor_id, at)
         VALUES (?, ?, ?, ?, ?, ?)",
        &[
            &item_id,
            &kind,
            &changes.to_string(),
            &actor.kind(),
            &actor.id(),
            &now_ms(),
        ],
    )
    .await
}

/// The changes of an item, newest first, from below `before`.
pub async fn list(db: &Db, item_id: &str, before: i64, limit: i64) -> Result<Vec<Change>, DbError> {
    let rows = db
        .query(
            "SELECT id, kind, changes, actor_kind, actor_id, at FROM item_changes
             WHERE item_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
            &[&item_id, &before, &limit],
        )
        .await?;
    let read = |row: &Row| {
        Ok(Change {
            id: row.int(0)?,
            kind: row.text(1)?,
            changes: serde_json::from_str(&row.text(2)?).unwrap_or_default(),
            actor: Actor::read(row, 3)?,
            at: rfc3339(row.int(5)?),
        })
    };
    rows.iter().map(read).collect()
}
