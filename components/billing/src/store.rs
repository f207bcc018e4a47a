//! The SQL of the ledger: rows in and out, no decisions.

use serde::Serialize;
use wasmart_domain::ledger::{Account, Movement};
use wasmart_domain::money::{CURRENCY, Money};
use wasmart_service::actor::Actor;
use wasmart_service::clock::{now_ms, rfc3339};
use wasmart_service::db::{Db, DbError, Row, Tx};
use wasmart_service::new_id;

/// A user's wallet.
pub struct Wallet {
    pub balance: Money,
    pub closed: bool,
}

/// A movement of the user's money, as the user sees it.
#[derive(Serialize)]
pub struct Transaction {
    pub id: String,
    pub kind: String,
    /// Minor units; `kind` says in which direction.
    pub amount: i64,
    pub currency: &'static str,
    /// The wallet's balance afterwards.
    pub balance: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// Who made the transaction; absent in transactions that are older than this column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    pub created_at: String,
}

/// What a movement is booked with.
pub struct Booking<'a> {
    pub user: &'a str,
    pub order_id: Option<&'a str>,
    /// The wallet's balance afterwards.
    pub balance: Money,
    pub actor: Actor,
}

pub async fn wallet(db: &Db, user: &str) -> Result<Option<Wallet>, DbError> {
    let row = db
        .first(
            "SELECT balance, closed_at FROM accounts WHERE user_id = ?",
            &[&user],
        )
        .await?;
    row.map(|row| {
        Ok(Wallet {
            balance: Money::from_minor(row.int(0)?),
            closed: row.opt_int(1)?.is_some(),
        })
    })
    .transpose()
}

/// Opens an account of the ledger, unless it is there. Gives whether it was opened now.
pub async fn open(db: &Db, account: &Account) -> Result<bool, DbError> {
    let user = match account {
        Account::Wallet(user) => Some(user.as_str()),
        Account::External | Account::Sales => None,
    };
    let row = db
        .first(
            "INSERT INTO accounts (code, user_id, currency, created_at) VALUES (?, ?, ?, ?)
             ON CONFLICT DO NOTHING RETURNING 1",
            &[&account.code(), &user, &CURRENCY, &now_ms()],
        )
        .await?;
    Ok(row.is_some())
}

/// Books a movement: one row, and the balances of both accounts.
pub async fn book(tx: &Tx, movement: &Movement, booking: &Booking<'_>) -> Result<(), DbError> {
    for (account, change) in [
        (&movement.debit, -movement.amount.minor()),
        (&movement.credit, movement.amount.minor()),
    ] {
        open(tx, account).await?;
        tx.execute(
            "UPDATE accounts SET balance = balance + ? WHERE code = ?",
            &[&change, &account.code()],
        )
        .await?;
    }
    tx.execute(
        "INSERT INTO transactions
             (id, kind, debit, credit, amount, user_id, order_id, balance, actor_kind, actor_id,
              created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        &[
            &new_id(),
            &movement.kind.as_str(),
            &movement.debit.code(),
            &movement.credit.code(),
            &movement.amount.minor(),
            &booking.user,
            &booking.order_id,
            &booking.balance.minor(),
            &booking.actor.kind(),
            &booking.actor.id(),
            &now_ms(),
        ],
    )
    .await
}

/// Who was charged for an order and how much, if anybody was.
pub async fn charge_of(tx: &Tx, order_id: &str) -> Result<Option<(String, Money)>, DbError> {
    let row = tx
        .first(
            "SELECT user_id, amount FROM transactions WHERE order_id = ? AND kind = 'charge'",
            &[&order_id],
        )
        .await?;
    row.map(|row| Ok((row.text(0)?, Money::from_minor(row.int(1)?))))
        .transpose()
}

pub async fn close(tx: &Tx, user: &str) -> Result<(), DbError> {
    tx.execute(
        "UPDATE accounts SET closed_at = ? WHERE user_id = ? AND closed_at IS NULL",
        &[&now_ms(), &user],
    )
    .await
}

/// When the oldest of the user's newest `count` deposits and withdrawals was made; none if there are fewer.
pub async fn moved_at(db: &Db, user: &str, count: i64) -> Result<Option<i64>, DbError> {
    let row = db
        .first(
            "SELECT created_at FROM transactions
             WHERE user_id = ? AND kind IN ('deposit', 'withdrawal')
             ORDER BY rowid DESC LIMIT 1 OFFSET ?",
            &[&user, &(count - 1)],
        )
        .await?;
    row.map(|row| row.int(0)).transpose()
}

/// A user's transactions, newest first, from below the one with the id `before`. They are in the
/// order of the ledger, so that each balance follows from the one before it; the order of ids,
/// which come from a clock, may differ.
pub async fn transactions(
    db: &Db,
    user: &str,
    before: &str,
    limit: i64,
) -> Result<Vec<Transaction>, DbError> {
    let before = db.place_of("transactions", before).await?;
    let rows = db
        .query(
            "SELECT id, kind, amount, balance, order_id, actor_kind, actor_id, created_at
             FROM transactions WHERE user_id = ? AND rowid < ? ORDER BY rowid DESC LIMIT ?",
            &[&user, &before, &limit],
        )
        .await?;
    let read = |row: &Row| {
        Ok(Transaction {
            id: row.text(0)?,
            kind: row.text(1)?,
            amount: row.int(2)?,
            currency: CURRENCY,
            balance: row.int(3)?,
            order_id: row.opt_text(4)?,
            actor: Actor::read(row, 5)?,
            created_at: rfc3339(row.int(7)?),
        })
    };
    rows.iter().map(read).collect()
}
