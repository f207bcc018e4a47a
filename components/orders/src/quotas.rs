//! How much one account may pile up here, and for how long.
//!
//! Confirmed orders are kept, as books are; the daily limit bounds their number. Drafts hold no
//! stock and no money: their number at a time is limited, and untouched ones are deleted.

use http::StatusCode;
use wasmart_service::clock::now_ms;
use wasmart_service::config;
use wasmart_service::db::{Db, DbError, Tx};
use wasmart_service::http::Problem;
use wasmart_service::idempotency;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Drafts of one account at a time, unless `max_drafts` says otherwise.
const MAX_DRAFTS: i64 = 50;
/// Days that an untouched draft stays, unless `draft_days` says otherwise.
const DRAFT_DAYS: i64 = 30;
/// Orders that one account may make in 24 hours, drafts included, unless `orders_per_day` says otherwise.
const ORDERS_PER_DAY: i64 = 1_000;
/// Drafts deleted by one tick: two a second, so more than any account may make.
const SWEPT: i64 = 100;

/// Refuses (429) one more order of an account that has made too many in the last 24 hours.
pub async fn check_orders(db: &Db, user_id: &str) -> Result<(), Problem> {
    let Some(most) = config::bound("orders_per_day", ORDERS_PER_DAY).await else {
        return Ok(());
    };
    // The oldest of the newest `most` orders: if it is older than a day, there is room.
    let row = db
        .first(
            "SELECT created_at FROM orders WHERE user_id = ? ORDER BY number DESC LIMIT 1 OFFSET ?",
            &[&user_id, &(most - 1)],
        )
        .await?;
    let made_at = row.map(|row| row.int(0)).transpose()?;
    let room_at = made_at.map_or(0, |at| at + DAY_MS);
    let wait_ms = room_at - now_ms();
    if wait_ms <= 0 {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-orders",
        format!("An account may make {most} orders in 24 hours"),
    )
    .retry_after(wait_ms.unsigned_abs().div_ceil(1000)))
}

/// Refuses (409) one more draft of an account that has too many.
pub async fn check_drafts(db: &Db, user_id: &str) -> Result<(), Problem> {
    let Some(most) = config::bound("max_drafts", MAX_DRAFTS).await else {
        return Ok(());
    };
    let row = db
        .first(
            "SELECT 1 FROM orders WHERE user_id = ? AND state = 'draft' LIMIT 1 OFFSET ?",
            &[&user_id, &(most - 1)],
        )
        .await?;
    match row {
        None => Ok(()),
        Some(_) => Err(Problem::conflict(
            "too-many-drafts",
            format!("An account may have {most} drafts; confirm or cancel one"),
        )),
    }
}

/// Deletes drafts that nobody has touched for long, and orders that were canceled as drafts, a
/// bounded number at once. Nothing was ever reserved, charged or promised for either.
pub async fn sweep(tx: &Tx) -> Result<(), DbError> {
    let now = now_ms();
    let untouched = match config::bound("draft_days", DRAFT_DAYS).await {
        Some(days) => now - days.saturating_mul(DAY_MS),
        None => i64::MIN,
    };
    // Canceled ones stay while the answers under their keys do. The newest order of the shop stays
    // in any case: the next number is counted from it.
    let rows = tx
        .query(
            "SELECT id FROM (
                 SELECT id, number FROM (SELECT id, number FROM orders
                     WHERE state = 'draft' AND updated_at <= ?1 ORDER BY updated_at LIMIT ?3)
                 UNION ALL
                 SELECT id, number FROM orders WHERE id IN (SELECT order_id FROM order_events
                     WHERE from_state = 'draft' AND to_state = 'canceled' AND at <= ?2
                     ORDER BY at LIMIT ?3))
             WHERE number < (SELECT max(number) FROM orders)",
            &[&untouched, &(now - idempotency::KEEP_MS), &SWEPT],
        )
        .await?;
    if rows.is_empty() {
        return Ok(());
    }
    let ids = rows
        .iter()
        .map(|row| row.text(0))
        .collect::<Result<Vec<_>, _>>()?;
    let ids = serde_json::to_string(&ids).unwrap_or_default();
    for sql in [
        "DELETE FROM order_events WHERE order_id IN (SELECT value FROM json_each(?))",
        "DELETE FROM order_lines WHERE order_id IN (SELECT value FROM json_each(?))",
        "DELETE FROM orders WHERE id IN (SELECT value FROM json_each(?))",
    ] {
        tx.execute(sql, &[&ids]).await?;
    }
    Ok(())
}
