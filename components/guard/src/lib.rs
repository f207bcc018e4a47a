//! The token check, composed into each service.
//!
//! A token is verified once; from then on its claims are known under its SHA-256, in the same store
//! as the blacklist. So the usual request costs one look-up, and that look-up also tells whether the
//! token was revoked: revoking takes the entry away.

mod foreign;
mod keys;
mod known;
mod token;
#[cfg(test)]
mod token_tests;

use keys::Trust;
use known::{Entry, Known, StoreError, VerifiedBy};
use std::time::{SystemTime, UNIX_EPOCH};
use token::Fault;
use wasmart_tokens::config::TrustedIssuer;

#[allow(missing_docs, unsafe_code, clippy::all)]
mod generated {
    wit_bindgen::generate!({
        inline: "
            package wasmart:guard;
            world guard { export wasmart:auth/guard@1.0.0; }
        ",
        path: "../../wit/auth",
        generate_all,
        // As a plain call: this component does one thing at a time, so the bookkeeping of tasks, which was a third
        // of the check of a known token, would be for nothing.
        async: false,
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });

    export!(Component);
    struct Component;

    impl exports::wasmart::auth::guard::Guest for Component {
        fn authorize(header: Option<String>, last: bool) -> Result<super::Claims, super::Denial> {
            wit_bindgen::block_on(super::authorize(header.as_deref(), last))
        }
    }
}

use generated::exports::wasmart::auth::guard::{Claims, Denial};

async fn authorize(header: Option<&str>, last: bool) -> Result<Claims, Denial> {
    let token = token::from_header(header.ok_or(Denial::Missing)?)?;
    let known = Known::open(token).await?;
    let now = now();
    let trust = Trust::get(now).await?;
    match known.entry().await? {
        Some(entry) if entry.claims.expires_at <= now => Err(Denial::Expired),
        Some(entry) if holds(&entry, &trust, &known, now).await? => Ok(match entry.by {
            VerifiedBy::Ours { .. } => token::with_names(token, entry.claims),
            VerifiedBy::Issuer { .. } => entry.claims,
        }),
        _ => {
            let issuer = wasmart_tokens::foreign::issuer(token);
            match issuer.and_then(|issuer| trust.other(&issuer)) {
                Some(other) => admit_foreign(token, other, &known, now, last).await,
                None => {
                    let entry = verify(token, &trust, now).await?;
                    admit(&known, entry, now, last).await
                }
            }
        }
    }
}

/// Whether a known token is still good without verifying it again. It is not once its key is withdrawn, or once the
/// entry of its issuer has been changed or removed.
async fn holds(entry: &Entry, trust: &Trust, known: &Known, now: u64) -> Result<bool, StoreError> {
    if !entry.is_believed(now) || !trust.covers(&entry.by) {
        return Ok(false);
    }
    match &entry.by {
        VerifiedBy::Ours { .. } => Ok(true),
        VerifiedBy::Issuer {
            issuer, kid, key, ..
        } => foreign::has_key(issuer, (kid.as_str(), key.as_str()), known, now).await,
    }
}

/// A key that is not known may be new: one more look then.
async fn verify(token: &str, trust: &Trust, now: u64) -> Result<Entry, Denial> {
    match token::verify(token, trust, now) {
        Err(Fault::UnknownKey) => Ok(token::verify(token, &*Trust::renewed(now).await?, now)?),
        verified => Ok(verified?),
    }
}

/// As [`admit`], for a token of another issuer, whose account may be barred, or linked to another one, while
/// the token is being remembered.
async fn admit_foreign(
    token: &str,
    issuer: &(TrustedIssuer, String),
    known: &Known,
    now: u64,
    last: bool,
) -> Result<Claims, Denial> {
    let verified = foreign::verify(token, issuer, known, now, last).await?;
    foreign::note(&verified, token).await?;
    let claims = admit(known, verified.entry.clone(), now, last).await?;
    if foreign::is_barred(&verified, known).await? {
        known.forget().await?;
        return Err(Denial::Revoked);
    }
    Ok(claims)
}

/// Lets a verified token in, unless it was revoked, and remembers it.
async fn admit(known: &Known, entry: Entry, now: u64, last: bool) -> Result<Claims, Denial> {
    if !known.is_told().await? {
        // The store is new or was lost. Auth is about to write to it which tokens are revoked.
        return Err(match last {
            true => Denial::Unavailable(
                "the key-value store does not know yet which tokens are revoked".into(),
            ),
            false => Denial::Pending,
        });
    }
    if known.is_revoked(&entry.claims.token_id).await? {
        return Err(Denial::Revoked);
    }
    if entry.claims.expires_at > now + 1 {
        known.remember(&entry).await?;
        // A logout writes its blacklist entry first and takes the claims away after that. One that ran
        // between the look above and the entry just made has found nothing to take away; it is found here.
        if known.is_revoked(&entry.claims.token_id).await? {
            known.forget().await?;
            return Err(Denial::Revoked);
        }
    }
    Ok(entry.claims)
}

/// Seconds since the Unix epoch.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

impl From<Fault> for Denial {
    fn from(fault: Fault) -> Denial {
        match fault {
            Fault::Missing => Denial::Missing,
            Fault::Invalid | Fault::UnknownKey => Denial::Invalid,
            Fault::Expired => Denial::Expired,
        }
    }
}

impl From<StoreError> for Denial {
    fn from(error: StoreError) -> Denial {
        Denial::Unavailable(format!("key-value store: {error}"))
    }
}
