//! Sets of public keys (RFC 7517), and which key of our own set signs when.
//!
//! A key of ours may say `signs_from`, in seconds since the Unix epoch: until then it is only published,
//! so that whoever keeps a copy of the set knows it before it meets its first signature. It is for us
//! alone, and is not published.

use crate::digest;
use jwt_simple::prelude::RS256PublicKey;
use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Decoder};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;

/// Seconds that others may keep a copy of our set.
pub const CACHE_SECONDS: u64 = 300;
/// Seconds after which a component looks at its keys again, at the latest.
pub const FRESH_SECONDS: u64 = 60;

/// Public keys by `kid`.
pub type PublicKeys = HashMap<String, PublicKey>;

/// A key, ready to verify with.
#[derive(Clone, Debug)]
pub struct PublicKey {
    /// The key itself.
    pub rsa: RS256PublicKey,
    /// A hash of the key: a later key under the same `kid` has another one.
    pub mark: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// An RSA key for signatures, as it is published.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RsaKey {
    kty: String,
    r#use: Option<String>,
    alg: Option<String>,
    /// Its name in the header of tokens.
    pub kid: String,
    /// The modulus in base64url, by which a private key finds its other half.
    pub n: String,
    e: String,
    /// When it begins to sign; 0 unless said.
    #[serde(default, skip_serializing)]
    pub signs_from: u64,
}

/// The keys for RS256 signatures of a set. Others are passed over, as RFC 7517 §5 asks.
///
/// # Errors
/// In words, when it is no set, or a key that says it is for RS256 can't be read.
pub fn read(jwks: &str) -> Result<Vec<RsaKey>, String> {
    let set: KeySet = serde_json::from_str(jwks).map_err(|error| format!("jwks: {error}"))?;
    let ours = set.keys.into_iter().filter(is_for_rs256);
    ours.map(|jwk| {
        let key: RsaKey = serde_json::from_value(jwk).map_err(|error| format!("jwks: {error}"))?;
        Ok(RsaKey {
            r#use: Some("sig".to_owned()),
            alg: Some("RS256".to_owned()),
            ..key
        })
    })
    .collect()
}

fn is_for_rs256(jwk: &Value) -> bool {
    let is_or_absent = |member, wanted| jwk.get(member).is_none_or(|value| value == wanted);
    jwk.get("kty").is_some_and(|kty| kty == "RSA")
        && is_or_absent("use", "sig")
        && is_or_absent("alg", "RS256")
}

/// The keys of another issuer's set, ready to verify with. The set may be empty.
///
/// # Errors
/// As [`read`], and when there is one that can't be used.
pub fn parse_published(jwks: &str) -> Result<PublicKeys, String> {
    let keys = read(jwks)?.into_iter();
    keys.map(|key| match public_key(&key) {
        Ok(public) => Ok((key.kid, public)),
        Err(error) => Err(format!("jwks, key {}: {error}", key.kid)),
    })
    .collect()
}

/// The keys of our own set, ready to verify with.
///
/// # Errors
/// As [`parse_published`], and when there is no key in it.
pub fn parse(jwks: &str) -> Result<PublicKeys, String> {
    let keys = parse_published(jwks)?;
    if keys.is_empty() {
        Err("jwks: no RS256 key in it".to_owned())
    } else {
        Ok(keys)
    }
}

fn public_key(key: &RsaKey) -> Result<PublicKey, jwt_simple::Error> {
    let n = Base64UrlSafeNoPadding::decode_to_vec(&key.n, None)?;
    let e = Base64UrlSafeNoPadding::decode_to_vec(&key.e, None)?;
    Ok(PublicKey {
        rsa: RS256PublicKey::from_components(&n, &e)?,
        mark: digest(&format!("{}\n{}", key.n, key.e)),
    })
}

/// Which of these keys signs at `now` (seconds since the Unix epoch): the one that began last, or, where
/// none has begun yet, the first that will.
pub fn signing(keys: &[RsaKey], now: u64) -> Option<&RsaKey> {
    let begun = keys.iter().filter(|key| key.signs_from <= now);
    begun
        .max_by_key(|key| key.signs_from)
        .or_else(|| keys.iter().min_by_key(|key| key.signs_from))
}

/// The blocks of a PEM text. Environment files have its lines in one, with `\n` between them.
pub fn pem_blocks(text: &str) -> Vec<String> {
    const BEGIN: &str = "-----BEGIN";
    let text = text.replace("\\n", "\n");
    let blocks = text.split(BEGIN).skip(1);
    blocks
        .map(|block| format!("{BEGIN}{}\n", block.trim_end()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_set_without_a_key_is_an_answer_of_somebody_else() {
        let none = r#"{"keys":[]}"#;
        assert!(parse_published(none).is_ok_and(|keys| keys.is_empty()));
        for nonsense in ["", "[]", "{}", r#"{"keys":7}"#] {
            assert!(parse_published(nonsense).is_err(), "{nonsense}");
        }
    }

    fn key(kid: &str, signs_from: u64) -> RsaKey {
        let jwk = format!(
            r#"{{"keys":[{{"kty":"RSA","kid":"{kid}","n":"x","e":"AQAB","d":"secret","signs_from":{signs_from}}}]}}"#
        );
        read(&jwk).expect("a set").remove(0)
    }

    #[test]
    fn a_key_signs_from_its_time_until_the_next_does() {
        let keys = [key("b", 200), key("a", 100), key("c", 300)];
        for (now, kid) in [
            (0, "a"),
            (100, "a"),
            (199, "a"),
            (200, "b"),
            (299, "b"),
            (999, "c"),
        ] {
            assert_eq!(
                signing(&keys, now).map(|key| key.kid.as_str()),
                Some(kid),
                "{now}"
            );
        }
        assert!(signing(&[], 0).is_none());
    }

    #[test]
    fn what_is_published_is_public() {
        let shown = serde_json::to_string(&key("a", 100)).expect("JSON");
        assert_eq!(
            shown,
            r#"{"kty":"RSA","use":"sig","alg":"RS256","kid":"a","n":"x","e":"AQAB"}"#
        );
    }

    #[test]
    fn blocks_of_pem_are_told_apart() {
        let one = "-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----\n";
        let two = "-----BEGIN PRIVATE KEY-----\nBB\n-----END PRIVATE KEY-----\n";
        for text in [
            format!("{one}{two}"),
            format!("{one}\n{two}").replace('\n', "\\n"),
        ] {
            assert_eq!(pem_blocks(&text), [one, two], "{text}");
        }
        assert!(pem_blocks("nonsense").is_empty());
    }
}
