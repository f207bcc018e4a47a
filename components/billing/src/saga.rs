//! The charging side of the saga, and the wallets that come and go with accounts. Each command has
//! at most one effect and is answered as often as it comes.

use crate::SERVICE;
use crate::store::{self, Booking};
use serde::{Deserialize, Serialize};
use wasmart_contracts::envelope::Event;
use wasmart_contracts::messages::{
    AccountDeleted, AccountRegistered, AccountSettled, Decline, PaymentCharge, PaymentCharged,
    PaymentDeclined, PaymentRefund, PaymentRefunded,
};
use wasmart_domain::ledger::{self, Account, Kind, LedgerError};
use wasmart_domain::money::{CURRENCY, Money};
use wasmart_service::actor::Actor;
use wasmart_service::barrier::{self, Entry, Operation};
use wasmart_service::db::Tx;
use wasmart_service::inbox::{Handled, Handler, Refusal, reply};
use wasmart_service::{dead_letters, idempotency};

/// Where the answers go.
const CHANNEL: &str = "payments_status";
/// The step, as the barrier names it.
const CHARGE: &str = "charge";

pub struct Participant;

impl Handler for Participant {
    async fn handle(&self, tx: &Tx, event: &Event) -> Result<Handled, Refusal> {
        let answer = match event.kind.as_str() {
            "payment.charge" => charge(tx, &event.payload()?).await?,
            "payment.refund" => refund(tx, &event.payload()?).await?,
            "account.registered" => return registered(tx, event.payload()?).await,
            "account.settled" => {
                return closed(tx, &event.payload::<AccountSettled>()?.user_id).await;
            }
            // From an auth that told billing itself.
            "account.deleted" => {
                return closed(tx, &event.payload::<AccountDeleted>()?.user_id).await;
            }
            unknown => return Err(Refusal::Poison(format!("unknown type {unknown}"))),
        };
        Ok(Handled::Reply(CHANNEL, Box::new(answer.into_event(event))))
    }
}

/// An answer, as the barrier keeps it.
#[derive(Serialize, Deserialize)]
enum Answer {
    Charged(PaymentCharged),
    Declined(PaymentDeclined),
    Refunded(PaymentRefunded),
}

impl Answer {
    fn into_event(self, cause: &Event) -> Event {
        match self {
            Answer::Charged(data) => reply(&SERVICE, cause, "payment.charged", &data),
            Answer::Declined(data) => reply(&SERVICE, cause, "payment.declined", &data),
            Answer::Refunded(data) => reply(&SERVICE, cause, "payment.refunded", &data),
        }
    }

    fn declined(order_id: &str, reason: Decline) -> Answer {
        Answer::Declined(PaymentDeclined {
            order_id: order_id.to_owned(),
            reason,
        })
    }
}

/// What the saga and the end of an account move; who moved an order is in its own history.
fn by_shop<'a>(user: &'a str, order_id: Option<&'a str>, balance: Money) -> Booking<'a> {
    Booking {
        user,
        order_id,
        balance,
        actor: Actor::system(),
    }
}

async fn charge(tx: &Tx, command: &PaymentCharge) -> Result<Answer, Refusal> {
    let order_id = &command.order_id;
    match barrier::enter(tx, order_id, CHARGE, Operation::Do).await? {
        Entry::Repeat(answer) => return Ok(answer),
        Entry::Barred => return Ok(Answer::declined(order_id, Decline::Refused)),
        Entry::First => {}
    }
    let answer = match take(tx, command).await? {
        Ok(()) => Answer::Charged(PaymentCharged {
            order_id: order_id.clone(),
            amount: command.amount,
        }),
        Err(reason) => Answer::declined(order_id, reason),
    };
    barrier::record(tx, order_id, CHARGE, Operation::Do, &answer).await?;
    Ok(answer)
}

async fn take(tx: &Tx, command: &PaymentCharge) -> Result<Result<(), Decline>, Refusal> {
    if command.currency != CURRENCY || command.amount < 0 {
        return Ok(Err(Decline::Refused));
    }
    let balance = match store::wallet(tx, &command.user_id).await? {
        None => Money::ZERO,
        Some(wallet) if wallet.closed => return Ok(Err(Decline::NoAccount)),
        Some(wallet) => wallet.balance,
    };
    // Nothing moves for an order that costs nothing.
    if command.amount == 0 {
        return Ok(Ok(()));
    }
    let amount = Money::from_minor(command.amount);
    match ledger::post(Kind::Charge, &command.user_id, balance, amount) {
        Ok((movement, after)) => {
            let booking = by_shop(&command.user_id, Some(&command.order_id), after);
            store::book(tx, &movement, &booking).await?;
            Ok(Ok(()))
        }
        Err(LedgerError::InsufficientFunds { .. }) => Ok(Err(Decline::InsufficientFunds)),
        Err(LedgerError::Money(_)) => Ok(Err(Decline::Refused)),
    }
}

/// Undoes [`charge`], or bars one that has not come.
async fn refund(tx: &Tx, command: &PaymentRefund) -> Result<Answer, Refusal> {
    let order_id = &command.order_id;
    if let Entry::Repeat(answer) = barrier::enter(tx, order_id, CHARGE, Operation::Undo).await? {
        return Ok(answer);
    }
    barrier::bar(tx, order_id, CHARGE).await?;
    let mut refunded = Money::ZERO;
    if let Some((user, amount)) = store::charge_of(tx, order_id).await? {
        let wallet = store::wallet(tx, &user).await?;
        let balance = wallet.as_ref().map_or(Money::ZERO, |w| w.balance);
        let (movement, after) = ledger::post(Kind::Refund, &user, balance, amount)
            .map_err(|error| Refusal::Poison(error.to_string()))?;
        store::book(tx, &movement, &by_shop(&user, Some(order_id), after)).await?;
        // A closed wallet takes back what is its own, and hands it on.
        if wallet.is_some_and(|wallet| wallet.closed) {
            pay_out(tx, &user, after).await?;
        }
        refunded = amount;
    }
    let answer = Answer::Refunded(PaymentRefunded {
        order_id: order_id.clone(),
        amount: refunded.minor(),
    });
    barrier::record(tx, order_id, CHARGE, Operation::Undo, &answer).await?;
    Ok(answer)
}

async fn registered(tx: &Tx, account: AccountRegistered) -> Result<Handled, Refusal> {
    store::open(tx, &Account::Wallet(account.user_id)).await?;
    Ok(Handled::Ack)
}

/// A wallet is closed for good: opened first where there is none, so that no late event opens it. What
/// it holds is paid out.
async fn closed(tx: &Tx, user: &str) -> Result<Handled, Refusal> {
    store::open(tx, &Account::Wallet(user.to_owned())).await?;
    if let Some(wallet) = store::wallet(tx, user).await? {
        pay_out(tx, user, wallet.balance).await?;
    }
    store::close(tx, user).await?;
    idempotency::forget(tx, user).await?;
    dead_letters::forget(tx, user).await?;
    Ok(Handled::Ack)
}

/// Takes all that a wallet holds to where its deposits came from.
async fn pay_out(tx: &Tx, user: &str, balance: Money) -> Result<(), Refusal> {
    if balance == Money::ZERO {
        return Ok(());
    }
    let (movement, after) = ledger::post(Kind::Payout, user, balance, balance)
        .map_err(|error| Refusal::Poison(error.to_string()))?;
    Ok(store::book(tx, &movement, &by_shop(user, None, after)).await?)
}
