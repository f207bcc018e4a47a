//! Brings older accounts, in small batches, into the one spelling of emails and usernames
//! (`wasmart_domain::account`), and stores the form in which administrators search. If another
//! account already has that spelling, or the rules refuse it, the account keeps its own and logs in
//! with that.

use crate::SERVICE;
use std::sync::atomic::{AtomicBool, Ordering};
use wasmart_domain::account::{normalize_email, normalize_username};
use wasmart_domain::text::fold;
use wasmart_service::db::{Db, DbError, Row, Tx};

/// Accounts taken at once.
const BATCH: i64 = 200;

static DONE: AtomicBool = AtomicBool::new(false);

/// One batch, if there is any account left. Called before anyone can register or log in, and by the tick; costs
/// one look-up in the life of an instance when all is done.
pub async fn ensure() -> Result<(), DbError> {
    if DONE.load(Ordering::Relaxed) {
        return Ok(());
    }
    let db = Db::open(&SERVICE).await?;
    if left(&db, 1).await?.is_empty() {
        DONE.store(true, Ordering::Relaxed);
        return Ok(());
    }
    let tx = db.begin().await?;
    for row in left(&tx, BATCH).await? {
        respell(&tx, &row).await?;
    }
    tx.commit().await
}

/// What administrators search in.
pub fn folded(email: Option<&str>, username: Option<&str>) -> String {
    // A search contains no line break, so it can't match across the two.
    let parts = [email, username].map(|part| fold(part.unwrap_or_default()));
    parts.join("\n")
}

async fn left(db: &Db, limit: i64) -> Result<Vec<Row>, DbError> {
    let sql = "SELECT id, email, username FROM accounts
         WHERE folded IS NULL AND deleted_at IS NULL LIMIT ?";
    db.query(sql, &[&limit]).await
}

async fn respell(tx: &Tx, row: &Row) -> Result<(), DbError> {
    let id = row.text(0)?;
    let (email, username) = (row.opt_text(1)?, row.opt_text(2)?);
    let normal_email = email.as_deref().map(normalize_email).and_then(Result::ok);
    let normal_username = username
        .as_deref()
        .map(normalize_username)
        .and_then(Result::ok);
    let email = free(tx, "email", normal_email, &id).await?.or(email);
    let username = free(tx, "username", normal_username, &id)
        .await?
        .or(username);
    let folded = folded(email.as_deref(), username.as_deref());
    tx.execute(
        "UPDATE accounts SET email = ?, username = ?, folded = ? WHERE id = ?",
        &[&email, &username, &folded, &id],
    )
    .await
}

/// The spelling, unless another account has it.
async fn free(
    tx: &Tx,
    column: &str,
    spelling: Option<String>,
    id: &str,
) -> Result<Option<String>, DbError> {
    let sql = format!("SELECT 1 FROM accounts WHERE {column} = ? AND id <> ?");
    let taken = tx.first(&sql, &[&spelling, &id]).await?;
    Ok(spelling.filter(|_| taken.is_none()))
}
