//! What the key-value store knows of tokens. The key layout is shared with `components/auth`, which
//! revokes and sweeps: `t:` + SHA-256 of a token → its verified content and what it was verified
//! with, `r:` + `jti` → revoked. What concerns other issuers is in `wasmart_tokens::notes`.

use crate::Claims;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use spin_sdk::key_value::{Error, Store};
use std::sync::OnceLock;
use wasmart_tokens::digest;
use wasmart_tokens::notes::TOLD;

/// The store can't be read or written; nobody is let through then.
pub type StoreError = Error;

/// Opened once in the life of an instance: every request asks it.
static STORE: OnceLock<Store> = OnceLock::new();

/// Seconds after which a known token is verified again.
const BELIEVED_SECONDS: u64 = 300;

/// A token that was verified before. It contains no names: a store may keep the bytes of entries that were deleted.
#[derive(Clone, Deserialize, Serialize)]
pub struct Entry {
    pub claims: Claims,
    pub by: VerifiedBy,
    /// When it must be verified again, in seconds since the Unix epoch.
    until: u64,
}

/// What a token was verified with. The marks are hashes: if the key, or what the key is trusted for, changes under the
/// same name, the mark changes too.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub enum VerifiedBy {
    /// A key of ours.
    Ours { kid: String, mark: String },
    /// A key of another issuer, and the entry of `trusted_issuers`.
    Issuer {
        issuer: String,
        entry: String,
        kid: String,
        key: String,
    },
}

impl Entry {
    /// An entry that need not be verified again for a while after `now`.
    pub fn new(claims: Claims, by: VerifiedBy, now: u64) -> Entry {
        let until = claims.expires_at.min(now + BELIEVED_SECONDS);
        Entry { claims, by, until }
    }

    /// Whether it need not be verified again yet. A time further ahead was written before a clock was set back.
    pub fn is_believed(&self, now: u64) -> bool {
        (now + 1..=now + BELIEVED_SECONDS).contains(&self.until)
    }
}

/// One token's place in the store.
pub struct Known {
    store: &'static Store,
    key: String,
}

impl Known {
    pub async fn open(token: &str) -> Result<Known, StoreError> {
        Ok(Known {
            store: store().await?,
            key: format!("t:{}", digest(token)),
        })
    }

    /// The token, if it was verified before and not revoked since. An entry that can't be read counts as
    /// none: the token is then verified again.
    pub async fn entry(&self) -> Result<Option<Entry>, StoreError> {
        self.read(&self.key).await
    }

    /// What auth has put under another key of the store, if it can be read.
    pub async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let entry = self.store.get(key).await?;
        Ok(entry.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    pub async fn remember(&self, entry: &Entry) -> Result<(), StoreError> {
        let claims = Claims {
            email: None,
            username: None,
            ..entry.claims.clone()
        };
        let entry = Entry {
            claims,
            ..entry.clone()
        };
        let entry = serde_json::to_vec(&entry).map_err(|error| Error::Other(error.to_string()))?;
        self.store.set(&self.key, entry).await
    }

    pub async fn forget(&self) -> Result<(), StoreError> {
        self.store.delete(&self.key).await
    }

    /// Whether auth has written to this store which tokens are revoked.
    pub async fn is_told(&self) -> Result<bool, StoreError> {
        self.store.exists(TOLD).await
    }

    pub async fn is_revoked(&self, token_id: &str) -> Result<bool, StoreError> {
        self.store.exists(format!("r:{token_id}")).await
    }
}

async fn store() -> Result<&'static Store, StoreError> {
    if let Some(store) = STORE.get() {
        return Ok(store);
    }
    let store = Store::open_default().await?;
    Ok(STORE.get_or_init(|| store))
}
