//! The SQL of notifications.

use serde::Serialize;
use wasmart_contracts::envelope::Event;
use wasmart_service::db::{Db, DbError, Row, Tx};
use wasmart_service::{clock, new_id};

/// Notifications that one account keeps: its newest. The rule of `wasmart verify` knows this number, too.
const KEPT: i64 = 1_000;
/// How many of the older ones are deleted with each new one: a bounded number, but more than one.
const SWEPT: i64 = 100;

const NOTIFICATION: &str = "id, kind, text, order_id, created_at, read_at";

/// A notification, as its reader sees it.
#[derive(Debug, Serialize)]
pub struct Notification {
    pub id: String,
    kind: String,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<String>,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_at: Option<String>,
}

fn notification(row: &Row) -> Result<Notification, DbError> {
    Ok(Notification {
        id: row.text(0)?,
        kind: row.text(1)?,
        text: row.text(2)?,
        order_id: row.opt_text(3)?,
        created_at: clock::rfc3339(row.int(4)?),
        read_at: row.opt_int(5)?.map(clock::rfc3339),
    })
}

/// Keeps what an event tells a user, once, unless the user is gone.
pub async fn insert(
    tx: &Tx,
    event: &Event,
    user_id: &str,
    text: &str,
    order_id: Option<&str>,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO notifications (id, event_id, user_id, kind, text, order_id, created_at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
         WHERE NOT EXISTS (SELECT 1 FROM tombstones WHERE user_id = ?3)
         ON CONFLICT (event_id) DO NOTHING",
        &[
            &new_id(),
            &event.id,
            &user_id,
            &event.kind,
            &text,
            &order_id,
            &clock::now_ms(),
        ],
    )
    .await?;
    tx.execute(
        "DELETE FROM notifications WHERE id IN (SELECT id FROM notifications
             WHERE user_id = ? ORDER BY id DESC LIMIT ? OFFSET ?)",
        &[&user_id, &SWEPT, &KEPT],
    )
    .await
}

/// Removes all that was told to a user, and bars what may still come.
pub async fn forget(tx: &Tx, user_id: &str) -> Result<(), DbError> {
    tx.execute("DELETE FROM notifications WHERE user_id = ?", &[&user_id])
        .await?;
    tx.execute(
        "INSERT INTO tombstones (user_id, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
        &[&user_id, &clock::now_ms()],
    )
    .await
}

/// What to list: all, or only the unread, or only one kind.
pub struct Filter<'a> {
    pub unread: bool,
    pub kind: Option<&'a str>,
}

/// A user's notifications, newest first, from below `before`.
pub async fn list(
    db: &Db,
    user_id: &str,
    filter: Filter<'_>,
    before: &str,
    limit: i64,
) -> Result<Vec<Notification>, DbError> {
    let sql = format!(
        "SELECT {NOTIFICATION} FROM notifications
         WHERE user_id = ?1 AND id < ?2 AND (?3 = 0 OR read_at IS NULL) AND (?4 IS NULL OR kind = ?4)
         ORDER BY id DESC LIMIT ?5"
    );
    let rows = db
        .query(
            &sql,
            &[&user_id, &before, &filter.unread, &filter.kind, &limit],
        )
        .await?;
    rows.iter().map(notification).collect()
}

/// A user's notification.
pub async fn find(db: &Db, user_id: &str, id: &str) -> Result<Option<Notification>, DbError> {
    let sql = format!("SELECT {NOTIFICATION} FROM notifications WHERE id = ? AND user_id = ?");
    db.first(&sql, &[&id, &user_id])
        .await?
        .map(|row| notification(&row))
        .transpose()
}

/// Marks a user's notification as read; the first time stays.
pub async fn read(db: &Db, user_id: &str, id: &str) -> Result<Option<Notification>, DbError> {
    let sql = format!(
        "UPDATE notifications SET read_at = coalesce(read_at, ?) WHERE id = ? AND user_id = ?
         RETURNING {NOTIFICATION}"
    );
    db.first(&sql, &[&clock::now_ms(), &id, &user_id])
        .await?
        .map(|row| notification(&row))
        .transpose()
}
