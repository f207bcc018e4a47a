//! Whose tokens are trusted: the public keys, the issuer and the audience, from the variables.

use crate::Denial;
use crate::known::VerifiedBy;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use wasmart_printable::one_line;
use wasmart_tokens::config::{TrustedIssuer, trusted_issuers};
use wasmart_tokens::digest;
use wasmart_tokens::keys::{FRESH_SECONDS, PublicKey, PublicKeys, parse};

/// What a token must match.
pub struct Trust {
    /// By `kid`.
    pub keys: PublicKeys,
    pub issuer: String,
    pub audience: String,
    /// Other issuers whose tokens are admitted, each with the mark of its entry.
    others: Vec<(TrustedIssuer, String)>,
    /// By `kid`: a hash of the key, our issuer and our audience.
    marks: HashMap<String, String>,
}

/// What this instance trusts, and since when, in seconds.
static TRUST: Mutex<Option<(Arc<Trust>, u64)>> = Mutex::new(None);

impl Trust {
    /// Parsed once a minute: keys may come and go while an instance lives.
    pub async fn get(now: u64) -> Result<Arc<Trust>, Denial> {
        Trust::at_most(FRESH_SECONDS, now).await
    }

    /// As [`Trust::get`], where a token names a key that is not known: it may be new.
    pub async fn renewed(now: u64) -> Result<Arc<Trust>, Denial> {
        Trust::at_most(1, now).await
    }

    pub fn new(
        keys: PublicKeys,
        issuer: String,
        audience: String,
        others: Vec<TrustedIssuer>,
    ) -> Trust {
        let mark = |key: &PublicKey| digest(&format!("{issuer}\n{audience}\n{}", key.mark));
        let marks = keys.iter().map(|(kid, key)| (kid.clone(), mark(key)));
        let marked = |other: TrustedIssuer| {
            let mark = other.mark();
            (other, mark)
        };
        Trust {
            marks: marks.collect(),
            others: others.into_iter().map(marked).collect(),
            keys,
            issuer,
            audience,
        }
    }

    /// For a token that was verified with this key of ours.
    pub fn ours(&self, kid: String) -> VerifiedBy {
        let mark = self.marks.get(&kid).cloned().unwrap_or_default();
        VerifiedBy::Ours { kid, mark }
    }

    /// Whether the variables still trust what a token was verified with. Whether another issuer still publishes its
    /// key, `foreign` knows.
    pub fn covers(&self, by: &VerifiedBy) -> bool {
        match by {
            VerifiedBy::Ours { kid, mark } => self.marks.get(kid) == Some(mark),
            VerifiedBy::Issuer { issuer, entry, .. } => {
                let other = self.other(issuer);
                other.is_some_and(|(_, mark)| mark == entry)
            }
        }
    }

    /// Another issuer, if it is trusted, with the mark of its entry. Ours is never another one.
    pub fn other(&self, issuer: &str) -> Option<&(TrustedIssuer, String)> {
        let mut others = self.others.iter();
        others.find(|(other, _)| other.issuer == issuer && issuer != self.issuer)
    }

    /// A set that can't be read does not take away what is known; where nothing is, it is a fault of the
    /// installation, and not remembered.
    async fn at_most(age: u64, now: u64) -> Result<Arc<Trust>, Denial> {
        let known = kept();
        if let Some((trust, since)) = &known
            && (0..age).contains(&now.wrapping_sub(*since))
        {
            return Ok(trust.clone());
        }
        let trust = match (Trust::read().await, known) {
            (Ok(trust), _) => Arc::new(trust),
            (Err(fault), Some((trust, _))) => {
                log(&format!("the trusted keys stay as they were: {fault:?}"));
                trust
            }
            (Err(fault), None) => return Err(fault),
        };
        *TRUST.lock().unwrap_or_else(PoisonError::into_inner) = Some((trust.clone(), now));
        Ok(trust)
    }

    async fn read() -> Result<Trust, Denial> {
        Ok(Trust::new(
            parse(&variable("jwks").await?).map_err(Denial::Unavailable)?,
            variable("issuer").await?,
            variable("audience").await?,
            others().await,
        ))
    }
}

/// A variable that can't be read keeps others out, and nobody else.
async fn others() -> Vec<TrustedIssuer> {
    let text = spin_sdk::variables::get("trusted_issuers").await;
    trusted_issuers(&text.unwrap_or_default()).unwrap_or_else(|fault| {
        log(&format!("no other issuer is trusted: {fault}"));
        vec![]
    })
}

fn kept() -> Option<(Arc<Trust>, u64)> {
    TRUST.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

async fn variable(name: &str) -> Result<String, Denial> {
    spin_sdk::variables::get(name)
        .await
        .map_err(|error| Denial::Unavailable(format!("variable {name}: {error}")))
}

/// One line, whatever the fault quotes.
fn log(text: &str) {
    eprintln!("{}", one_line(text));
}
