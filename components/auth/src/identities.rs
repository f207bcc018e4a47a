//! Whom other issuers know our accounts as, and what the guards are told of these: a guard takes a token of
//! another issuer without asking the database, so a deleted account must be barred where it looks.
//!
//! As with revoked tokens (`revocation`), the decision is a row, and applying it follows.

use crate::key_value::{open_default, unavailable};
use crate::passwords;
use crate::register::announce;
use crate::revocation;
use crate::store::{self, Account};
use serde_json::json;
use wasmart_contracts::messages::AccountRegistered;
use wasmart_domain::account::{Role, normalize_email, normalize_username};
use wasmart_service::clock;
use wasmart_service::db::{Db, DbError, Tx};
use wasmart_service::http::Problem;
use wasmart_tokens::account_of;
use wasmart_tokens::notes::who_key;

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
    let sql = format!(
        "SELECT identities.issuer, identities.subject, identities.changes, identities.account_id,
                {BARRED}, accounts.role
         FROM identities JOIN accounts ON accounts.id = identities.account_id
         WHERE identities.told <> identities.changes LIMIT ?"
    );
    loop {
        let rows = db.query(&sql, &[&BATCH]).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let store = open_default().await?;
        for row in &rows {
            let (issuer, subject, changes) = (row.text(0)?, row.text(1)?, row.int(2)?);
            let who =
                json!({"account": row.text(3)?, "barred": row.flag(4)?, "role": row.text(5)?});
            let key = who_key(&account_of(&issuer, &subject));
            store.set(key, who.to_string()).await.map_err(unavailable)?;
            // Where the account has changed again, another may have told of that before this one wrote:
            // then nothing counts as told, and the next round does it anew.
            db.execute(
                "UPDATE identities SET told = CASE WHEN changes = ?1 THEN ?1 ELSE 0 END
                 WHERE issuer = ?2 AND subject = ?3",
                &[&changes, &issuer, &subject],
            )
            .await?;
        }
    }
}
