//! The transactional outbox: an event is a row, written in the transaction of the change it tells
//! of, published after the commit, and kept until it is answered. An unanswered row falls due again,
//! later each time.
//!
//! Here: rows in, rows answered. What sends them is [`drain`](drain()); when and how many, `pace`.

mod drain;
mod lease;
mod pace;

pub use drain::{DrainError, drain, drain_share};

use crate::db::{Db, DbError, Row, Tx};
use crate::{Service, clock, new_id, trace};
use serde::Serialize;
use std::sync::atomic::{AtomicBool, Ordering};
use wasmart_contracts::envelope::{DATA_SCHEMA, Event, SPEC_VERSION};

/// Set when this instance has put something into the outbox and not drained since.
static TOUCHED: AtomicBool = AtomicBool::new(false);

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

/// Puts an event into the outbox; it is sent by the next drain.
pub async fn enqueue(tx: &Tx, channel: &str, event: &Event) -> Result<(), DbError> {
    #[cfg(feature = "sabotage")]
    if crate::sabotage::is(crate::sabotage::OUTBOX) {
        return crate::sabotage::send_now(channel, event).await;
    }
    // Also of what an older version has stored unchecked.
    let event = &Event {
        traceparent: event.traceparent.as_deref().and_then(trace::well_formed),
        ..event.clone()
    };
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

/// A reply names the command it answers: that need not be sent again.
pub(crate) async fn answered(tx: &Tx, id: &str) -> Result<(), DbError> {
    tx.execute("DELETE FROM outbox WHERE id = ?", &[&id]).await
}

/// A receiver has these events: they need not be sent again. A command is not answered by that: its
/// receiver has set it aside as a dead letter, and the saga still waits for a reply. So the command
/// stays, and is found in time by a person, or by a newer receiver that understands it.
pub(crate) async fn acknowledged(
    tx: &Tx,
    service: &Service,
    ids: &[String],
) -> Result<(), DbError> {
    let ids = serde_json::to_string(ids).unwrap_or_default();
    let commands = serde_json::to_string(service.commands).unwrap_or_default();
    tx.execute(
        "DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?))
             AND channel NOT IN (SELECT value FROM json_each(?))",
        &[&ids, &commands],
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

/// The unanswered events about a subject on channels other than `except`, the oldest first.
pub async fn waiting(db: &Db, subject: &str, except: &str) -> Result<Vec<Waiting>, DbError> {
    let rows = db
        .query(
            "SELECT json_extract(event, '$.type'), attempts, created_at, next_attempt_at
             FROM outbox WHERE subject = ? AND channel <> ? ORDER BY created_at, id",
            &[&subject, &except],
        )
        .await?;
    let read = |row: &Row| {
        Ok(Waiting {
            kind: row.text(0)?,
            attempts: row.int(1)?,
            created_at: row.int(2)?,
            next_attempt_at: row.int(3)?,
        })
    };
    rows.iter().map(read).collect()
}

/// Makes all events about a subject due at once, as if they had never been sent: a person wants it, so
/// they go before everything that is repeated.
pub async fn hurry(tx: &Tx, subject: &str) -> Result<(), DbError> {
    TOUCHED.store(true, Ordering::Relaxed);
    tx.execute(
        "UPDATE outbox SET attempts = 0, next_attempt_at = ? WHERE subject = ?",
        &[&clock::now_ms(), &subject],
    )
    .await
}
