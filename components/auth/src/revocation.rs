//! Taking tokens back. The decision is a row, written in the transaction of what caused it; then it
//! is applied to the key-value store, where the guard looks. What a crash leaves unapplied, the next
//! one to come here applies, at the latest the tick.
//!
//! The keys are shared with `components/guard`: `r:` + `jti` → revoked, `t:` + SHA-256 of the token →
//! its claims.

use crate::key_value::{open_default, unavailable};
use serde_json::json;
use wasmart_service::clock;
use wasmart_service::db::{Db, DbError, Tx};
use wasmart_service::guard::Caller;
use wasmart_service::http::Problem;

/// Rows taken at once.
const BATCH: i64 = 200;
/// How long after its end a token is forgotten; clocks differ a little.
const GRACE_MS: i64 = 60_000;

/// Revokes what is left of a family: no refresh, no access.
pub async fn revoke_family(tx: &Tx, family: &str) -> Result<(), DbError> {
    revoke(tx, "refresh_tokens", "family", family).await?;
    revoke(tx, "access_tokens", "family", family).await
}

/// Revokes all that an account has.
pub async fn revoke_account(tx: &Tx, account: &str) -> Result<(), DbError> {
    revoke(tx, "refresh_tokens", "account_id", account).await?;
    revoke_access(tx, account).await
}

/// Revokes the access tokens of an account: who has them must refresh.
pub async fn revoke_access(tx: &Tx, account: &str) -> Result<(), DbError> {
    revoke(tx, "access_tokens", "account_id", account).await
}

async fn revoke(tx: &Tx, table: &str, column: &str, value: &str) -> Result<(), DbError> {
    let sql = format!(
        "UPDATE {table} SET revoked_at = ?1
         WHERE {column} = ?2 AND revoked_at IS NULL AND expires_at > ?1"
    );
    tx.execute(&sql, &[&clock::now_ms(), &value]).await
}

/// Revokes the token behind a request and gives its family. One that the database does not know
/// (it was restored, say) is a family of its own.
pub async fn revoke_own(tx: &Tx, caller: &Caller, token_hash: &str) -> Result<String, DbError> {
    let expires_at = i64::try_from(caller.expires_at.saturating_mul(1000)).unwrap_or(i64::MAX);
    let row = tx
        .first(
            "INSERT INTO access_tokens (jti, account_id, family, token_hash, expires_at, revoked_at)
             VALUES (?1, ?2, ?1, ?3, ?4, ?5)
             ON CONFLICT (jti) DO UPDATE SET revoked_at = coalesce(revoked_at, excluded.revoked_at)
             RETURNING family",
            &[&caller.token_id, &caller.id, &token_hash, &expires_at, &clock::now_ms()],
        )
        .await?;
    row.map_or_else(|| Ok(caller.token_id.clone()), |row| row.text(0))
}

/// Makes every decided revocation known to the guards.
pub async fn apply(db: &Db) -> Result<(), Problem> {
    loop {
        let rows = db
            .query(
                "SELECT jti, token_hash, expires_at FROM access_tokens
                 WHERE revoked_at IS NOT NULL AND applied_at IS NULL LIMIT ?",
                &[&BATCH],
            )
            .await?;
        if rows.is_empty() {
            return Ok(());
        }
        let store = open_default().await?;
        let mut applied = Vec::with_capacity(rows.len());
        for row in &rows {
            let jti = row.text(0)?;
            let entry = json!({ "exp": row.int(2)? / 1000 }).to_string();
            // In this order: see `admit` in `components/guard`.
            store
                .set(format!("r:{jti}"), entry)
                .await
                .map_err(unavailable)?;
            store
                .delete(format!("t:{}", row.text(1)?))
                .await
                .map_err(unavailable)?;
            applied.push(jti);
        }
        db.execute(
            "UPDATE access_tokens SET applied_at = ?
             WHERE jti IN (SELECT value FROM json_each(?))",
            &[&clock::now_ms(), &json!(applied).to_string()],
        )
        .await?;
    }
}

/// Forgets tokens past their end, a bounded number at once. The rows tell which entries to take away,
/// so the key-value store need not be searched.
pub async fn sweep(db: &Db) -> Result<(), Problem> {
    let ended = clock::now_ms() - GRACE_MS;
    let rows = db
        .query(
            "SELECT jti, token_hash FROM access_tokens WHERE expires_at < ? ORDER BY expires_at LIMIT ?",
            &[&ended, &BATCH],
        )
        .await?;
    if !rows.is_empty() {
        let store = open_default().await?;
        let mut swept = Vec::with_capacity(rows.len());
        for row in &rows {
            let jti = row.text(0)?;
            store
                .delete(format!("t:{}", row.text(1)?))
                .await
                .map_err(unavailable)?;
            store
                .delete(format!("r:{jti}"))
                .await
                .map_err(unavailable)?;
            swept.push(jti);
        }
        db.execute(
            "DELETE FROM access_tokens WHERE jti IN (SELECT value FROM json_each(?))",
            &[&json!(swept).to_string()],
        )
        .await?;
    }
    db.execute(
        "DELETE FROM refresh_tokens WHERE hash IN
             (SELECT hash FROM refresh_tokens WHERE expires_at < ? LIMIT ?)",
        &[&ended, &BATCH],
    )
    .await?;
    Ok(())
}
