//! Runs the saga: asks the domain what an event does, and stores that with what it sends, in one
//! transaction.

use crate::store::{self, Deadlines, Order};
use crate::{SERVICE, command, gone, history};
use std::sync::OnceLock;
use thiserror::Error;
use wasmart_domain::saga::{Event, Illegal, Outcome, State};
use wasmart_service::actor::Actor;
use wasmart_service::clock::{Pace, now_ms};
use wasmart_service::db::{Db, DbError, Tx};
use wasmart_service::{config, outbox};

/// Overdue orders that begin to be undone at once.
const OVERDUE_BATCH: i64 = 50;
/// How often ordinary messages look for overdue orders.
const OVERDUE_EVERY_MS: i64 = 1_000;
const DEFAULT_STEP_MS: i64 = 30_000;
const DEFAULT_SAGA_MS: i64 = 120_000;
/// How far the clocks of two hosts may be apart. A deadline that lies further ahead than this and a
/// step's time was set before a clock was set back.
const SKEW_MS: i64 = 60_000;

/// Why an event does nothing to an order.
#[derive(Debug, Error)]
pub enum Refused {
    /// The state refuses it.
    #[error(transparent)]
    Illegal(Illegal),
    /// A newer version has left the order in a state that this one does not know.
    #[error("this version does not know the state {0}")]
    UnknownState(String),
}

/// Applies an event, which `actor` has caused, to an order that was read in this transaction. `Ok(Ok(()))` also when the event
/// changes nothing; `Ok(Err(_))` when it is refused.
pub async fn advance(
    tx: &Tx,
    order: &mut Order,
    event: Event,
    actor: &Actor,
) -> Result<Result<(), Refused>, DbError> {
    let Some(stands) = order.saga() else {
        return Ok(Err(Refused::UnknownState(order.state.clone())));
    };
    let outcome = stands.apply(event);
    #[cfg(feature = "sabotage")]
    let outcome = crate::sabotage::turn_undo(stands, event, outcome);
    let (saga, send, tell) = match outcome {
        Ok(Outcome::Stay) => return Ok(Ok(())),
        Ok(Outcome::Move {
            saga,
            command,
            notice,
        }) => (saga, command, notice),
        Err(illegal) => return Ok(Err(Refused::Illegal(illegal))),
    };
    let deadlines = deadlines(order.give_up_at, saga.state).await;
    let now = now_ms();
    store::move_to(tx, order, saga, deadlines, now).await?;
    history::add(tx, order, event.as_str(), saga, actor, now).await?;
    order.moved_to(saga, now);
    if let Some(send) = send {
        let lines = store::lines(tx, &[&order.id]).await?;
        let (channel, event) = command::command(send, order, &lines);
        outbox::enqueue(tx, channel, &event).await?;
    }
    if let Some(tell) = tell {
        let (channel, event) = command::notice(tell, order);
        outbox::enqueue(tx, channel, &event).await?;
    }
    if matches!(saga.state, State::Completed | State::Canceled) {
        gone::settle(tx, &order.user_id).await?;
    }
    Ok(Ok(()))
}

/// Turns sagas round that wait past their deadline, and sends what is due.
pub async fn turn_overdue() -> Result<(), DbError> {
    redate().await?;
    let overdue = {
        let db = Db::open(&SERVICE).await?;
        store::overdue(&db, now_ms(), OVERDUE_BATCH).await?
    };
    for id in overdue {
        if let Err(error) = turn(&id).await {
            wasmart_service::log!(
                "overdue order {id} is not undone yet, will be tried again: {error}"
            );
        }
    }
    outbox::drain(&SERVICE).await;
    Ok(())
}

/// In a transaction of its own, which reads the order again, as the answer may have come meanwhile.
async fn turn(id: &str) -> Result<(), DbError> {
    let tx = Db::open(&SERVICE).await?.begin().await?;
    let Some(mut order) = store::find(&tx, id).await? else {
        return tx.rollback().await;
    };
    match advance(&tx, &mut order, Event::Deadline, &Actor::system()).await? {
        Ok(()) => tx.commit().await,
        Err(refused) => Err(DbError::Failed(refused.to_string())),
    }
}

/// [`turn_overdue`] as a share of ordinary work: a busy system needs no tick.
pub async fn turn_overdue_now_and_then() {
    static LOOKED: Pace = Pace::every(OVERDUE_EVERY_MS);
    if !LOOKED.is_due(now_ms()) {
        return;
    }
    if let Err(error) = turn_overdue().await {
        wasmart_service::log!("overdue orders are not undone yet, will be tried again: {error}");
    }
}

/// Gives sagas whose deadline no clock would reach in time, as it was set back, a new one.
async fn redate() -> Result<(), DbError> {
    let anew = deadlines(None, State::Reserving).await;
    let latest = now_ms() + limits().await.0 + SKEW_MS;
    if !store::any_due_after(&Db::open(&SERVICE).await?, latest).await? {
        return Ok(());
    }
    let tx = Db::open(&SERVICE).await?.begin().await?;
    store::redate(&tx, latest, &anew).await?;
    tx.commit().await
}

/// A step may take its time, but not past the end of the saga's.
async fn deadlines(give_up_at: Option<i64>, to: State) -> Deadlines {
    if !to.has_deadline() {
        return Deadlines {
            step_at: None,
            give_up_at: None,
        };
    }
    let (step_ms, saga_ms) = limits().await;
    let now = now_ms();
    // Never later than from now: it may have been set before a clock was set back.
    let give_up_at = give_up_at.map_or(now + saga_ms, |at| at.min(now + saga_ms));
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
