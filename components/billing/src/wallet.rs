//! The HTTP side: the caller's own wallet.

use crate::SERVICE;
use crate::store::{self, Booking, Transaction};
use axum::Json;
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use wasmart_contracts::messages::DepositNotice;
use wasmart_domain::ledger::{self, Account, Kind, LedgerError};
use wasmart_domain::money::{CURRENCY, Money};
use wasmart_service::actor::Actor;
use wasmart_service::clock::now_ms;
use wasmart_service::config;
use wasmart_service::db::{Db, Tx};
use wasmart_service::guard::Caller;
use wasmart_service::http::{Conditions, Input, Page, PageQuery, Params, Problem};
use wasmart_service::idempotency::{self, Answer, Once};
use wasmart_service::outbox;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Deposits and withdrawals of one account in 24 hours, unless `payments_per_day` says otherwise.
const PAYMENTS_PER_DAY: i64 = 1_000;

/// A wallet, as its owner sees it.
#[derive(Serialize)]
pub struct WalletView {
    /// Minor units.
    balance: i64,
    currency: &'static str,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    amount: i64,
    currency: Option<String>,
}

impl WalletView {
    fn of(balance: Money) -> WalletView {
        WalletView {
            balance: balance.minor(),
            currency: CURRENCY,
        }
    }
}

/// `GET /billing/account`: empty for an account that never had anything.
pub async fn read(caller: Caller) -> Result<Json<WalletView>, Problem> {
    let db = Db::open(&SERVICE).await?;
    open_wallet(&db, &caller.id)
        .await
        .map(|balance| Json(WalletView::of(balance)))
}

/// `POST /billing/account`: 201 when it is new, 200 when it was there.
pub async fn open(
    caller: Caller,
    headers: HeaderMap,
    conditions: Conditions,
) -> Result<impl IntoResponse, Problem> {
    let once = Once::new(&headers, &caller.id, "POST /billing/account", &())?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    if let Some(answer) = once.earlier(&tx).await? {
        return Ok(answer);
    }
    let wallet = WalletView::of(open_wallet(&tx, &caller.id).await?);
    conditions.check(&wallet)?;
    let status = match store::open(&tx, &Account::Wallet(caller.id.clone())).await? {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    let answer = Answer::json(status, &wallet).tagged();
    once.keep(&tx, &answer).await?;
    tx.commit().await?;
    Ok(answer)
}

/// `POST /billing/account/deposit`
pub async fn deposit(
    caller: Caller,
    headers: HeaderMap,
    conditions: Conditions,
    Input(input): Input<Amount>,
) -> Result<impl IntoResponse, Problem> {
    move_money(caller, (&headers, &conditions), &input, Kind::Deposit).await
}

/// `POST /billing/account/withdraw`
pub async fn withdraw(
    caller: Caller,
    headers: HeaderMap,
    conditions: Conditions,
    Input(input): Input<Amount>,
) -> Result<impl IntoResponse, Problem> {
    move_money(caller, (&headers, &conditions), &input, Kind::Withdrawal).await
}

/// `GET /billing/transactions`
pub async fn transactions(
    caller: Caller,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Transaction>>, Problem> {
    let (before, limit) = (page.before()?, page.fetch()?);
    let db = Db::open(&SERVICE).await?;
    let list = store::transactions(&db, &caller.id, &before, limit).await?;
    page.page(list, |transaction| transaction.id.clone())
        .map(Json)
}

/// `POST /internal/billing/tick`: sends what is due, forgets what need not be remembered.
pub async fn tick() -> Result<StatusCode, Problem> {
    outbox::drain(&SERVICE).await;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    idempotency::sweep(&tx).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn move_money(
    caller: Caller,
    (headers, conditions): (&HeaderMap, &Conditions),
    input: &Amount,
    kind: Kind,
) -> Result<Answer, Problem> {
    let amount = Money::payment(input.amount).map_err(|error| Problem::field("amount", error))?;
    if input
        .currency
        .as_deref()
        .is_some_and(|currency| currency != CURRENCY)
    {
        return Err(Problem::field("currency", format!("must be {CURRENCY}")));
    }
    // A request without a currency equals one that names the only currency.
    let asked = Amount {
        amount: input.amount,
        currency: None,
    };
    let once = Once::new(headers, &caller.id, kind.as_str(), &asked)?;

    let tx = Db::open(&SERVICE).await?.begin().await?;
    if let Some(answer) = once.earlier(&tx).await? {
        return Ok(answer);
    }
    let balance = open_wallet(&tx, &caller.id).await?;
    conditions.check(&WalletView::of(balance))?;
    check_quota(&tx, &caller.id).await?;
    let (movement, after) = ledger::post(kind, &caller.id, balance, amount).map_err(refuse)?;
    let booking = Booking {
        user: &caller.id,
        order_id: None,
        balance: after,
        actor: Actor::customer(&caller.id),
    };
    store::book(&tx, &movement, &booking).await?;
    if kind == Kind::Deposit {
        tell(&tx, &caller.id, amount, after).await?;
    }
    let answer = Answer::json(StatusCode::OK, &WalletView::of(after)).tagged();
    once.keep(&tx, &answer).await?;
    tx.commit().await?;
    outbox::drain(&SERVICE).await;
    Ok(answer)
}

/// Refuses (429) one more deposit or withdrawal of an account that has made too many in the last 24
/// hours: each is a row that the ledger keeps for ever.
async fn check_quota(tx: &Tx, user: &str) -> Result<(), Problem> {
    let Some(most) = config::bound("payments_per_day", PAYMENTS_PER_DAY).await else {
        return Ok(());
    };
    let moved_at = store::moved_at(tx, user, most).await?;
    let wait_ms = moved_at.map_or(0, |at| at + DAY_MS - now_ms());
    if wait_ms <= 0 {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-payments",
        format!("An account may make {most} deposits and withdrawals in 24 hours"),
    )
    .retry_after(wait_ms.unsigned_abs().div_ceil(1000)))
}

async fn tell(tx: &Tx, user: &str, amount: Money, balance: Money) -> Result<(), Problem> {
    let notice = DepositNotice {
        user_id: user.to_owned(),
        amount: amount.minor(),
        balance: balance.minor(),
        currency: CURRENCY.to_owned(),
    };
    let event = outbox::event(&SERVICE, "deposit.accepted", user, &notice);
    Ok(outbox::enqueue(tx, "notifications", &event).await?)
}

/// The balance of a wallet that may be used.
async fn open_wallet(db: &Db, user: &str) -> Result<Money, Problem> {
    match store::wallet(db, user).await? {
        None => Ok(Money::ZERO),
        Some(wallet) if !wallet.closed => Ok(wallet.balance),
        Some(_) => Err(Problem::conflict("account-closed", "This wallet is closed")),
    }
}

fn refuse(error: LedgerError) -> Problem {
    match error {
        LedgerError::InsufficientFunds { .. } => {
            Problem::conflict("insufficient-funds", "The wallet does not hold that much")
        }
        LedgerError::Money(error) => Problem::field("amount", error),
    }
}
