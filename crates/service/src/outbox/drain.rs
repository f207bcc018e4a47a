//! Publishing what is in the outbox. Whoever holds the lease takes everything due, in one batch per
//! channel; the others leave their rows to it.
//!
//! What is sent for the first time is never held back: it goes before all that is repeated, and only
//! repeats are capped in rate ([`super::pace`]).

use super::TOUCHED;
use super::lease::{self, Lease, Work};
use super::pace::{astray_from, retry_after, retry_unsent};
use crate::Service;
use crate::channels::{PublishError, publish_texts};
use crate::clock::{self, Pace};
use crate::db::{Db, DbError, Durability};
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;
use thiserror::Error;

/// Rows of each kind, first sendings and repeats, taken in one pass: bounds the message and the time
/// the lease is held.
const BATCH: i64 = 200;
/// Passes of one drain: the share of the work that one request or message may be asked to do.
const MAX_PASSES: usize = 10;
/// How often work that sends nothing of its own looks for what others left.
const LOOK_EVERY_MS: i64 = 1_000;

/// In the order in which they were put in.
const FIRST: &str = "SELECT id, channel, event, attempts FROM outbox WHERE attempts = 0
     ORDER BY rowid LIMIT ?1";

const AGAIN: &str = "SELECT id, channel, event, attempts FROM outbox
     WHERE attempts > 0 AND next_attempt_at <= ?1 ORDER BY next_attempt_at, rowid LIMIT ?2";

const FIND_ASTRAY: &str = "UPDATE outbox SET next_attempt_at = ?1
     WHERE attempts > 0 AND next_attempt_at > ?2 AND ?3 IN (SELECT fence FROM drain_lease)";

/// Only a holder that was not passed over marks anything, and only what is marked is published. A
/// row that was answered meanwhile is gone and so is not marked either.
const MARK: &str = "UPDATE outbox SET attempts = attempts + 1,
         next_attempt_at = json_extract(due.value, '$[1]')
     FROM json_each(?1) AS due
     WHERE outbox.id = json_extract(due.value, '$[0]') AND ?2 IN (SELECT fence FROM drain_lease)
     RETURNING outbox.id";

/// Takes the mark back. What Redis did not take was not sent; still it is no first sending any
/// more, so that an outage does not end in a storm.
const UNMARK: &str = "UPDATE outbox SET attempts = max(1, attempts - 1),
         next_attempt_at = json_extract(due.value, '$[1]')
     FROM json_each(?1) AS due
     WHERE outbox.id = json_extract(due.value, '$[0]') AND ?2 IN (SELECT fence FROM drain_lease)";

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

/// [`drain`], where this instance has something to send, and now and then for others.
pub async fn drain_share(service: &Service) {
    static LOOKED: Pace = Pace::every(LOOK_EVERY_MS);
    let touched = TOUCHED.swap(false, Ordering::Relaxed);
    if LOOKED.is_due(clock::now_ms()) || touched {
        drain(service).await;
    }
}

/// Sends everything due, unless another is at it. Never fails the caller's own work: what went wrong
/// is logged and falls due again.
pub async fn drain(service: &Service) {
    if let Err(error) = try_drain(service).await {
        log!(
            "outbox of {} not drained, will be tried again: {error}",
            service.name
        );
    }
}

async fn try_drain(service: &Service) -> Result<(), DrainError> {
    // Nothing in a drain needs to survive the loss of power: at worst, an event is sent once more.
    let db = Db::open_with(service, Durability::Relaxed).await?;
    for _ in 0..MAX_PASSES {
        let Some(work) = lease::look(&db).await? else {
            return Ok(());
        };
        let Some(mut lease) = Lease::take(&db).await? else {
            return Ok(());
        };
        let sent = send_due(&db, &mut lease, &work).await;
        let failed = matches!(sent, Err(DrainError::Publish(_)));
        lease.release(&db, failed).await?;
        sent?;
    }
    Ok(())
}

/// A row that is due.
struct Due {
    id: String,
    channel: String,
    event: String,
    attempts: i64,
}

async fn send_due(db: &Db, lease: &mut Lease, work: &Work) -> Result<(), DrainError> {
    let now = clock::now_ms();
    let mut due = select(db, FIRST, &[&BATCH]).await?;
    if work.again || work.astray {
        due.extend(select_again(db, lease, work, now).await?);
    }
    // Marked first: if this is interrupted, the rows wait their turn instead of being sent in a storm.
    let marked = mark(db, lease, &due, now).await?;
    due.retain(|row| marked.contains(&row.id));
    publish(db, lease, &due).await
}

/// As many repeats as the rate has left.
async fn select_again(
    db: &Db,
    lease: &mut Lease,
    work: &Work,
    now: i64,
) -> Result<Vec<Due>, DbError> {
    if work.astray {
        db.execute(FIND_ASTRAY, &[&now, &astray_from(now), &lease.fence()])
            .await?;
    }
    let left = lease.repeats.left(now).min(BATCH);
    let again = select(db, AGAIN, &[&now, &left]).await?;
    let taken = i64::try_from(again.len()).unwrap_or(i64::MAX);
    lease.repeats = lease.repeats.add(taken, now);
    Ok(again)
}

/// One message for each channel.
async fn publish(db: &Db, lease: &Lease, due: &[Due]) -> Result<(), DrainError> {
    let mut channels: BTreeMap<&str, Vec<&Due>> = BTreeMap::new();
    for row in due {
        channels.entry(&row.channel).or_default().push(row);
    }
    let mut unsent = Vec::new();
    let mut failure = None;
    for (number, (channel, rows)) in channels.into_iter().enumerate() {
        // The mark has just proved it for the first one.
        if number > 0 && !lease.holds(db).await? {
            return Ok(());
        }
        let events: Vec<&str> = rows.iter().map(|row| row.event.as_str()).collect();
        // One that fails does not keep the others back: a channel may be refused to us, by itself.
        if let Err(error) = publish_texts(channel, &events).await {
            unsent.extend(rows);
            failure.get_or_insert(error);
        }
    }
    let Some(failure) = failure else {
        return Ok(());
    };
    unmark(db, lease, &unsent).await?;
    Err(failure.into())
}

async fn select(
    db: &Db,
    sql: &str,
    params: &[&dyn crate::db::ToValue],
) -> Result<Vec<Due>, DbError> {
    let rows = db.query(sql, params).await?;
    let read = |row: &crate::db::Row| {
        Ok(Due {
            id: row.text(0)?,
            channel: row.text(1)?,
            event: row.text(2)?,
            attempts: row.int(3)?,
        })
    };
    rows.iter().map(read).collect()
}

/// Gives the ids of the rows that are this holder's to publish.
async fn mark(db: &Db, lease: &Lease, due: &[Due], now: i64) -> Result<HashSet<String>, DbError> {
    let next: Vec<(&str, i64)> = due
        .iter()
        .map(|row| (row.id.as_str(), now + retry_after(row.attempts, &row.id)))
        .collect();
    let next = serde_json::to_string(&next).unwrap_or_default();
    let marked = db.query(MARK, &[&next, &lease.fence()]).await?;
    marked.iter().map(|row| row.text(0)).collect()
}

async fn unmark(db: &Db, lease: &Lease, unsent: &[&Due]) -> Result<(), DbError> {
    let now = clock::now_ms();
    let next: Vec<(&str, i64)> = unsent
        .iter()
        .map(|row| (row.id.as_str(), now + retry_unsent(&row.id)))
        .collect();
    let next = serde_json::to_string(&next).unwrap_or_default();
    db.execute(UNMARK, &[&next, &lease.fence()]).await
}

#[cfg(test)]
#[path = "drain_tests.rs"]
mod tests;
