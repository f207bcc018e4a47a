//! Taking tokens back. The decision is a row, written in the transaction of what caused it; then it
//! is applied to the key-value store, where the guard looks. What a crash leaves unapplied, the next
//! one to come here applies, at the latest the tick.
//!
//! The keys are shared with `components/guard`: `r:` + `jti` → revoked, `t:` + SHA-256 of the token →
//! its claims.

use crate::key_value::{open_default, unavailable};
use serde_json::json;
use spin_sdk::key_value::Store;
use wasmart_service::clock;
use wasmart_service::db::{Db, DbError, Row, Tx};
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
        let rows = rows.iter().map(revoked).collect::<Result<Vec<_>, _>>()?;
        tell(&open_default().await?, &rows).await?;
        db.execute(
            "UPDATE access_tokens SET applied_at = ?
             WHERE jti IN (SELECT value FROM json_each(?))",
            &[&clock::now_ms(), &ids(&rows)],
        )
        .await?;
    }
}

/// An access token that is revoked.
pub struct Revoked {
    jti: String,
    token_hash: String,
    expires_at: i64,
}

fn revoked(row: &Row) -> Result<Revoked, DbError> {
    Ok(Revoked {
        jti: row.text(0)?,
        token_hash: row.text(1)?,
        expires_at: row.int(2)?,
    })
}

fn ids(tokens: &[Revoked]) -> String {
    let ids: Vec<&str> = tokens.iter().map(|token| token.jti.as_str()).collect();
    json!(ids).to_string()
}

/// Writes revocations to the store, where the guards look. Safe to repeat.
pub async fn tell(store: &Store, tokens: &[Revoked]) -> Result<(), Problem> {
    for token in tokens {
        let entry = json!({ "exp": token.expires_at / 1000 }).to_string();
        // In this order: see `admit` in `components/guard`.
        store
            .set(format!("r:{}", token.jti), entry)
            .await
            .map_err(unavailable)?;
        store
            .delete(format!("t:{}", token.token_hash))
            .await
            .map_err(unavailable)?;
    }
    Ok(())
}

/// Revoked tokens that are in the store but not sealed (see `told`), a bounded number.
pub async fn unsealed(db: &Db) -> Result<Vec<Revoked>, DbError> {
    let sql = "SELECT jti, token_hash, expires_at FROM access_tokens
         WHERE revoked_at IS NOT NULL AND sealed_at IS NULL AND applied_at IS NOT NULL LIMIT ?";
    db.query(sql, &[&BATCH])
        .await?
        .iter()
        .map(revoked)
        .collect()
}

/// Records that these are sealed.
pub async fn seal(tx: &Tx, tokens: &[Revoked]) -> Result<(), DbError> {
    tx.execute(
        "UPDATE access_tokens SET sealed_at = ? WHERE jti IN (SELECT value FROM json_each(?))",
        &[&clock::now_ms(), &ids(tokens)],
    )
    .await
}

/// Marks every revocation that still matters as not written.
pub async fn untell(tx: &Tx) -> Result<(), DbError> {
    let sql = "UPDATE access_tokens SET applied_at = NULL, sealed_at = NULL
         WHERE revoked_at IS NOT NULL AND expires_at > ?";
    tx.execute(sql, &[&(clock::now_ms() - GRACE_MS)]).await
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
