//! Makes sure that the guards still know which tokens and accounts are revoked. They look in the key-value store, and
//! that store may lose what the database has recorded as written there: somebody deletes it, restores an older copy,
//! or a power cut takes its last writes.
//!
//! So the tick writes every revocation a second time and then seals it: it puts a new mark into the store and the same
//! mark into the database. A store keeps the order of its writes, so a store with the current mark also has everything
//! that was written before the mark. If the mark differs or is missing, everything that still matters is written again.
//! Until that is done the store has no mark, and the guards admit no token that they have not seen before.

use crate::key_value::{open_default, unavailable};
use crate::{SERVICE, identities, revocation};
use spin_sdk::wasip3::clocks::monotonic_clock::wait_for;
use std::sync::atomic::{AtomicBool, Ordering};
use wasmart_service::db::{Db, DbError, Tx};
use wasmart_service::http::Problem;
use wasmart_service::new_id;
use wasmart_tokens::notes::TOLD;

/// How long another host may need between writing its mark to the database and to the store, in nanoseconds.
const PAUSE: u64 = 200_000_000;

static DONE: AtomicBool = AtomicBool::new(false);

/// Called before a token is issued, so that the first tokens of a new shop work before the first tick. Costs one
/// look-up per instance.
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

/// Writes to the store what is missing there, for whatever reason, and seals it. Called by the tick.
pub async fn check(db: &Db) -> Result<(), Problem> {
    if !is_whole(db).await? {
        // Another host may have written one of the two marks and not yet the other.
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
            // Another host sealed first. The next tick does the rest.
            return Ok(tx.rollback().await?);
        }
        revocation::seal(&tx, &tokens).await?;
        identities::seal(&tx, &accounts).await?;
        tx.commit().await?;
        store.set(TOLD, now).await.map_err(unavailable)?;
    }
}

/// Whether the store has the current mark. While everything is being written again, there is no current mark.
async fn is_whole(db: &Db) -> Result<bool, Problem> {
    let ours = mark(db).await?;
    let store = open_default().await?;
    let theirs = store.get(TOLD).await.map_err(unavailable)?;
    Ok(ours.is_empty() || theirs.as_deref() == Some(ours.as_bytes()))
}

/// Marks everything as unwritten. If a crash interrupts the writing, the next tick goes on with it.
async fn tell_all_again() -> Result<(), Problem> {
    wasmart_service::log!("the key-value store has lost revocations; they are written again");
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
