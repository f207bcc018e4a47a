//! Which account signs in, when a provider has said who it is.
//!
//! An email that the provider has verified leads to the account that has it. That account may have been
//! made by somebody else in advance, with the owner's email and a password of their own, to be let in
//! later: unless our email was verified too, linking ends all its tokens and its password. Accounts that
//! run the shop are not linked by an email at all: whoever can read one mailbox is not yet an administrator.

use super::refused;
use crate::identities::{self, Identity};
use crate::login_name::LoginName;
use crate::store::{self, Account};
use crate::{SERVICE, first_admin, passwords, resets, revocation};
use wasmart_domain::account::{Role, normalize_email};
use wasmart_service::db::{Db, DbError, Tx};
use wasmart_service::http::Problem;
use wasmart_service::outbox;
use wasmart_tokens::config::Provider;
use wasmart_tokens::foreign::Person;

/// The account; made, or linked, at the first sign-in.
pub async fn of(provider: &Provider, person: &Person) -> Result<Account, Problem> {
    first_admin::ensure().await?;
    let identity = Identity {
        issuer: &provider.issuer,
        subject: &person.subject,
        email: person.email.as_deref(),
        username: person.username.as_deref(),
    };
    let db = Db::open(&SERVICE).await?;
    if let Some(known) = identities::find(&db, identity.issuer, identity.subject).await? {
        return existing(&db, provider, &known).await;
    }
    let tx = db.begin().await?;
    // Another request may have been faster.
    if let Some(known) = identities::find(&tx, identity.issuer, identity.subject).await? {
        let account = existing(&tx, provider, &known).await;
        tx.rollback().await?;
        return account;
    }
    let account = match by_email(&tx, &identity).await? {
        Some(account) if account.role != Role::Customer => {
            tx.rollback().await?;
            return Err(refused(
                provider,
                "an account that runs the shop is not linked",
            ));
        }
        Some(account) if account.disabled_at.is_some() => {
            tx.rollback().await?;
            return Err(refused(provider, "the account is closed"));
        }
        Some(account) => take_over(&tx, &identity, account).await?,
        None => identities::make_account(&tx, &identity).await?,
    };
    tx.commit().await?;
    identities::apply_with_tokens(&Db::open(&SERVICE).await?).await?;
    outbox::drain(&SERVICE).await;
    Ok(account)
}

async fn existing(
    db: &Db,
    provider: &Provider,
    known: &identities::Known,
) -> Result<Account, Problem> {
    let account = store::by_id(db, &known.account_id).await?;
    account
        .filter(|_| !known.is_barred)
        .ok_or_else(|| refused(provider, "the account is closed"))
}

async fn by_email(tx: &Tx, identity: &Identity<'_>) -> Result<Option<Account>, DbError> {
    let Some(email) = identity.email.filter(|e| normalize_email(e).is_ok()) else {
        return Ok(None);
    };
    let found = store::by_login(tx, &LoginName::read(email)).await?;
    Ok(found.map(|(account, _)| account))
}

async fn take_over(
    tx: &Tx,
    identity: &Identity<'_>,
    mut account: Account,
) -> Result<Account, DbError> {
    if !identities::is_email_verified(tx, &account.id).await? {
        revocation::revoke_account(tx, &account.id).await?;
        resets::forget(tx, &account.id).await?;
        // The account as it is now: tokens are made for its new generation.
        if let Some(changed) = store::set_hash(tx, &account.id, passwords::NOBODY).await? {
            account = changed;
        }
        identities::set_email_verified(tx, &account.id).await?;
    }
    identities::link(tx, identity, &account.id).await?;
    Ok(account)
}
