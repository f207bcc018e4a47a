//! `POST /auth/password`: another password for somebody who is logged in. Everything else that is logged
//! in to the account ends; the answer brings new tokens.

use crate::audit::{Entry, Kind};
use crate::login::open_session;
use crate::passwords::{self, Verdict};
use crate::store::{self, Account};
use crate::throttle::{Attempt, Scope};
use crate::{SERVICE, password_rules, resets, revocation};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use wasmart_contracts::messages::PasswordChanged;
use wasmart_service::db::{Db, DbError, Tx};
use wasmart_service::guard::Caller;
use wasmart_service::http::{Client, Input, Problem};
use wasmart_service::outbox;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    #[serde(alias = "old_password")]
    current_password: String,
    new_password: String,
}

pub async fn change(
    caller: Caller,
    client: Client,
    Input(input): Input<Change>,
) -> Result<Response, Problem> {
    let (account, hash, imported) = {
        let db = Db::open(&SERVICE).await?;
        let found = store::with_hash(&db, &caller.id).await?;
        let (account, hash) = found.ok_or_else(|| Problem::not_found("account"))?;
        (account, hash, store::imported_cost(&db).await?)
    };
    check_new("new_password", &input.new_password, &account)?;
    let attempt = Attempt::begin(Scope::Password, &caller.id, Some(&caller.id), client).await?;
    if passwords::verify(&input.current_password, Some(&hash), imported)? == Verdict::Wrong {
        let tx = Db::open(&SERVICE).await?.begin().await?;
        attempt.failed(&tx).await?;
        let record = Entry::new(Kind::PasswordRefused).about(Some(&caller.id));
        let record = record.from(client).write(&tx).await?;
        tx.commit().await?;
        record.log();
        return Err(Problem::field("current_password", "is not the password"));
    }
    let new_hash = passwords::hash(&input.new_password)?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    // Of two changes at once the second no longer knows the current password.
    let Some(account) = store::replace_hash(&tx, &caller.id, &hash, &new_hash).await? else {
        tx.rollback().await?;
        attempt.withdraw().await?;
        return Err(Problem::conflict(
            "account-changed",
            "The account has changed meanwhile",
        ));
    };
    attempt.succeeded(&tx).await?;
    changed(&tx, &account).await?;
    let record = Entry::new(Kind::PasswordChanged).about(Some(&caller.id));
    let record = record.from(client).write(&tx).await?;
    tx.commit().await?;
    record.log();
    revocation::apply(&Db::open(&SERVICE).await?).await?;
    outbox::drain(&SERVICE).await;
    open_session(account).await?.answer(StatusCode::OK)
}

/// What another password means, however it came about: nothing that was given out before is good any
/// more, and the owner is told.
pub async fn changed(tx: &Tx, account: &Account) -> Result<(), DbError> {
    revocation::revoke_account(tx, &account.id).await?;
    resets::forget(tx, &account.id).await?;
    let data = PasswordChanged {
        user_id: account.id.clone(),
    };
    let event = outbox::event(&SERVICE, "password.changed", &account.id, &data);
    outbox::enqueue(tx, "notifications", &event).await
}

/// Refuses (422) a new password that the rules refuse.
pub fn check_new(field: &str, password: &str, account: &Account) -> Result<(), Problem> {
    let names = [account.email.as_deref(), account.username.as_deref()];
    password_rules::check(password, names).map_err(|detail| Problem::field(field, detail))
}
