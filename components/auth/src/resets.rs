//! The SQL of tokens that set a new password, kept by their hash.

use crate::login_name::LoginName;
use crate::store::{ACCOUNT, Account, changed};
use wasmart_service::clock;
use wasmart_service::db::{Db, DbError, Tx};

/// How long a token is good.
pub const LIFETIME_MS: i64 = 10 * 60_000;
/// An end that lies further ahead than this was set before a clock was set back, and counts as past.
const FURTHEST_MS: i64 = LIFETIME_MS + 60_000;

/// Keeps a token that sets a new password, unless the account has so many already; gives the account
/// and where to write to. None for a login that is nobody's.
pub async fn insert(
    tx: &Tx,
    login: &LoginName,
    hash: &str,
    expires_at: i64,
    at_once: i64,
) -> Result<Option<(String, String)>, DbError> {
    let sql = format!(
        "INSERT INTO password_resets (hash, account_id, expires_at)
         SELECT ?1, id, ?2 FROM accounts a WHERE {0} IN (?3, ?6) AND email IS NOT NULL
             AND disabled_at IS NULL AND deleted_at IS NULL
             AND (SELECT count(*) FROM password_resets WHERE account_id = a.id AND expires_at > ?4)
                 < ?5
         ORDER BY {0} = ?6 DESC LIMIT 1
         RETURNING account_id, (SELECT email FROM accounts WHERE id = account_id)",
        login.column()
    );
    let now = clock::now_ms();
    let row = tx
        .first(
            &sql,
            &[
                &hash,
                &expires_at,
                &login.text(),
                &now,
                &at_once,
                &login.former(),
            ],
        )
        .await?;
    row.map(|row| Ok((row.text(0)?, row.text(1)?))).transpose()
}

/// Whose token this is, if it is still good.
pub async fn account_of(db: &Db, hash: &str) -> Result<Option<Account>, DbError> {
    let sql = format!(
        "SELECT {ACCOUNT} FROM accounts WHERE disabled_at IS NULL AND deleted_at IS NULL AND id =
             (SELECT account_id FROM password_resets
              WHERE hash = ?1 AND expires_at > ?2 AND expires_at <= ?2 + ?3)"
    );
    let row = db
        .first(&sql, &[&hash, &clock::now_ms(), &FURTHEST_MS])
        .await?;
    changed(row)
}

/// Uses a token up; false when another request was first.
pub async fn use_up(tx: &Tx, hash: &str) -> Result<bool, DbError> {
    let row = tx
        .first(
            "DELETE FROM password_resets
             WHERE hash = ?1 AND expires_at > ?2 AND expires_at <= ?2 + ?3 RETURNING 1",
            &[&hash, &clock::now_ms(), &FURTHEST_MS],
        )
        .await?;
    Ok(row.is_some())
}

/// Makes all tokens of an account void that would set a new password.
pub async fn forget(tx: &Tx, account: &str) -> Result<(), DbError> {
    tx.execute(
        "DELETE FROM password_resets WHERE account_id = ?",
        &[&account],
    )
    .await
}

/// Removes tokens that are past their end, or count as such.
pub async fn sweep(db: &Db) -> Result<(), DbError> {
    db.execute(
        "DELETE FROM password_resets WHERE expires_at <= ?1 OR expires_at > ?1 + ?2",
        &[&clock::now_ms(), &FURTHEST_MS],
    )
    .await
}
