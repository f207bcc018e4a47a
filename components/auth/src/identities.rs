//! Whom other issuers know our accounts as, and what the guards are told of these: a guard takes a token of
//! another issuer without asking the database, so a deleted account must be barred where it looks.
//!
//! As with revoked tokens (`revocation`), the decision is a row, and applying it follows.

use crate::key_value::{open_default, unavailable};
use crate::passwords;
use crate::register::announce;
use crate::revocation;
use crate::store::{self, Account};
use spin_sdk::key_value::Store;
use wasmart_contracts::messages::AccountRegistered;
use wasmart_domain::account::{Role, normalize_email, normalize_username};
use wasmart_service::clock;
use wasmart_service::db::{Db, DbError, Row, Tx};
use wasmart_service::http::Problem;
use wasmart_tokens::account_of;
use wasmart_tokens::notes::{Who, who_key};

/// Which accounts nobody may use, whatever their issuer says.
const BARRED: &str = "(deleted_at IS NOT NULL OR disabled_at IS NOT NULL)";

/// Rows taken at once.
const BATCH: i64 = 200;

/// Somebody, as an issuer knows them. The email is one that the issuer has verified.
pub struct Identity<'a> {
    pub issuer: &'a str,
    pub subject: &'a str,
    pub email: Option<&'a str>,
    pub username: Option<&'a str>,
}

/// The account behind an identity.
pub struct Known {
    pub account_id: String,
    pub is_barred: bool,
}

pub async fn find(db: &Db, issuer: &str, subject: &str) -> Result<Option<Known>, DbError> {
    let sql = format!(
        "SELECT identities.account_id, {BARRED} FROM identities
         JOIN accounts ON accounts.id = identities.account_id
         WHERE identities.issuer = ? AND identities.subject = ?"
    );
    let row = db.first(&sql, &[&issuer, &subject]).await?;
    row.map(|row| {
        Ok(Known {
            account_id: row.text(0)?,
            is_barred: row.flag(1)?,
        })
    })
    .transpose()
}

/// Makes the account of an identity that has none. What another account has already, it does without.
pub async fn make_account(tx: &Tx, identity: &Identity<'_>) -> Result<Account, DbError> {
    let mut email = identity.email.and_then(|email| normalize_email(email).ok());
    let mut username = identity
        .username
        .and_then(|username| normalize_username(username).ok());
    if let Some(wanted) = &email
        && store::is_taken(tx, wanted, None).await?
    {
        email = None;
    }
    if let Some(wanted) = &username
        && store::is_taken(tx, "", Some(wanted)).await?
    {
        username = None;
    }
    let account = Account {
        id: account_of(identity.issuer, identity.subject),
        email,
        username,
        role: Role::Customer,
        created_at: clock::now_ms(),
        generation: 0,
        disabled_at: None,
    };
    store::insert_account(tx, &account, passwords::NOBODY).await?;
    if account.email.is_some() {
        set_email_verified(tx, &account.id).await?;
    }
    link(tx, identity, &account.id).await?;
    let registered = AccountRegistered {
        user_id: account.id.clone(),
        email: account.email.clone(),
        username: account.username.clone(),
        first_name: None,
        last_name: None,
        phone: None,
        language: None,
    };
    announce(tx, registered).await?;
    Ok(account)
}

/// From now on this identity is that account.
pub async fn link(tx: &Tx, identity: &Identity<'_>, account_id: &str) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO identities (issuer, subject, account_id, created_at) VALUES (?, ?, ?, ?)",
        &[
            &identity.issuer,
            &identity.subject,
            &account_id,
            &clock::now_ms(),
        ],
    )
    .await
}

pub async fn set_email_verified(tx: &Tx, account_id: &str) -> Result<(), DbError> {
    tx.execute(
        "UPDATE accounts SET email_verified_at = ? WHERE id = ?",
        &[&clock::now_ms(), &account_id],
    )
    .await
}

pub async fn is_email_verified(tx: &Tx, account_id: &str) -> Result<bool, DbError> {
    let sql = "SELECT email_verified_at IS NOT NULL FROM accounts WHERE id = ?";
    let row = tx.first(sql, &[&account_id]).await?;
    row.map_or(Ok(false), |row| row.flag(0))
}

/// The guards must hear of this account: to be called in the transaction that bars it, lets it in again, or
/// gives it another role.
pub async fn changed(tx: &Tx, account_id: &str) -> Result<(), DbError> {
    tx.execute(
        "UPDATE identities SET changes = changes + 1 WHERE account_id = ?",
        &[&account_id],
    )
    .await
}

/// Tells the guards of every account that has changed, and then of every token that is revoked: in this order,
/// or a guard might verify a token anew that has just been taken away, and find its account as it was.
pub async fn apply_with_tokens(db: &Db) -> Result<(), Problem> {
    apply(db).await?;
    revocation::apply(db).await
}

/// Tells the guards of every account that has changed.
async fn apply(db: &Db) -> Result<(), Problem> {
    loop {
        let rows = select(db, "identities.told <> identities.changes").await?;
        if rows.is_empty() {
            return Ok(());
        }
        let store = open_default().await?;
        for row in &rows {
            tell_of(&store, row).await?;
            // Where the account has changed again, another may have told of that before this one wrote:
            // then nothing counts as told, and the next round does it anew.
            db.execute(
                "UPDATE identities SET told = CASE WHEN changes = ?1 THEN ?1 ELSE 0 END
                 WHERE issuer = ?2 AND subject = ?3",
                &[&row.changes, &row.issuer, &row.subject],
            )
            .await?;
        }
    }
}

/// What the guards must know about one identity.
pub struct Telling {
    issuer: String,
    subject: String,
    changes: i64,
    who: Who,
}

async fn select(db: &Db, which: &str) -> Result<Vec<Telling>, DbError> {
    let sql = format!(
        "SELECT identities.issuer, identities.subject, identities.changes, identities.account_id,
                {BARRED}, accounts.role
         FROM identities JOIN accounts ON accounts.id = identities.account_id WHERE {which} LIMIT ?"
    );
    let rows = db.query(&sql, &[&BATCH]).await?;
    let telling = |row: &Row| {
        Ok(Telling {
            issuer: row.text(0)?,
            subject: row.text(1)?,
            changes: row.int(2)?,
            who: Who {
                account: row.text(3)?,
                barred: row.flag(4)?,
                role: row.text(5)?,
            },
        })
    };
    rows.iter().map(telling).collect()
}

async fn tell_of(store: &Store, telling: &Telling) -> Result<(), Problem> {
    let key = who_key(&account_of(&telling.issuer, &telling.subject));
    let who = serde_json::to_vec(&telling.who);
    let who = who.map_err(|error| Problem::internal(error.to_string()))?;
    store.set(key, who).await.map_err(unavailable)
}

/// Writes these to the store, where the guards look. Safe to repeat.
pub async fn tell(store: &Store, accounts: &[Telling]) -> Result<(), Problem> {
    for telling in accounts {
        tell_of(store, telling).await?;
    }
    Ok(())
}

/// Identities that are in the store but not sealed (see `told`), a bounded number.
pub async fn unsealed(db: &Db) -> Result<Vec<Telling>, DbError> {
    let told = "identities.told = identities.changes";
    select(
        db,
        &format!("identities.sealed <> identities.changes AND {told}"),
    )
    .await
}

/// Records that these are sealed. One that has changed meanwhile is written again, for the reason given in `apply`.
pub async fn seal(tx: &Tx, accounts: &[Telling]) -> Result<(), DbError> {
    for telling in accounts {
        tx.execute(
            "UPDATE identities SET sealed = CASE WHEN changes = ?1 THEN ?1 ELSE 0 END,
                 told = CASE WHEN changes = ?1 THEN told ELSE 0 END
             WHERE issuer = ?2 AND subject = ?3",
            &[&telling.changes, &telling.issuer, &telling.subject],
        )
        .await?;
    }
    Ok(())
}

/// Marks every identity as not written.
pub async fn untell(tx: &Tx) -> Result<(), DbError> {
    tx.execute("UPDATE identities SET told = 0, sealed = 0", &[])
        .await
}
