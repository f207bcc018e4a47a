//! Tokens that somebody else has signed: access tokens, which the guard takes, and id tokens, which only a
//! sign-in takes. RS256 only, as for our own.
//!
//! An id token must never pass for an access token, though both come from one issuer with one key. So an
//! access token must say that it is one: `typ` `at+jwt` in the header (RFC 9068), or the claim `typ`
//! `Bearer`, as Keycloak has it. And it must have nothing that only id tokens have: `nonce`, `at_hash`, `c_hash`.

use crate::config::TrustedIssuer;
use crate::keys::PublicKeys;
use crate::parts::{LEEWAY, object, segments, whole_object};
use crate::{base64url, digest};
use jwt_simple::JWTError;
use jwt_simple::prelude::{Duration, NoCustomClaims, RSAPublicKeyLike, VerificationOptions};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Seconds for which an access token of another issuer is good, whatever its `exp` says.
pub const LONGEST_SECONDS: u64 = 24 * 60 * 60;

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is no token, or not for this.
    Invalid,
    /// Signed, if at all, with a key that is not in the set.
    UnknownKey,
    /// Valid once; past its `exp`.
    Expired,
}

/// Whom a token is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// `sub`
    pub subject: String,
    /// The email, where the issuer says that it has verified it.
    pub email: Option<String>,
    /// `preferred_username`
    pub username: Option<String>,
    /// `exp`, in seconds since the Unix epoch.
    pub expires_at: u64,
}

/// What an access token says.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// Whom it is about.
    pub person: Person,
    /// The roles of ours that its roles stand for.
    pub roles: Vec<String>,
    /// The `kid` of the key that it is signed with.
    pub key: String,
    /// Under what it can be revoked: nothing of the signature is in it, which might be written in two ways.
    pub token_id: String,
}

/// What an id token must match.
pub struct Expected<'a> {
    /// `iss`
    pub issuer: &'a str,
    /// In `aud`
    pub client_id: &'a str,
    /// `nonce`
    pub nonce: &'a str,
    /// What `at_hash` is of, where there is one.
    pub access_token: Option<&'a str>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    typ: Option<String>,
    crit: Option<IgnoredAny>,
}

/// What a token says that it comes from. Nobody has verified it: good for choosing whose keys to try.
pub fn issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    let [_, payload, _] = segments(token)?;
    object::<Issuer>(payload).map(|payload| payload.iss)
}

/// Verifies an access token. `now` is in seconds since the Unix epoch.
///
/// # Errors
/// [`Fault`]
pub fn access(
    token: &str,
    keys: &PublicKeys,
    trusted: &TrustedIssuer,
    now: u64,
) -> Result<Access, Fault> {
    let (header, payload) = signed(token, keys, &trusted.issuer, now)?;
    let is_named = header.is_any(&["at+jwt", "application/at+jwt"]);
    let is_bearer = payload["typ"] == "Bearer" && header.is_any(&["JWT", ""]);
    let is_id = ["nonce", "at_hash", "c_hash"]
        .iter()
        .any(|member| payload.get(member).is_some());
    if is_id || !(is_named || is_bearer) {
        return Err(Fault::Invalid);
    }
    let audience = trusted.audience.as_deref();
    let party = trusted.azp.as_deref();
    if audience.is_some_and(|wanted| !audiences(&payload).contains(&wanted))
        || party.is_some_and(|wanted| payload["azp"] != wanted)
    {
        return Err(Fault::Invalid);
    }
    let person = person(&payload)?;
    let expires_at = end(&payload, person.expires_at, now)?;
    let signed_part = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    Ok(Access {
        person: Person {
            expires_at,
            ..person
        },
        roles: roles(&payload, trusted),
        key: header.kid,
        token_id: digest(signed_part),
    })
}

/// When an access token ends here: at its `exp`, but a day after it was issued at the latest.
fn end(payload: &Value, exp: u64, now: u64) -> Result<u64, Fault> {
    let end = match payload["iat"].as_u64() {
        Some(issued_at) => exp.min(issued_at.saturating_add(LONGEST_SECONDS)),
        // RFC 9068 requires `iat`. Without it the token's age is unknown.
        None if exp > now.saturating_add(LONGEST_SECONDS) => return Err(Fault::Invalid),
        None => exp,
    };
    if end <= now {
        Err(Fault::Expired)
    } else {
        Ok(end)
    }
}

/// Verifies an id token (OpenID Connect Core 1.0, §3.1.3.7).
///
/// # Errors
/// [`Fault`]
pub fn id_token(
    token: &str,
    keys: &PublicKeys,
    expected: &Expected<'_>,
    now: u64,
) -> Result<Person, Fault> {
    let (header, payload) = signed(token, keys, expected.issuer, now)?;
    let is_other = payload.get("typ").is_some_and(|typ| typ != "ID");
    let audiences = audiences(&payload);
    let party = payload.get("azp");
    let is_for_us = audiences.contains(&expected.client_id)
        && party.is_none_or(|party| party == expected.client_id)
        && (audiences.len() == 1 || party.is_some());
    let at_hash_fits = match (payload.get("at_hash"), expected.access_token) {
        (Some(hash), Some(token)) => {
            let whole = hmac_sha256::Hash::hash(token.as_bytes());
            *hash == base64url(&whole[..whole.len() / 2]).as_str()
        }
        _ => true,
    };
    // Told apart by the time alone, a nonce of nobody would match one that was left out.
    let is_fresh = !expected.nonce.is_empty() && payload["nonce"] == expected.nonce;
    if is_other || !header.is_any(&["JWT", ""]) || !is_for_us || !at_hash_fits || !is_fresh {
        return Err(Fault::Invalid);
    }
    if !payload["iat"].is_u64() {
        return Err(Fault::Invalid);
    }
    person(&payload)
}

impl Header {
    fn is_any(&self, types: &[&str]) -> bool {
        let typ = self.typ.as_deref().unwrap_or_default();
        types.iter().any(|other| typ.eq_ignore_ascii_case(other))
    }
}

/// What holds for every token: signed by this issuer, in its time, nothing said twice.
fn signed(
    token: &str,
    keys: &PublicKeys,
    issuer: &str,
    now: u64,
) -> Result<(Header, Value), Fault> {
    let [header, payload, _] = segments(token).ok_or(Fault::Invalid)?;
    let header: Header = object(header).ok_or(Fault::Invalid)?;
    if header.alg != "RS256" || header.crit.is_some() {
        return Err(Fault::Invalid);
    }
    let payload = whole_object(payload).ok_or(Fault::Invalid)?;
    let key = keys.get(&header.kid).ok_or(Fault::UnknownKey)?;
    let options = VerificationOptions {
        allowed_issuers: Some([issuer.to_owned()].into()),
        time_tolerance: Some(Duration::from_secs(LEEWAY)),
        artificial_time: Some(Duration::from_secs(now)),
        ..VerificationOptions::default()
    };
    let verified = key.rsa.verify_token::<NoCustomClaims>(token, Some(options));
    verified.map_err(|error| match error.downcast_ref() {
        Some(JWTError::TokenHasExpired) => Fault::Expired,
        _ => Fault::Invalid,
    })?;
    match payload["exp"].as_u64() {
        None => Err(Fault::Invalid),
        Some(exp) if exp <= now => Err(Fault::Expired),
        Some(_) => Ok((header, payload)),
    }
}

fn audiences(payload: &Value) -> Vec<&str> {
    match &payload["aud"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    }
}

/// OpenID Connect Core 1.0, §2: a subject has at most 255 ASCII characters.
fn person(payload: &Value) -> Result<Person, Fault> {
    let text = |member: &str, longest: usize| {
        let text = payload[member].as_str()?;
        let fits = !text.is_empty() && text.len() <= longest && !text.contains(char::is_control);
        fits.then(|| text.to_owned())
    };
    let is_verified = payload["email_verified"] == true;
    Ok(Person {
        subject: text("sub", 255)
            .filter(|subject| subject.is_ascii())
            .ok_or(Fault::Invalid)?,
        email: text("email", 254).filter(|_| is_verified),
        username: text("preferred_username", 254),
        expires_at: payload["exp"].as_u64().ok_or(Fault::Invalid)?,
    })
}

/// Ours, in the order of the map. Who has none of them is a customer like any other.
fn roles(payload: &Value, trusted: &TrustedIssuer) -> Vec<String> {
    let found = trusted.roles.as_deref().and_then(|path| {
        if path.starts_with('/') {
            return payload.pointer(path);
        }
        path.split('.')
            .try_fold(payload, |value, member| value.get(member))
    });
    let theirs: Vec<&str> = match found {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let mut ours: Vec<String> = Vec::new();
    for (their, our) in &trusted.role_map {
        if theirs.contains(&their.as_str()) && !ours.contains(our) {
            ours.push(our.clone());
        }
    }
    if ours.is_empty() {
        ours.push("customer".to_owned());
    }
    ours
}
