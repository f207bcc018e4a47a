//! Whether the guards still know what they have been told. The key-value store, where they look, may lose what the
//! database has noted as told: it is deleted, restored from an older copy, or a power cut takes its last writes.
//!
//! So the tick tells everything once more and seals it: the store gets a new mark, which is also a row here. A store
//! has its writes in order, so one that has the mark has all that came before. One that has another mark, or none,
//! is told everything again that still matters; until that is done it has no mark at all, and the guards let in no
//! token that they do not know.

use crate::key_value::{open_default, unavailable};
use crate::{SERVICE, identities, revocation};
use spin_sdk::wasip3::clocks::monotonic_clock::wait_for;
use std::sync::atomic::{AtomicBool, Ordering};
use wasmart_service::db::{Db, DbError, Tx};
use wasmart_service::http::Problem;
use wasmart_service::new_id;
use wasmart_tokens::notes::TOLD;

/// How long another host may take between its two writes of a mark, in nanoseconds.
const PAUSE: u64 = 200_000_000;

static DONE: AtomicBool = AtomicBool::new(false);

/// Called before a token is given out, so that the first ones of a new shop need not wait for the tick. Costs one
/// look-up in the life of an instance.
pub async fn ensure() -> Result<(), Problem> {
    if DONE.load(Ordering::Relaxed) {
        return Ok(());
    }
    let store = open_default().await?;
    if !store.exists(TOLD).await.map_err(unavailable)? {
        check(&Db::open(&SERVICE).await?).await?;
    }
    DONE.store(true, Ordering::Relaxed);
    Ok(())
}

/// Tells what has not been told, whatever the reason, and seals it. The tick's part.
pub async fn check(db: &Db) -> Result<(), Problem> {
    if !is_whole(db).await? {
        // Another host may be between its two writes.
        wait_for(PAUSE).await;
        if !is_whole(db).await? {
            tell_all_again().await?;
        }
    }
    identities::apply_with_tokens(db).await?;
    loop {
        let before = mark(db).await?;
        let tokens = revocation::unsealed(db).await?;
        let accounts = identities::unsealed(db).await?;
        if tokens.is_empty() && accounts.is_empty() && !before.is_empty() {
            return Ok(());
        }
        let store = open_default().await?;
        revocation::tell(&store, &tokens).await?;
        identities::tell(&store, &accounts).await?;
        let tx = Db::open(&SERVICE).await?.begin().await?;
        let now = new_id();
        if !replace_mark(&tx, &before, &now).await? {
            // Another host was faster; what is left is for the next tick.
            return Ok(tx.rollback().await?);
        }
        revocation::seal(&tx, &tokens).await?;
        identities::seal(&tx, &accounts).await?;
        tx.commit().await?;
        store.set(TOLD, now).await.map_err(unavailable)?;
    }
}

/// Whether the store has the mark that it was given last. While it is told everything it has none.
async fn is_whole(db: &Db) -> Result<bool, Problem> {
    let ours = mark(db).await?;
    let store = open_default().await?;
    let theirs = store.get(TOLD).await.map_err(unavailable)?;
    Ok(ours.is_empty() || theirs.as_deref() == Some(ours.as_bytes()))
}

/// Forgets what was told. What a crash leaves to be told, the next tick tells.
async fn tell_all_again() -> Result<(), Problem> {
    wasmart_service::log!("the key-value store has lost what it was told; it is told again");
    let store = open_default().await?;
    store.delete(TOLD).await.map_err(unavailable)?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    revocation::untell(&tx).await?;
    identities::untell(&tx).await?;
    tx.execute("UPDATE told SET mark = ''", &[]).await?;
    Ok(tx.commit().await?)
}

async fn mark(db: &Db) -> Result<String, DbError> {
    let row = db.first("SELECT mark FROM told", &[]).await?;
    row.map_or_else(|| Ok(String::new()), |row| row.text(0))
}

async fn replace_mark(tx: &Tx, before: &str, now: &str) -> Result<bool, DbError> {
    let sql = "UPDATE told SET mark = ? WHERE mark = ? RETURNING 1";
    Ok(tx.first(sql, &[&now, &before]).await?.is_some())
}
