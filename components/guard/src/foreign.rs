//! Tokens of other issuers. The guard asks nobody but the key-value stores: auth keeps the issuers' keys
//! there, and takes away the notes that are left for it (`wasmart_tokens::notes`).

use crate::known::{Entry, Known, StoreError, VerifiedBy};
use crate::{Claims, Denial};
use spin_sdk::key_value::Store;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use wasmart_tokens::config::TrustedIssuer;
use wasmart_tokens::foreign::{Access, Fault, access};
use wasmart_tokens::keys::{PublicKeys, parse_published};
use wasmart_tokens::notes::{self, IssuerKeys, Seen, Who};
use wasmart_tokens::{account_of, digest};

/// Seconds after which an instance reads an issuer's keys again. Withdrawn keys should stop working soon.
const FRESH_SECONDS: u64 = 10;

/// An issuer's keys as this instance knows them.
#[derive(Clone)]
struct Keys {
    /// When auth asked the issuer; milliseconds since the Unix epoch.
    asked_at: i64,
    /// When they were looked up here, in seconds.
    since: u64,
    /// None where the issuer has never answered.
    keys: Option<Arc<PublicKeys>>,
}

static KEYS: Mutex<Option<HashMap<String, Keys>>> = Mutex::new(None);

/// A token that is valid, and what auth shall know of it.
pub struct Verified {
    pub entry: Entry,
    seen: Seen,
}

/// Verifies a token, at `now` in seconds, and tells who of ours it is about. [`Denial::Pending`] while auth is to ask
/// for its key, unless this is the `last` try.
pub async fn verify(
    token: &str,
    (issuer, mark): &(TrustedIssuer, String),
    known: &Known,
    now: u64,
    last: bool,
) -> Result<Verified, Denial> {
    let access = match try_keys(token, issuer, known, now, FRESH_SECONDS).await? {
        Err(Fault::UnknownKey) => {
            if !have_been_asked_for(issuer, known, now).await? && !last {
                return Err(Denial::Pending);
            }
            if keys(&issuer.issuer, known, now, 0).await?.keys.is_none() {
                // Nobody can say what the token is worth.
                return Err(Denial::Unavailable("an issuer's keys are not known".into()));
            }
            try_keys(token, issuer, known, now, 0).await?
        }
        other => other,
    };
    let access = access.map_err(|fault| match fault {
        Fault::Expired => Denial::Expired,
        Fault::Invalid | Fault::UnknownKey => Denial::Invalid,
    })?;
    let account = account_of(&issuer.issuer, &access.person.subject);
    let who = who(known, &account).await?;
    let key = keys(&issuer.issuer, known, now, FRESH_SECONDS).await?;
    let by = VerifiedBy::Issuer {
        issuer: issuer.issuer.clone(),
        entry: mark.clone(),
        key: key.mark(&access.key).unwrap_or_default().to_owned(),
        kid: access.key.clone(),
    };
    Ok(verified(issuer, access, who, by, now))
}

/// Whether an issuer still publishes a key, known by its `kid` and its mark.
pub async fn has_key(
    issuer: &str,
    (kid, mark): (&str, &str),
    known: &Known,
    now: u64,
) -> Result<bool, StoreError> {
    let keys = keys(issuer, known, now, FRESH_SECONDS).await?;
    Ok(keys.mark(kid) == Some(mark))
}

impl Keys {
    fn mark(&self, kid: &str) -> Option<&str> {
        let key = self.keys.as_ref()?.get(kid)?;
        Some(&key.mark)
    }
}

/// Leaves word for auth, which makes the account where there is none, and can then revoke the token.
/// Before the token is remembered: what is not noted could not be taken back.
pub async fn note(verified: &Verified, token: &str) -> Result<(), Denial> {
    let note = serde_json::to_vec(&verified.seen)
        .map_err(|error| Denial::Unavailable(error.to_string()))?;
    let store = Store::open(notes::STORE).await?;
    store.set(notes::seen_key(&digest(token)), note).await?;
    Ok(())
}

/// Whether the account may be let in, now that the token is remembered.
pub async fn is_barred(verified: &Verified, known: &Known) -> Result<bool, StoreError> {
    let account = account_of(&verified.seen.issuer, &verified.seen.subject);
    let found: Option<Who> = known.read(&notes::who_key(&account)).await?;
    Ok(found.is_some_and(|who| who.barred || who.account != verified.entry.claims.subject))
}

async fn who(known: &Known, account: &str) -> Result<Who, Denial> {
    let found: Option<Who> = known.read(&notes::who_key(account)).await?;
    match found {
        Some(who) if who.barred => Err(Denial::Revoked),
        Some(who) => Ok(who),
        None => Ok(Who {
            account: account.to_owned(),
            ..Who::default()
        }),
    }
}

fn verified(
    issuer: &TrustedIssuer,
    access: Access,
    who: Who,
    by: VerifiedBy,
    now: u64,
) -> Verified {
    let mut roles = access.roles;
    // What an administrator here has given counts beside what the issuer says.
    if !who.role.is_empty() && !roles.contains(&who.role) {
        roles.push(who.role);
    }
    let person = access.person;
    let seen = Seen {
        issuer: issuer.issuer.clone(),
        subject: person.subject,
        account: who.account.clone(),
        token_id: access.token_id.clone(),
        expires_at: person.expires_at,
        email: person.email.clone(),
        username: person.username.clone(),
    };
    let claims = Claims {
        subject: who.account,
        token_id: access.token_id,
        roles,
        // Only auth knows the account's own names. The issuer's may be those of a different person here.
        email: None,
        username: None,
        expires_at: person.expires_at,
    };
    Verified {
        entry: Entry::new(claims, by, now),
        seen,
    }
}

/// With keys that are so many seconds old at most.
async fn try_keys(
    token: &str,
    issuer: &TrustedIssuer,
    known: &Known,
    now: u64,
    age: u64,
) -> Result<Result<Access, Fault>, Denial> {
    Ok(match keys(&issuer.issuer, known, now, age).await?.keys {
        Some(keys) => access(token, &keys, issuer, now),
        None => Err(Fault::UnknownKey),
    })
}

async fn keys(issuer: &str, known: &Known, now: u64, age: u64) -> Result<Keys, StoreError> {
    let kept = cache(|keys| keys.get(issuer).cloned());
    if let Some(kept) = &kept
        && kept.keys.is_some()
        && (0..age).contains(&now.wrapping_sub(kept.since))
    {
        return Ok(kept.clone());
    }
    let entry: Option<IssuerKeys> = known.read(&notes::keys_key(issuer)).await?;
    let asked_at = entry.as_ref().map_or(0, |entry| entry.asked_at);
    let found = entry.and_then(|entry| entry.found);
    let keys = Keys {
        asked_at,
        since: now,
        keys: found.and_then(|found| parse_published(&found.jwks.to_string()).ok().map(Arc::new)),
    };
    cache(|all| all.insert(issuer.to_owned(), keys.clone()));
    Ok(keys)
}

fn cache<T>(work: impl FnOnce(&mut HashMap<String, Keys>) -> T) -> T {
    let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    work(keys.get_or_insert_default())
}

/// Whether auth has asked the issuer as lately as it may: an unknown key is then refused at once, whatever tokens are
/// shown. Otherwise leaves word for auth, which looks for it every second.
async fn have_been_asked_for(
    issuer: &TrustedIssuer,
    known: &Known,
    now: u64,
) -> Result<bool, Denial> {
    let before = keys(&issuer.issuer, known, now, 0).await?;
    let pause = i64::try_from(issuer_pause().await).unwrap_or(i64::MAX);
    let asked_before = now_ms() - before.asked_at;
    if (0..pause.saturating_mul(1000)).contains(&asked_before) {
        return Ok(true);
    }
    let store = Store::open(notes::STORE).await?;
    store.set(notes::wanted_key(&issuer.issuer), b"").await?;
    Ok(false)
}

/// Milliseconds since the Unix epoch, as auth counts.
fn now_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| {
        i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
    })
}

/// Seconds between two questions of auth for keys that somebody wants.
async fn issuer_pause() -> u64 {
    let text = spin_sdk::variables::get("issuer_refetch_seconds").await;
    text.ok().and_then(|text| text.parse().ok()).unwrap_or(30)
}
