//! Is this an access token of ours? A pure function of the token, what is trusted, and the time.
//!
//! `jwt-simple` checks the signature and the registered claims. What RFC 8725 and RFC 9068 ask for
//! beyond that is checked here: the type of the token, no second reading of a member that came twice,
//! no claim left out, no lenience after `exp`.

use crate::Claims;
use crate::keys::Trust;
use crate::known::Entry;
use jwt_simple::JWTError;
use jwt_simple::prelude::{Duration, NoCustomClaims, RSAPublicKeyLike, VerificationOptions};
use serde::Deserialize;
use serde::de::IgnoredAny;
use wasmart_tokens::{LEEWAY, object, segments};

/// Bytes of the `Authorization` header. Ours have about 900.
const MAX_HEADER: usize = 8 * 1024;

/// Why there is no valid token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Missing,
    Invalid,
    /// Signed, if at all, with a key that is not in the set.
    UnknownKey,
    Expired,
}

/// Members that come twice are refused by serde, members that we don't know are passed over: `jwk`,
/// `jku` and `x5u` among them, which nobody fetches.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Payload {
    sub: String,
    jti: String,
    exp: u64,
    roles: Vec<String>,
    email: Option<String>,
    preferred_username: Option<String>,
}

/// The token in an `Authorization` header (RFC 6750 §2.1).
pub fn from_header(header: &str) -> Result<&str, Fault> {
    let (scheme, token) = header.split_once(' ').ok_or(Fault::Missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Fault::Missing);
    }
    if header.len() > MAX_HEADER {
        Err(Fault::Invalid)
    } else {
        Ok(token.trim_start_matches(' '))
    }
}

/// The claims of a valid access token. `now` is in seconds since the Unix epoch.
pub fn verify(token: &str, trust: &Trust, now: u64) -> Result<Entry, Fault> {
    let [header, payload, _signature] = segments(token).ok_or(Fault::Invalid)?;
    let header: Header = object(header).ok_or(Fault::Invalid)?;
    let is_access_token = ["at+jwt", "application/at+jwt"]
        .iter()
        .any(|typ| header.typ.eq_ignore_ascii_case(typ));
    if header.alg != "RS256" || !is_access_token || header.crit.is_some() {
        return Err(Fault::Invalid);
    }
    let key = trust.keys.get(&header.kid).ok_or(Fault::UnknownKey)?;
    let options = VerificationOptions {
        required_signature_type: Some(header.typ),
        allowed_issuers: Some([trust.issuer.clone()].into()),
        allowed_audiences: Some([trust.audience.clone()].into()),
        time_tolerance: Some(Duration::from_secs(LEEWAY)),
        artificial_time: Some(Duration::from_secs(now)),
        ..VerificationOptions::default()
    };
    key.rsa
        .verify_token::<NoCustomClaims>(token, Some(options))
        .map_err(fault)?;
    let claims = claims(object(payload).ok_or(Fault::Invalid)?, now)?;
    Ok(Entry::new(claims, trust.ours(header.kid), now))
}

/// Adds the names from a token of ours. They are not kept in the store.
pub fn with_names(token: &str, claims: Claims) -> Claims {
    #[derive(Deserialize)]
    struct Names {
        email: Option<String>,
        preferred_username: Option<String>,
    }
    let names = segments(token).and_then(|[_, payload, _]| object::<Names>(payload));
    match names {
        Some(names) => Claims {
            email: names.email,
            username: names.preferred_username,
            ..claims
        },
        None => claims,
    }
}

/// Checks what the library leaves open: that nothing is missing, and that a token ends at its `exp`.
fn claims(payload: Payload, now: u64) -> Result<Claims, Fault> {
    if payload.exp <= now {
        return Err(Fault::Expired);
    }
    let is_account =
        uuid::Uuid::try_parse(&payload.sub).is_ok_and(|id| id.to_string() == payload.sub);
    if !is_account || payload.jti.is_empty() || payload.roles.is_empty() {
        return Err(Fault::Invalid);
    }
    Ok(Claims {
        subject: payload.sub,
        token_id: payload.jti,
        roles: payload.roles,
        email: payload.email,
        username: payload.preferred_username,
        expires_at: payload.exp,
    })
}

fn fault(error: jwt_simple::Error) -> Fault {
    match error.downcast_ref() {
        Some(JWTError::TokenHasExpired) => Fault::Expired,
        _ => Fault::Invalid,
    }
}
