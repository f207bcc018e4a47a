//! The SQL of auth: accounts and the two kinds of token. Functions that write within a unit of work
//! take the transaction; the rest take any handle.

use crate::session::{Family, Session};
use serde::Serialize;
use wasmart_domain::account::Role;
use wasmart_service::clock;
use wasmart_service::db::{Db, DbError, Row, Tx};

const ACCOUNT: &str = "id, email, username, role, created_at";

/// An account that is not deleted.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: String,
    pub email: Option<String>,
    pub username: Option<String>,
    pub role: Role,
    pub created_at: i64,
}

/// An account as admins see it.
#[derive(Serialize)]
pub struct AccountView {
    pub id: String,
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    role: &'static str,
    created_at: String,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> AccountView {
        AccountView {
            id: account.id,
            email: account.email,
            username: account.username,
            role: account.role.as_str(),
            created_at: clock::rfc3339(account.created_at),
        }
    }
}

fn account(row: &Row) -> Result<Account, DbError> {
    Ok(Account {
        id: row.text(0)?,
        email: row.opt_text(1)?,
        username: row.opt_text(2)?,
        role: Role::parse(&row.text(3)?).ok_or(DbError::Shape {
            index: 3,
            expected: "a role",
        })?,
        created_at: row.int(4)?,
    })
}

/// What another account has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Email,
    Username,
}

pub async fn taken(db: &Db, email: &str, username: Option<&str>) -> Result<Option<Taken>, DbError> {
    let row = db
        .first(
            "SELECT email IS ?1 FROM accounts WHERE email = ?1 OR username = ?2
             ORDER BY email IS ?1 DESC LIMIT 1",
            &[&email, &username],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(if row.flag(0)? {
        Taken::Email
    } else {
        Taken::Username
    }))
}

pub async fn insert_account(
    tx: &Tx,
    account: &Account,
    password_hash: &str,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO accounts (id, email, username, password_hash, role, created_at)
         VALUES (?, ?, ?, ?, ?, ?)",
        &[
            &account.id,
            &account.email,
            &account.username,
            &password_hash,
            &account.role.as_str(),
            &account.created_at,
        ],
    )
    .await
}

/// The account that logs in under this email or username, with its password's hash.
pub async fn by_login(
    db: &Db,
    column: &'static str,
    login: &str,
) -> Result<Option<(Account, String)>, DbError> {
    let sql = format!("SELECT {ACCOUNT}, password_hash FROM accounts WHERE {column} = ?");
    let row = db.first(&sql, &[&login]).await?;
    row.map(|row| Ok((account(&row)?, row.text(5)?)))
        .transpose()
}

pub async fn by_id(db: &Db, id: &str) -> Result<Option<Account>, DbError> {
    let sql = format!("SELECT {ACCOUNT} FROM accounts WHERE id = ? AND deleted_at IS NULL");
    db.first(&sql, &[&id])
        .await?
        .map(|row| account(&row))
        .transpose()
}

pub async fn list(db: &Db, before: &str, limit: i64) -> Result<Vec<Account>, DbError> {
    let sql = format!(
        "SELECT {ACCOUNT} FROM accounts WHERE id < ? AND deleted_at IS NULL ORDER BY id DESC LIMIT ?"
    );
    db.query(&sql, &[&before, &limit])
        .await?
        .iter()
        .map(account)
        .collect()
}

pub async fn set_role(tx: &Tx, id: &str, role: Role) -> Result<Option<Account>, DbError> {
    let sql = format!(
        "UPDATE accounts SET role = ? WHERE id = ? AND deleted_at IS NULL RETURNING {ACCOUNT}"
    );
    tx.first(&sql, &[&role.as_str(), &id])
        .await?
        .map(|row| account(&row))
        .transpose()
}

/// What there was to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    Now,
    Before,
    Unknown,
}

/// Takes everything personal off the row. The id stays, so that it is never given out again.
pub async fn delete_account(tx: &Tx, id: &str) -> Result<Deleted, DbError> {
    let row = tx
        .first("SELECT deleted_at FROM accounts WHERE id = ?", &[&id])
        .await?;
    let Some(row) = row else {
        return Ok(Deleted::Unknown);
    };
    if row.opt_int(0)?.is_some() {
        return Ok(Deleted::Before);
    }
    tx.execute(
        "UPDATE accounts SET email = NULL, username = NULL, password_hash = '', deleted_at = ?
         WHERE id = ?",
        &[&clock::now_ms(), &id],
    )
    .await?;
    Ok(Deleted::Now)
}

/// Keeps fresh tokens; false when the account has changed since they were signed, in which case they
/// must not be given out.
pub async fn insert_session(tx: &Tx, session: &Session) -> Result<bool, DbError> {
    let current = by_id(tx, &session.account.id).await?;
    if current.is_none_or(|account| account.role != session.account.role) {
        return Ok(false);
    }
    tx.execute(
        "INSERT INTO refresh_tokens (hash, family, account_id, created_at, expires_at)
         VALUES (?, ?, ?, ?, ?)",
        &[
            &session.refresh_hash,
            &session.family.id,
            &session.account.id,
            &clock::now_ms(),
            &session.family.ends_at,
        ],
    )
    .await?;
    tx.execute(
        "INSERT INTO access_tokens (jti, account_id, family, token_hash, expires_at)
         VALUES (?, ?, ?, ?, ?)",
        &[
            &session.token_id,
            &session.account.id,
            &session.family.id,
            &session.access_hash,
            &session.access_expires_at,
        ],
    )
    .await?;
    Ok(true)
}

/// A refresh token as it was when it was looked up.
pub struct Refresh {
    pub account_id: String,
    pub family: Family,
    pub used_at: Option<i64>,
}

/// A refresh token that was neither revoked nor has ended.
pub async fn refresh_token(db: &Db, hash: &str) -> Result<Option<Refresh>, DbError> {
    let row = db
        .first(
            "SELECT account_id, family, expires_at, used_at FROM refresh_tokens
             WHERE hash = ? AND revoked_at IS NULL AND expires_at > ?",
            &[&hash, &clock::now_ms()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Refresh {
        account_id: row.text(0)?,
        family: Family {
            id: row.text(1)?,
            ends_at: row.int(2)?,
        },
        used_at: row.opt_int(3)?,
    }))
}

/// Uses a refresh token up; false when another request was first.
pub async fn use_refresh_token(tx: &Tx, hash: &str) -> Result<bool, DbError> {
    let row = tx
        .first(
            "UPDATE refresh_tokens SET used_at = ?1
             WHERE hash = ?2 AND used_at IS NULL AND revoked_at IS NULL AND expires_at > ?1
             RETURNING 1",
            &[&clock::now_ms(), &hash],
        )
        .await?;
    Ok(row.is_some())
}
