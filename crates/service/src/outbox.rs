//! The transactional outbox: an event is a row, written in the transaction of the change it tells
//! of, published after the commit, and kept until it is answered.
//!
//! Publishing is a drain. Whoever holds the lease takes everything due, in one batch per channel;
//! the others leave their rows to it. An unanswered row falls due again, later each time.

use crate::channels::{PublishError, publish_bytes};
use crate::db::{Db, DbError, Durability, Row, Tx};
use crate::{Service, clock, new_id};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use thiserror::Error;
use wasmart_contracts::envelope::{DATA_SCHEMA, Event, SPEC_VERSION};

/// Rows taken in one pass: bounds the message and the time the lease is held.
const BATCH: i64 = 200;
/// Passes of one drain: the share of the work that one request or message may be asked to do.
const MAX_PASSES: usize = 10;
/// How long a holder may take for one pass before another takes over.
const LEASE_MS: i64 = 10_000;
/// First wait for an answer, doubled at every try …
const FIRST_RETRY_MS: i64 = 1_000;
/// … up to this.
const MAX_RETRY_MS: i64 = 60_000;

/// Why a drain stopped early. Nothing is lost: the rows stay and fall due again.
#[derive(Debug, Error)]
pub enum DrainError {
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Redis.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// Makes an event of this service; `data` is the record that belongs to `kind`.
pub fn event(service: &Service, kind: &str, subject: &str, data: &impl Serialize) -> Event {
    Event {
        specversion: SPEC_VERSION.to_owned(),
        id: new_id(),
        source: service.source(),
        kind: kind.to_owned(),
        subject: Some(subject.to_owned()),
        time: clock::rfc3339(clock::now_ms()),
        dataschema: DATA_SCHEMA.to_owned(),
        traceparent: None,
        causationid: None,
        receiver: None,
        data: serde_json::to_value(data).unwrap_or_default(),
    }
}

/// Puts an event into the outbox, due at once.
pub async fn enqueue(tx: &Tx, channel: &str, event: &Event) -> Result<(), DbError> {
    let json = serde_json::to_string(event).map_err(|e| DbError::Failed(e.to_string()))?;
    let now = clock::now_ms();
    TOUCHED.store(true, Ordering::Relaxed);
    tx.execute(
        "INSERT INTO outbox (id, channel, subject, event, created_at, next_attempt_at)
         VALUES (?, ?, ?, ?, ?, ?)",
        &[&event.id, &channel, &event.subject, &json, &now, &now],
    )
    .await
}

/// Puts an event into the outbox once for each of these services (`users`, …), each of which answers
/// for itself: a channel reaches all of them, but one row is dropped at the first answer.
pub async fn enqueue_for(
    tx: &Tx,
    channel: &str,
    receivers: &[&str],
    event: &Event,
) -> Result<(), DbError> {
    for receiver in receivers {
        let receiver = Some(format!("/{receiver}"));
        enqueue(
            tx,
            channel,
            &Event {
                id: new_id(),
                receiver,
                ..event.clone()
            },
        )
        .await?;
    }
    Ok(())
}

/// An answer names these events: they need not be sent again.
pub async fn answered(tx: &Tx, ids: &[String]) -> Result<(), DbError> {
    let ids = serde_json::to_string(ids).unwrap_or_default();
    tx.execute(
        "DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?))",
        &[&ids],
    )
    .await
}

/// What of a subject is still unanswered.
pub struct Waiting {
    /// The event's type.
    pub kind: String,
    /// How often it was sent.
    pub attempts: i64,
    /// When it was put into the outbox.
    pub created_at: i64,
    /// When it is sent next.
    pub next_attempt_at: i64,
}

/// The unanswered events about these subjects on channels other than `except`, the oldest first, each
/// with its subject.
pub async fn waiting(
    db: &Db,
    subjects: &[&str],
    except: &str,
) -> Result<Vec<(String, Waiting)>, DbError> {
    let subjects = serde_json::to_string(subjects).unwrap_or_default();
    let rows = db
        .query(
            "SELECT subject, json_extract(event, '$.type'), attempts, created_at, next_attempt_at
             FROM outbox WHERE subject IN (SELECT value FROM json_each(?)) AND channel <> ?
             ORDER BY created_at, id",
            &[&subjects, &except],
        )
        .await?;
    let read = |row: &Row| {
        let waiting = Waiting {
            kind: row.text(1)?,
            attempts: row.int(2)?,
            created_at: row.int(3)?,
            next_attempt_at: row.int(4)?,
        };
        Ok((row.text(0)?, waiting))
    };
    rows.iter().map(read).collect()
}

/// Makes all events about a subject due at once, as if they had never been sent.
pub async fn hurry(tx: &Tx, subject: &str) -> Result<(), DbError> {
    TOUCHED.store(true, Ordering::Relaxed);
    tx.execute(
        "UPDATE outbox SET attempts = 0, next_attempt_at = ? WHERE subject = ?",
        &[&clock::now_ms(), &subject],
    )
    .await
}

/// How long to wait for the answer to the `attempts`-th sending; `jitter` in `0..=255` spreads
/// those that fell due together over a quarter of the wait.
fn retry_after(attempts: i64, jitter: u8) -> i64 {
    let doubled = FIRST_RETRY_MS << attempts.clamp(0, 16);
    let wait = doubled.min(MAX_RETRY_MS);
    wait + wait * i64::from(jitter) / 1024
}

/// Set when this instance has put something into the outbox and not drained since.
static TOUCHED: AtomicBool = AtomicBool::new(false);
/// How often work that sends nothing of its own looks for what others left.
const LOOK_EVERY_MS: i64 = 1_000;

/// [`drain`], where this instance has something to send, and now and then for others.
pub async fn drain_share(service: &Service) {
    static LOOKED: AtomicI64 = AtomicI64::new(0);
    let now = clock::now_ms();
    let touched = TOUCHED.swap(false, Ordering::Relaxed);
    if touched || now - LOOKED.load(Ordering::Relaxed) >= LOOK_EVERY_MS {
        LOOKED.store(now, Ordering::Relaxed);
        drain(service).await;
    }
}

/// Sends everything due, unless another is at it. Never fails the caller's own work: what went wrong
/// is logged and falls due again.
pub async fn drain(service: &Service) {
    if let Err(error) = try_drain(service).await {
        eprintln!(
            "outbox of {} not drained, will be tried again: {error}",
            service.name
        );
    }
}

async fn try_drain(service: &Service) -> Result<(), DrainError> {
    // Nothing in a drain needs to survive the loss of power: at worst, an event is sent once more.
    let db = Db::open_with(service, Durability::Relaxed).await?;
    for _ in 0..MAX_PASSES {
        if due(&db).await?.is_none() {
            return Ok(());
        }
        let Some(fence) = take_lease(&db).await? else {
            // The holder looks again after it lets go, and so sees rows committed before this.
            return Ok(());
        };
        let sent = send_due(&db).await;
        release_lease(&db, fence).await?;
        sent?;
    }
    Ok(())
}

async fn due(db: &Db) -> Result<Option<i64>, DbError> {
    let row = db
        .first(
            "SELECT 1 FROM outbox WHERE next_attempt_at <= ? LIMIT 1",
            &[&clock::now_ms()],
        )
        .await?;
    row.map(|row| row.int(0)).transpose()
}

async fn take_lease(db: &Db) -> Result<Option<i64>, DbError> {
    let now = clock::now_ms();
    let row = db
        .first(
            "UPDATE drain_lease SET fence = fence + 1, until = ?
             WHERE id = 1 AND until <= ? RETURNING fence",
            &[&(now + LEASE_MS), &now],
        )
        .await?;
    row.map(|row| row.int(0)).transpose()
}

/// Lets go, unless another holder has come since.
async fn release_lease(db: &Db, fence: i64) -> Result<(), DbError> {
    db.execute(
        "UPDATE drain_lease SET until = 0 WHERE id = 1 AND fence = ?",
        &[&fence],
    )
    .await
}

async fn send_due(db: &Db) -> Result<(), DrainError> {
    let now = clock::now_ms();
    let rows = db
        .query(
            "SELECT id, channel, event, attempts FROM outbox WHERE next_attempt_at <= ?
             ORDER BY next_attempt_at, id LIMIT ?",
            &[&now, &BATCH],
        )
        .await?;
    let mut channels: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut next: Vec<(String, i64)> = Vec::with_capacity(rows.len());
    for row in &rows {
        let id = row.text(0)?;
        let jitter = id.bytes().next_back().unwrap_or_default();
        next.push((id, now + retry_after(row.int(3)?, jitter)));
        channels.entry(row.text(1)?).or_default().push(row.text(2)?);
    }
    // Marked first: if this is interrupted, the rows wait their turn instead of being sent in a storm.
    let next = serde_json::to_string(&next).unwrap_or_default();
    db.execute(
        "UPDATE outbox SET attempts = attempts + 1,
             next_attempt_at = (SELECT json_extract(value, '$[1]') FROM json_each(?1)
                                WHERE json_extract(value, '$[0]') = outbox.id)
         WHERE id IN (SELECT json_extract(value, '$[0]') FROM json_each(?1))",
        &[&next],
    )
    .await?;
    for (channel, events) in channels {
        publish_bytes(&channel, format!("[{}]", events.join(",")).as_bytes()).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_ceiling_and_are_spread() {
        assert_eq!(retry_after(0, 0), 1_000);
        assert_eq!(retry_after(1, 0), 2_000);
        assert_eq!(retry_after(6, 0), 60_000);
        assert_eq!(retry_after(i64::MAX, 0), 60_000);
        assert!(retry_after(0, 255) > 1_200 && retry_after(0, 255) < 1_250);
    }
}
