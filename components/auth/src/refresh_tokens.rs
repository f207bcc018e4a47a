//! The SQL of refresh tokens, stored by their hash until their family ends: a used one that comes
//! again reveals a theft.

use crate::session::Family;
use wasmart_service::clock;
use wasmart_service::db::{Db, DbError, Tx};

/// A refresh token as it was when it was looked up.
pub struct Refresh {
    pub account_id: String,
    pub family: Family,
    pub used_at: Option<i64>,
    /// When it was taken once more.
    pub repeated_at: Option<i64>,
    /// A token that was given for this one has been used.
    pub successor_used: bool,
    /// Another token that was given for the same one has been used.
    pub rival_used: bool,
}

/// A refresh token that was neither revoked nor has ended.
pub async fn find(db: &Db, hash: &str) -> Result<Option<Refresh>, DbError> {
    let row = db
        .first(
            "SELECT account_id, family, expires_at, used_at, repeated_at,
                 EXISTS (SELECT 1 FROM refresh_tokens AS child
                         WHERE child.parent = own.hash AND child.used_at IS NOT NULL),
                 EXISTS (SELECT 1 FROM refresh_tokens AS rival
                         WHERE rival.parent = own.parent AND rival.hash <> own.hash
                             AND rival.used_at IS NOT NULL)
             FROM refresh_tokens AS own
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
        repeated_at: row.opt_int(4)?,
        successor_used: row.flag(5)?,
        rival_used: row.flag(6)?,
    }))
}

/// Uses a refresh token up.
pub async fn use_up(tx: &Tx, hash: &str) -> Result<(), DbError> {
    tx.execute(
        "UPDATE refresh_tokens SET used_at = ? WHERE hash = ?",
        &[&clock::now_ms(), &hash],
    )
    .await
}

/// Takes a used one once more.
pub async fn repeat(tx: &Tx, hash: &str) -> Result<(), DbError> {
    tx.execute(
        "UPDATE refresh_tokens SET repeated_at = ? WHERE hash = ?",
        &[&clock::now_ms(), &hash],
    )
    .await
}
