//! Runs the saga: asks the domain what an event does, and stores that with what it sends, in one
//! transaction.

use crate::store::{self, Deadlines, Order};
use crate::{SERVICE, command};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use wasmart_domain::saga::{Event, Illegal, Outcome, Saga};
use wasmart_service::clock::now_ms;
use wasmart_service::db::{Db, DbError, Tx};
use wasmart_service::{config, outbox};

/// Overdue orders turned round at once.
const OVERDUE_BATCH: i64 = 50;
/// How often ordinary messages look for overdue orders.
const OVERDUE_EVERY_MS: i64 = 1_000;
const DEFAULT_STEP_MS: i64 = 30_000;
const DEFAULT_SAGA_MS: i64 = 120_000;

/// Applies an event to an order that was read in this transaction. `Ok(Ok(()))` also when the event
/// changes nothing; `Ok(Err(_))` when the state refuses it.
pub async fn advance(
    tx: &Tx,
    order: &mut Order,
    event: Event,
) -> Result<Result<(), Illegal>, DbError> {
    let (saga, send, tell) = match order.saga.apply(event) {
        Ok(Outcome::Stay) => return Ok(Ok(())),
        Ok(Outcome::Move {
            saga,
            command,
            notice,
        }) => (saga, command, notice),
        Err(illegal) => return Ok(Err(illegal)),
    };
    let deadlines = deadlines(order, saga).await;
    store::move_to(tx, order, event.as_str(), saga, deadlines).await?;
    order.saga = saga;
    if let Some(send) = send {
        let lines = store::lines(tx, &[&order.id]).await?;
        let (channel, event) = command::command(send, order, &lines);
        outbox::enqueue(tx, channel, &event).await?;
    }
    if let Some(tell) = tell {
        let (channel, event) = command::notice(tell, order);
        outbox::enqueue(tx, channel, &event).await?;
    }
    Ok(Ok(()))
}

/// Turns sagas round that wait past their deadline; each in a transaction of its own, which reads
/// the state again, as the answer may have come meanwhile.
pub async fn turn_overdue() -> Result<(), DbError> {
    let overdue = {
        let db = Db::open(&SERVICE).await?;
        store::overdue(&db, now_ms(), OVERDUE_BATCH).await?
    };
    for id in overdue {
        let tx = Db::open(&SERVICE).await?.begin().await?;
        let Some(mut order) = store::find(&tx, &id).await? else {
            continue;
        };
        if let Ok(Ok(())) = advance(&tx, &mut order, Event::Deadline).await {
            tx.commit().await?;
        }
    }
    outbox::drain(&SERVICE).await;
    Ok(())
}

/// [`turn_overdue`] as a share of ordinary work: a busy system needs no tick.
pub async fn turn_overdue_now_and_then() {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let now = now_ms();
    if now - LAST.swap(now, Ordering::Relaxed) < OVERDUE_EVERY_MS {
        return;
    }
    if let Err(error) = turn_overdue().await {
        eprintln!("overdue orders not turned round, will be tried again: {error}");
    }
}

/// A step may take its time, but not past the end of the saga's.
async fn deadlines(order: &Order, to: Saga) -> Deadlines {
    if !to.state.has_deadline() {
        return Deadlines {
            step_at: None,
            give_up_at: None,
        };
    }
    let (step_ms, saga_ms) = limits().await;
    let now = now_ms();
    let give_up_at = order.give_up_at.unwrap_or(now + saga_ms);
    Deadlines {
        step_at: Some(give_up_at.min(now + step_ms)),
        give_up_at: Some(give_up_at),
    }
}

/// How long a step and a saga may take, in milliseconds.
async fn limits() -> (i64, i64) {
    static LIMITS: OnceLock<(i64, i64)> = OnceLock::new();
    if let Some(limits) = LIMITS.get() {
        return *limits;
    }
    let step = config::optional("step_deadline_ms")
        .await
        .and_then(|ms| ms.parse().ok());
    let saga = config::optional("saga_deadline_ms")
        .await
        .and_then(|ms| ms.parse().ok());
    *LIMITS.get_or_init(|| {
        (
            step.unwrap_or(DEFAULT_STEP_MS),
            saga.unwrap_or(DEFAULT_SAGA_MS),
        )
    })
}
