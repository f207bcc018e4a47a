//! The notes that guards leave of tokens of other issuers: each makes sure of the account, and becomes a row
//! like those of our own tokens, so that it can be revoked and swept.

use crate::identities::{self, Identity};
use crate::key_value::{open, open_default, unavailable};
use wasmart_service::clock;
use wasmart_service::db::{Db, DbError, Tx};
use wasmart_service::http::Problem;
use wasmart_tokens::notes::{SEEN, STORE, Seen, seen_key};

/// Notes taken at once.
const BATCH: usize = 200;

/// Takes in what lies there, a bounded number of notes.
pub async fn take_in(db: Db) -> Result<(), Problem> {
    let store = open(STORE).await?;
    let keys = store
        .get_keys()
        .await
        .collect()
        .await
        .map_err(unavailable)?;
    let mut notes = Vec::new();
    for key in keys.iter().filter(|key| key.starts_with(SEEN)).take(BATCH) {
        let note = store.get(key).await.map_err(unavailable)?;
        let length = note.as_ref().map_or(0, Vec::len);
        let note = note.and_then(|bytes| serde_json::from_slice::<Seen>(&bytes).ok());
        notes.push((key.trim_start_matches(SEEN), note, length));
    }
    if notes.is_empty() {
        return Ok(());
    }
    let tx = db.begin().await?;
    let mut mistaken = Vec::new();
    for (hash, note, _) in &notes {
        if let Some(note) = note
            && !enter(&tx, hash, note).await?
        {
            mistaken.push(*hash);
        }
    }
    tx.commit().await?;
    let tokens = open_default().await?;
    for hash in mistaken {
        tokens
            .delete(format!("t:{hash}"))
            .await
            .map_err(unavailable)?;
    }
    // Last: what a crash leaves undone is done again, to the same effect.
    for (hash, _, length) in notes {
        // The note contains names, and not every host overwrites what it deletes. So write spaces over it first.
        let spaces = vec![b' '; length];
        store
            .set(seen_key(hash), spaces)
            .await
            .map_err(unavailable)?;
        store.delete(seen_key(hash)).await.map_err(unavailable)?;
    }
    Ok(())
}

/// False where the guard took the token for another account than it is now: the identity has been linked
/// meanwhile, and the token must be looked at again.
async fn enter(tx: &Tx, hash: &str, note: &Seen) -> Result<bool, DbError> {
    let identity = Identity {
        issuer: &note.issuer,
        subject: &note.subject,
        email: note.email.as_deref(),
        username: note.username.as_deref(),
    };
    let (account_id, is_barred) = match identities::find(tx, &note.issuer, &note.subject).await? {
        Some(known) => (known.account_id, known.is_barred),
        None => (identities::make_account(tx, &identity).await?.id, false),
    };
    let now = clock::now_ms();
    let expires_at = i64::try_from(note.expires_at.saturating_mul(1000)).unwrap_or(i64::MAX);
    tx.execute(
        "INSERT INTO access_tokens (jti, account_id, family, token_hash, expires_at, revoked_at)
         VALUES (?1, ?2, ?1, ?3, ?4, ?5) ON CONFLICT (jti) DO NOTHING",
        &[
            &note.token_id,
            &account_id,
            &hash,
            &expires_at,
            &is_barred.then_some(now),
        ],
    )
    .await?;
    Ok(account_id == note.account)
}
