//! The reserving side of the saga: commands from orders, each with at most one effect, each answered
//! as often as it comes.

use crate::SERVICE;
use crate::store::{self, Move};
use serde::{Deserialize, Serialize};
use wasmart_contracts::envelope::Event;
use wasmart_contracts::messages::{
    Line, PricedLine, Rejection, StockCommit, StockCommitted, StockRejected, StockRelease,
    StockReleased, StockReserve, StockReserved,
};
use wasmart_domain::money::{CURRENCY, Money};
use wasmart_domain::stock::{Level, StockError};
use wasmart_service::actor::Actor;
use wasmart_service::barrier::{self, Entry, Operation};
use wasmart_service::db::Tx;
use wasmart_service::inbox::{Handled, Handler, Refusal, reply};

/// Where the answers go.
const CHANNEL: &str = "stock_changes_status";
/// The steps, as the barrier names them.
const RESERVE: &str = "reserve";
const COMMIT: &str = "commit";

pub struct Participant;

impl Handler for Participant {
    async fn handle(&self, tx: &Tx, event: &Event) -> Result<Handled, Refusal> {
        let answer = match event.kind.as_str() {
            "stock.reserve" => reserve(tx, &event.payload()?).await?,
            "stock.release" => release(tx, &event.payload()?).await?,
            "stock.commit" => commit(tx, &event.payload()?).await?,
            unknown => return Err(Refusal::Poison(format!("unknown type {unknown}"))),
        };
        Ok(Handled::Reply(CHANNEL, Box::new(answer.into_event(event))))
    }
}

/// An answer, as the barrier keeps it.
#[derive(Serialize, Deserialize)]
enum Answer {
    Reserved(StockReserved),
    Rejected(StockRejected),
    Released(StockReleased),
    Committed(StockCommitted),
}

impl Answer {
    fn into_event(self, cause: &Event) -> Event {
        match self {
            Answer::Reserved(data) => reply(&SERVICE, cause, "stock.reserved", &data),
            Answer::Rejected(data) => reply(&SERVICE, cause, "stock.rejected", &data),
            Answer::Released(data) => reply(&SERVICE, cause, "stock.released", &data),
            Answer::Committed(data) => reply(&SERVICE, cause, "stock.committed", &data),
        }
    }

    fn rejected(order_id: &str, reason: Rejection, item_id: Option<String>) -> Answer {
        Answer::Rejected(StockRejected {
            order_id: order_id.to_owned(),
            reason,
            item_id,
        })
    }
}

/// What an order moves; who moved the order is in its own history.
fn by_order<'a>(kind: &'a str, quantity: u32, order_id: &'a str) -> Move<'a> {
    Move {
        kind,
        quantity: i64::from(quantity),
        reason: None,
        order_id: Some(order_id),
        actor: Actor::system(),
    }
}

/// All lines or none.
async fn reserve(tx: &Tx, command: &StockReserve) -> Result<Answer, Refusal> {
    let order_id = &command.order_id;
    match barrier::enter(tx, order_id, RESERVE, Operation::Do).await? {
        Entry::Repeat(answer) => return Ok(answer),
        Entry::Barred => return Ok(Answer::rejected(order_id, Rejection::Refused, None)),
        Entry::First => {}
    }
    let answer = match plan(tx, command).await? {
        Ok(plan) => {
            for (line, level) in &plan.levels {
                store::set_level(tx, &line.item_id, *level).await?;
                store::hold(tx, order_id, &line.item_id, line.quantity).await?;
                let moved = by_order("reserve", line.quantity, order_id);
                store::record(tx, &line.item_id, &moved).await?;
            }
            Answer::Reserved(StockReserved {
                order_id: order_id.clone(),
                lines: plan.priced,
                total: plan.total.minor(),
                currency: CURRENCY.to_owned(),
            })
        }
        Err((reason, item_id)) => Answer::rejected(order_id, reason, item_id),
    };
    barrier::record(tx, order_id, RESERVE, Operation::Do, &answer).await?;
    Ok(answer)
}

/// What a reservation would do.
struct Plan<'a> {
    levels: Vec<(&'a Line, Level)>,
    priced: Vec<PricedLine>,
    total: Money,
}

type Rejected = (Rejection, Option<String>);

/// Looks at every line before any is changed.
async fn plan<'a>(
    tx: &Tx,
    command: &'a StockReserve,
) -> Result<Result<Plan<'a>, Rejected>, Refusal> {
    let ids: Vec<&str> = command
        .lines
        .iter()
        .map(|line| line.item_id.as_str())
        .collect();
    let items = store::find_all(tx, &ids).await?;
    let mut plan = Plan {
        levels: vec![],
        priced: vec![],
        total: Money::ZERO,
    };
    for line in &command.lines {
        let item = items
            .iter()
            .find(|item| item.id == line.item_id && !item.details.archived);
        let Some(item) = item else {
            return Ok(Err((Rejection::UnknownItem, Some(line.item_id.clone()))));
        };
        let level = match item.level.reserve(line.quantity) {
            Ok(level) => level,
            Err(StockError::OutOfStock { .. }) => {
                return Ok(Err((Rejection::OutOfStock, Some(line.item_id.clone()))));
            }
            Err(_) => return Ok(Err((Rejection::Refused, Some(line.item_id.clone())))),
        };
        let price = Money::from_minor(item.details.price);
        let Ok(total) = price
            .times(line.quantity)
            .and_then(|sum| plan.total.plus(sum))
        else {
            return Ok(Err((Rejection::Refused, Some(line.item_id.clone()))));
        };
        plan.total = total;
        plan.levels.push((line, level));
        plan.priced.push(PricedLine {
            item_id: item.id.clone(),
            name: item.details.name.clone(),
            quantity: line.quantity,
            unit_price: item.details.price,
        });
    }
    Ok(Ok(plan))
}

/// Undoes [`reserve`], or bars one that has not come.
async fn release(tx: &Tx, command: &StockRelease) -> Result<Answer, Refusal> {
    let order_id = &command.order_id;
    let answer = match barrier::enter(tx, order_id, RESERVE, Operation::Undo).await? {
        Entry::Repeat(answer) => return Ok(answer),
        Entry::Barred | Entry::First => Answer::Released(StockReleased {
            order_id: order_id.clone(),
        }),
    };
    barrier::bar(tx, order_id, RESERVE).await?;
    end(tx, order_id, "release", "released", Level::release).await?;
    barrier::record(tx, order_id, RESERVE, Operation::Undo, &answer).await?;
    Ok(answer)
}

/// What was reserved is sold.
async fn commit(tx: &Tx, command: &StockCommit) -> Result<Answer, Refusal> {
    let order_id = &command.order_id;
    let answer = match barrier::enter(tx, order_id, COMMIT, Operation::Do).await? {
        Entry::Repeat(answer) => return Ok(answer),
        Entry::Barred | Entry::First => Answer::Committed(StockCommitted {
            order_id: order_id.clone(),
        }),
    };
    end(tx, order_id, "commit", "sold", Level::commit).await?;
    barrier::record(tx, order_id, COMMIT, Operation::Do, &answer).await?;
    Ok(answer)
}

/// Ends what an order holds; nothing when it holds nothing.
async fn end(
    tx: &Tx,
    order_id: &str,
    kind: &str,
    state: &str,
    change: fn(Level, u32) -> Result<Level, StockError>,
) -> Result<(), Refusal> {
    for held in store::held(tx, order_id).await? {
        let level = change(held.level, held.quantity)
            .map_err(|error| Refusal::Poison(format!("item {}: {error}", held.item_id)))?;
        store::set_level(tx, &held.item_id, level).await?;
        let moved = by_order(kind, held.quantity, order_id);
        store::record(tx, &held.item_id, &moved).await?;
    }
    store::end_hold(tx, order_id, state).await?;
    Ok(())
}
