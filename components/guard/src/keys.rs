//! Whose tokens are trusted: the public keys, the issuer and the audience, from the variables.

use crate::Denial;
use jwt_simple::prelude::RS256PublicKey;
use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Decoder};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::OnceLock;

/// What a token must match.
pub struct Trust {
    /// By `kid`.
    pub keys: HashMap<String, RS256PublicKey>,
    pub issuer: String,
    pub audience: String,
}

static TRUST: OnceLock<Trust> = OnceLock::new();

impl Trust {
    /// Parsed once in the life of an instance; a fault of the installation is not remembered.
    pub async fn get() -> Result<&'static Trust, Denial> {
        if let Some(trust) = TRUST.get() {
            return Ok(trust);
        }
        let trust = Trust {
            keys: parse(&variable("jwks").await?).map_err(Denial::Unavailable)?,
            issuer: variable("issuer").await?,
            audience: variable("audience").await?,
        };
        Ok(TRUST.get_or_init(|| trust))
    }
}

async fn variable(name: &str) -> Result<String, Denial> {
    spin_sdk::variables::get(name)
        .await
        .map_err(|error| Denial::Unavailable(format!("variable {name}: {error}")))
}

/// A JWK set (RFC 7517 §5).
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct RsaKey {
    kid: String,
    n: String,
    e: String,
}

/// Reads a JWK set. Keys that are not for RS256 signatures are passed over, as RFC 7517 §5 asks; one
/// that says it is and can't be read is a fault of the installation.
pub fn parse(jwks: &str) -> Result<HashMap<String, RS256PublicKey>, String> {
    let set: KeySet = serde_json::from_str(jwks).map_err(|error| format!("jwks: {error}"))?;
    let mut keys = HashMap::new();
    for jwk in set.keys {
        if is_for_rs256(&jwk) {
            let key: RsaKey =
                serde_json::from_value(jwk).map_err(|error| format!("jwks: {error}"))?;
            let public =
                public_key(&key).map_err(|error| format!("jwks, key {}: {error}", key.kid))?;
            keys.insert(key.kid, public);
        }
    }
    if keys.is_empty() {
        Err("jwks: no RS256 key in it".to_owned())
    } else {
        Ok(keys)
    }
}

fn is_for_rs256(jwk: &Value) -> bool {
    let is_or_absent = |member, wanted| jwk.get(member).is_none_or(|value| value == wanted);
    jwk.get("kty").is_some_and(|kty| kty == "RSA")
        && is_or_absent("use", "sig")
        && is_or_absent("alg", "RS256")
}

fn public_key(key: &RsaKey) -> Result<RS256PublicKey, jwt_simple::Error> {
    let n = Base64UrlSafeNoPadding::decode_to_vec(&key.n, None)?;
    let e = Base64UrlSafeNoPadding::decode_to_vec(&key.e, None)?;
    RS256PublicKey::from_components(&n, &e)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_is_no_set_of_rs256_keys_is_a_fault() {
        for jwks in [
            "",
            "[]",
            "{}",
            r#"{"keys":[]}"#,
            r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1"}]}"#,
            r#"{"keys":[{"kty":"RSA","use":"enc","kid":"1","n":"AQAB","e":"AQAB"}]}"#,
            r#"{"keys":[{"kty":"RSA","kid":"1","n":"AQAB","e":"AQAB"}]}"#,
            r#"{"keys":[{"kty":"RSA","kid":"1","n":"%","e":"AQAB"}]}"#,
            r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#,
        ] {
            assert!(parse(jwks).is_err(), "{jwks}");
        }
    }
}
