//! What the key-value store knows of tokens. The key layout is shared with `components/auth`, which
//! revokes and sweeps: `t:` + SHA-256 of a token → its claims, `r:` + `jti` → revoked.

use crate::Claims;
use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use spin_sdk::key_value::{Error, Store};
use std::sync::OnceLock;

/// The store can't be read or written; nobody is let through then.
pub type StoreError = Error;

/// Opened once in the life of an instance: every request asks it.
static STORE: OnceLock<Store> = OnceLock::new();

/// One token's place in the store.
pub struct Known {
    store: &'static Store,
    key: String,
}

impl Known {
    pub async fn open(token: &str) -> Result<Known, StoreError> {
        let digest =
            Base64UrlSafeNoPadding::encode_to_string(hmac_sha256::Hash::hash(token.as_bytes()))
                .map_err(|error| Error::Other(error.to_string()))?;
        Ok(Known {
            store: store().await?,
            key: format!("t:{digest}"),
        })
    }

    /// The claims of the token, if it was verified before and not revoked since. An entry that can't
    /// be read counts as none: the token is then verified again.
    pub async fn claims(&self) -> Result<Option<Claims>, StoreError> {
        let entry = self.store.get(&self.key).await?;
        Ok(entry.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    pub async fn remember(&self, claims: &Claims) -> Result<(), StoreError> {
        let entry = serde_json::to_vec(claims).map_err(|error| Error::Other(error.to_string()))?;
        self.store.set(&self.key, entry).await
    }

    pub async fn forget(&self) -> Result<(), StoreError> {
        self.store.delete(&self.key).await
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
