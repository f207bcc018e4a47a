//! The orchestrator's side of the channels: what participants answer, as events of the saga.

use crate::runner::{self, Refused};
use crate::{gone, store};
use wasmart_contracts::envelope::Event;
use wasmart_contracts::messages::{
    AccountDeleted, Decline, PaymentCharged, PaymentDeclined, PaymentRefunded, Rejection,
    StockCommitted, StockRejected, StockReleased, StockReserved,
};
use wasmart_domain::saga::{self, Reason, State};
use wasmart_service::actor::Actor;
use wasmart_service::db::{DbError, Tx};
use wasmart_service::inbox::{Handled, Handler, Refusal};

pub struct Orchestrator;

impl Handler for Orchestrator {
    async fn handle(&self, tx: &Tx, event: &Event) -> Result<Handled, Refusal> {
        let (order_id, happened) = match event.kind.as_str() {
            "stock.reserved" => {
                let answer: StockReserved = event.payload()?;
                keep_prices(tx, &answer).await?;
                (answer.order_id, saga::Event::Reserved)
            }
            "stock.rejected" => {
                let answer: StockRejected = event.payload()?;
                (
                    answer.order_id,
                    saga::Event::Rejected(rejected(answer.reason)),
                )
            }
            "stock.released" => (
                event.payload::<StockReleased>()?.order_id,
                saga::Event::Released,
            ),
            "stock.committed" => (
                event.payload::<StockCommitted>()?.order_id,
                saga::Event::Committed,
            ),
            "payment.charged" => (
                event.payload::<PaymentCharged>()?.order_id,
                saga::Event::Charged,
            ),
            "payment.declined" => {
                let answer: PaymentDeclined = event.payload()?;
                (
                    answer.order_id,
                    saga::Event::Declined(declined(answer.reason)),
                )
            }
            "payment.refunded" => (
                event.payload::<PaymentRefunded>()?.order_id,
                saga::Event::Refunded,
            ),
            "account.deleted" => {
                gone::take_in(tx, &event.payload::<AccountDeleted>()?.user_id).await?;
                return Ok(Handled::Ack);
            }
            unknown => return Err(Refusal::Poison(format!("unknown type {unknown}"))),
        };
        let Some(mut order) = store::find(tx, &order_id).await? else {
            return Err(Refusal::Poison(format!("unknown order {order_id}")));
        };
        match runner::advance(tx, &mut order, happened, &Actor::system()).await? {
            Ok(()) => Ok(Handled::Done),
            Err(Refused::Illegal(illegal)) => Err(Refusal::Poison(illegal.to_string())),
            // Not taken in, so the command is asked again until a version is back that knows the state.
            Err(unknown @ Refused::UnknownState(_)) => {
                Err(DbError::Failed(unknown.to_string()).into())
            }
        }
    }
}

/// The prices that will be charged. Only while they are waited for: a repeat must not change them.
async fn keep_prices(tx: &Tx, answer: &StockReserved) -> Result<(), Refusal> {
    let waiting = store::find(tx, &answer.order_id)
        .await?
        .and_then(|order| order.saga())
        .is_some_and(|saga| saga.state == State::Reserving);
    if waiting {
        let prices: Vec<(&str, &str, i64)> = answer
            .lines
            .iter()
            .map(|line| (line.item_id.as_str(), line.name.as_str(), line.unit_price))
            .collect();
        store::set_prices(tx, &answer.order_id, &prices, answer.total).await?;
    }
    Ok(())
}

fn rejected(reason: Rejection) -> Reason {
    match reason {
        Rejection::UnknownItem => Reason::UnknownItem,
        Rejection::OutOfStock => Reason::OutOfStock,
        Rejection::Refused => Reason::Refused,
    }
}

fn declined(reason: Decline) -> Reason {
    match reason {
        Decline::InsufficientFunds => Reason::InsufficientFunds,
        Decline::NoAccount => Reason::NoAccount,
        Decline::Refused => Reason::Refused,
    }
}
