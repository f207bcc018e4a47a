//! The SQL of auth: accounts and what is given out for them. Functions that write within a unit of work
//! take the transaction; the rest take any handle.

use crate::login_name::LoginName;
use crate::session::Session;
use crate::spelling::folded;
use serde::Serialize;
use wasmart_domain::account::Role;
use wasmart_domain::text::fold;
use wasmart_service::clock;
use wasmart_service::db::{Db, DbError, Row, ToValue, Tx};

pub const ACCOUNT: &str = "id, email, username, role, created_at, generation, disabled_at";

/// An account that is not deleted.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: String,
    pub email: Option<String>,
    pub username: Option<String>,
    pub role: Role,
    pub created_at: i64,
    /// How often its sessions have been ended; tokens belong to one generation.
    pub generation: i64,
    /// Since when an administrator keeps it out.
    pub disabled_at: Option<i64>,
}

/// An account as admins see it.
#[derive(Serialize)]
pub struct AccountView {
    pub id: String,
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    role: &'static str,
    status: &'static str,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<String>,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> AccountView {
        AccountView {
            id: account.id,
            email: account.email,
            username: account.username,
            role: account.role.as_str(),
            status: match account.disabled_at {
                None => "active",
                Some(_) => "disabled",
            },
            created_at: clock::rfc3339(account.created_at),
            disabled_at: account.disabled_at.map(clock::rfc3339),
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
        generation: row.int(5)?,
        disabled_at: row.opt_int(6)?,
    })
}

/// Whether another account has this email or this username already.
pub async fn is_taken(db: &Db, email: &str, username: Option<&str>) -> Result<bool, DbError> {
    let row = db
        .first(
            "SELECT 1 FROM accounts WHERE email = ? OR username = ? LIMIT 1",
            &[&email, &username],
        )
        .await?;
    Ok(row.is_some())
}

/// Notes that the shop has an administrator, or has had one.
pub async fn note_admin(tx: &Tx) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO first_admin (id, at) VALUES (1, ?) ON CONFLICT (id) DO NOTHING",
        &[&clock::now_ms()],
    )
    .await
}

/// Whether the shop has ever had an administrator; also one that an operator made by hand.
pub async fn has_had_admin(db: &Db) -> Result<bool, DbError> {
    let row = db
        .first(
            "SELECT 1 FROM first_admin UNION ALL SELECT 1 FROM accounts WHERE role = ? LIMIT 1",
            &[&Role::Admin.as_str()],
        )
        .await?;
    Ok(row.is_some())
}

pub async fn insert_account(
    tx: &Tx,
    account: &Account,
    password_hash: &str,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO accounts (id, email, username, password_hash, role, created_at, folded)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
        &[
            &account.id,
            &account.email,
            &account.username,
            &password_hash,
            &account.role.as_str(),
            &account.created_at,
            &folded(account.email.as_deref(), account.username.as_deref()),
        ],
    )
    .await
}

/// The account that logs in under this email or username, with its password's hash.
pub async fn by_login(db: &Db, login: &LoginName) -> Result<Option<(Account, String)>, DbError> {
    let sql = format!(
        "SELECT {ACCOUNT}, password_hash FROM accounts WHERE {0} IN (?1, ?2)
         ORDER BY {0} = ?2 DESC LIMIT 1",
        login.column()
    );
    let row = db.first(&sql, &[&login.text(), &login.former()]).await?;
    row.map(|row| Ok((account(&row)?, row.text(7)?)))
        .transpose()
}

/// An account with its password's hash.
pub async fn with_hash(db: &Db, id: &str) -> Result<Option<(Account, String)>, DbError> {
    let sql = format!(
        "SELECT {ACCOUNT}, password_hash FROM accounts WHERE id = ? AND deleted_at IS NULL"
    );
    let row = db.first(&sql, &[&id]).await?;
    row.map(|row| Ok((account(&row)?, row.text(7)?)))
        .transpose()
}

/// The highest cost of the bcrypt hashes that are still there.
pub async fn imported_cost(db: &Db) -> Result<Option<u32>, DbError> {
    let row = db
        .first(
            // Word for word the columns of the index.
            "SELECT max(substr(password_hash, 5, 2)) FROM accounts
             WHERE substr(password_hash, 1, 2) = '$2'",
            &[],
        )
        .await?;
    let cost = row.map_or(Ok(None), |row| row.opt_text(0))?;
    Ok(cost.map(|cost| cost.parse().unwrap_or(0)))
}

/// Puts a better hash of the same password in place of one.
pub async fn upgrade_hash(tx: &Tx, id: &str, old: &str, new: &str) -> Result<(), DbError> {
    tx.execute(
        "UPDATE accounts SET password_hash = ? WHERE id = ? AND password_hash = ?",
        &[&new, &id, &old],
    )
    .await
}

/// Sets another password, if the present one is still `old`.
pub async fn replace_hash(
    tx: &Tx,
    id: &str,
    old: &str,
    new: &str,
) -> Result<Option<Account>, DbError> {
    let sql = format!(
        "UPDATE accounts SET password_hash = ?, generation = generation + 1
         WHERE id = ? AND password_hash = ? AND disabled_at IS NULL AND deleted_at IS NULL
         RETURNING {ACCOUNT}"
    );
    changed(tx.first(&sql, &[&new, &id, &old]).await?)
}

/// Sets another password, whatever the present one is.
pub async fn set_hash(tx: &Tx, id: &str, new: &str) -> Result<Option<Account>, DbError> {
    let sql = format!(
        "UPDATE accounts SET password_hash = ?, generation = generation + 1
         WHERE id = ? AND disabled_at IS NULL AND deleted_at IS NULL RETURNING {ACCOUNT}"
    );
    changed(tx.first(&sql, &[&new, &id]).await?)
}

/// Keeps an account out, or lets it in again.
pub async fn set_disabled(tx: &Tx, id: &str, disabled: bool) -> Result<Option<Account>, DbError> {
    let at = disabled.then(clock::now_ms);
    let sql = format!(
        "UPDATE accounts SET disabled_at = ?, generation = generation + 1
         WHERE id = ? AND deleted_at IS NULL RETURNING {ACCOUNT}"
    );
    changed(tx.first(&sql, &[&at, &id]).await?)
}

/// Ends what was given out so far, and what is being made now.
pub async fn end_generation(tx: &Tx, id: &str) -> Result<(), DbError> {
    tx.execute(
        "UPDATE accounts SET generation = generation + 1 WHERE id = ?",
        &[&id],
    )
    .await
}

/// Whether somebody else administers the shop.
pub async fn has_another_admin(tx: &Tx, id: &str) -> Result<bool, DbError> {
    let row = tx
        .first(
            "SELECT 1 FROM accounts WHERE role = ? AND id <> ? AND disabled_at IS NULL
                 AND deleted_at IS NULL LIMIT 1",
            &[&Role::Admin.as_str(), &id],
        )
        .await?;
    Ok(row.is_some())
}

/// The account that a statement gave back.
pub fn changed(row: Option<Row>) -> Result<Option<Account>, DbError> {
    row.map(|row| account(&row)).transpose()
}

pub async fn by_id(db: &Db, id: &str) -> Result<Option<Account>, DbError> {
    let sql = format!("SELECT {ACCOUNT} FROM accounts WHERE id = ? AND deleted_at IS NULL");
    db.first(&sql, &[&id])
        .await?
        .map(|row| account(&row))
        .transpose()
}

/// Which accounts to list; all that is none leaves nothing out.
pub struct AccountFilter {
    pub role: Option<Role>,
    pub disabled: Option<bool>,
    /// Part of the email or the username.
    pub search: Option<String>,
}

/// Accounts, newest first, from below `before`.
pub async fn list(
    db: &Db,
    filter: &AccountFilter,
    before: &str,
    limit: i64,
) -> Result<Vec<Account>, DbError> {
    let sql = format!(
        "SELECT {ACCOUNT} FROM accounts WHERE id < ?1 AND deleted_at IS NULL
             AND (?2 IS NULL OR role = ?2) AND (?3 IS NULL OR (disabled_at IS NOT NULL) = ?3)
             AND (?4 IS NULL OR instr(folded, ?4) > 0 OR (folded IS NULL
                 AND (instr(email, ?6) > 0 OR instr(username, ?6) > 0)))
         ORDER BY id DESC LIMIT ?5"
    );
    let role = filter.role.map(Role::as_str);
    let disabled = filter.disabled.map(i64::from);
    let folded = filter.search.as_deref().map(fold);
    // As accounts that no tick has folded yet are stored.
    let former = filter.search.as_deref().map(str::to_lowercase);
    let params: [&dyn ToValue; 6] = [&before, &role, &disabled, &folded, &limit, &former];
    db.query(&sql, &params).await?.iter().map(account).collect()
}

pub async fn set_role(tx: &Tx, id: &str, role: Role) -> Result<Option<Account>, DbError> {
    if role == Role::Admin {
        note_admin(tx).await?;
    }
    let sql = format!(
        "UPDATE accounts SET role = ?, generation = generation + 1
         WHERE id = ? AND deleted_at IS NULL RETURNING {ACCOUNT}"
    );
    changed(tx.first(&sql, &[&role.as_str(), &id]).await?)
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
        "UPDATE accounts SET email = NULL, username = NULL, folded = NULL, password_hash = '',
             deleted_at = ? WHERE id = ?",
        &[&clock::now_ms(), &id],
    )
    .await?;
    Ok(Deleted::Now)
}

/// Removes all personal data from registration events that have not been acknowledged yet.
pub async fn empty_announcements(tx: &Tx, id: &str) -> Result<(), DbError> {
    tx.execute(
        "UPDATE outbox SET event = json_set(event, '$.data', json_object('user_id', ?1))
         WHERE subject = ?1 AND json_extract(event, '$.type') = 'account.registered'",
        &[&id],
    )
    .await
}

/// Keeps fresh tokens; false when the account has changed since they were signed, in which case they
/// must not be given out. `parent` is the hash of the refresh token that they are given for.
pub async fn insert_session(
    tx: &Tx,
    session: &Session,
    parent: Option<&str>,
) -> Result<bool, DbError> {
    let current = by_id(tx, &session.account.id).await?;
    let is_same =
        |now: Account| now.generation == session.account.generation && now.disabled_at.is_none();
    if !current.is_some_and(is_same) {
        return Ok(false);
    }
    tx.execute(
        "INSERT INTO refresh_tokens (hash, family, account_id, created_at, expires_at, parent)
         VALUES (?, ?, ?, ?, ?, ?)",
        &[
            &session.refresh_hash,
            &session.family.id,
            &session.account.id,
            &clock::now_ms(),
            &session.family.ends_at,
            &parent,
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
