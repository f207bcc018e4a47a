//! Access tokens: RS256, typed `at+jwt` (RFC 9068), signed with one of the keys in the variable
//! `jwt_private_key`. Which one, the variable `jwks` says (`wasmart_tokens::keys`).
//!
//! Every signature is blinded with fresh randomness: the crate `rsa` does not compute in constant
//! time (RUSTSEC-2023-0071), and somebody who measures many signatures must not learn the key from
//! their timing.

use jwt_simple::prelude::{Audiences, Duration, JWTClaims};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::rand_core::{CryptoRngCore, OsRng};
use rsa::sha2::Sha256;
use rsa::signature::{RandomizedSigner, SignatureEncoding};
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, RsaPrivateKey};
use serde::Serialize;
use serde_json::json;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use wasmart_service::clock;
use wasmart_service::config::required;
use wasmart_service::http::Problem;
use wasmart_tokens::base64url;
use wasmart_tokens::keys::{self, FRESH_SECONDS, RsaKey};

pub use wasmart_tokens::digest;

/// Seconds that an access token lives.
pub const LIFETIME: u64 = 900;

/// Who asked for the token (RFC 9068 §2.2 wants it said). There is one client: the shop itself.
const CLIENT: &str = "wasmart";

/// Bits of a key; below it is weak, above it costs too much.
const KEY_BITS: RangeInclusive<usize> = 2048..=4096;

/// What signs, and what is said about it.
pub struct Signer {
    key: Key,
    pub issuer: String,
    audience: String,
}

/// A private key under the name that the public set has for it.
struct Key {
    pair: SigningKey<Sha256>,
    id: String,
}

impl Key {
    /// The token that says this, blinded with what comes from `rng`.
    fn sign(&self, claims: &impl Serialize, rng: &mut impl CryptoRngCore) -> Option<String> {
        let head = json!({"alg": "RS256", "kid": self.id, "typ": "at+jwt"}).to_string();
        let claims = serde_json::to_vec(claims).ok()?;
        let signed = format!("{}.{}", base64url(head.as_bytes()), base64url(&claims));
        let signature = self.pair.try_sign_with_rng(rng, signed.as_bytes()).ok()?;
        Some(format!("{signed}.{}", base64url(&signature.to_bytes())))
    }
}

/// What a token says beside the registered claims.
#[derive(Serialize)]
pub struct Custom<'a> {
    pub roles: [&'a str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<&'a str>,
    pub client_id: &'static str,
}

impl<'a> Custom<'a> {
    pub fn new(role: &'a str, email: Option<&'a str>, username: Option<&'a str>) -> Custom<'a> {
        Custom {
            roles: [role],
            email,
            preferred_username: username,
            client_id: CLIENT,
        }
    }
}

/// What this instance signs with, and since when, in seconds.
static SIGNER: Mutex<Option<(Arc<Signer>, u64)>> = Mutex::new(None);

impl Signer {
    /// Parsed once a minute: the next key takes over while an instance lives. Keys that can't be read do
    /// not take away the one in use; where there is none, that is a fault of the installation.
    pub async fn get() -> Result<Arc<Signer>, Problem> {
        let now = u64::try_from(clock::now_ms() / 1000).unwrap_or_default();
        let known = SIGNER
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some((signer, since)) = &known
            && (0..FRESH_SECONDS).contains(&now.wrapping_sub(*since))
        {
            return Ok(signer.clone());
        }
        let signer = match (Signer::read(now).await, known) {
            (Ok(signer), _) => Arc::new(signer),
            (Err(_), Some((signer, _))) => signer,
            (Err(problem), None) => return Err(problem),
        };
        *SIGNER.lock().unwrap_or_else(PoisonError::into_inner) = Some((signer.clone(), now));
        Ok(signer)
    }

    async fn read(now: u64) -> Result<Signer, Problem> {
        let pem = required("jwt_private_key").await?;
        let jwks = required("jwks").await?;
        Ok(Signer {
            key: key(&pem, &jwks, now).map_err(Problem::misconfigured)?,
            issuer: required("issuer").await?,
            audience: required("audience").await?,
        })
    }

    /// A token. `now` is in seconds since the Unix epoch.
    pub fn sign(
        &self,
        id: &str,
        account: &str,
        custom: Custom<'_>,
        now: u64,
    ) -> Result<String, Problem> {
        let claims = JWTClaims {
            issued_at: Some(Duration::from_secs(now)),
            expires_at: Some(Duration::from_secs(now + LIFETIME)),
            invalid_before: None,
            issuer: Some(self.issuer.clone()),
            subject: Some(account.to_owned()),
            audiences: Some(Audiences::AsString(self.audience.clone())),
            jwt_id: Some(id.to_owned()),
            nonce: None,
            custom,
        };
        self.key
            .sign(&claims, &mut OsRng)
            .ok_or_else(|| Problem::internal("a token can't be signed"))
    }
}

/// The key that signs now. The error names the variable to look at, but nothing of its content.
fn key(pem: &str, jwks: &str, now: u64) -> Result<Key, String> {
    let pairs: Vec<(String, RsaPrivateKey)> = keys::pem_blocks(pem)
        .iter()
        .map(|block| {
            let pair = private_key(block)?;
            Some((base64url(&pair.n().to_bytes_be()), pair))
        })
        .collect::<Option<_>>()
        .filter(|pairs: &Vec<_>| !pairs.is_empty())
        .ok_or("jwt_private_key is not a PKCS#8 PEM of RSA keys of 2048 to 4096 bits")?;
    // A key whose private half is elsewhere, or gone, is still in the set for the tokens that it signed.
    let ours: Vec<RsaKey> = keys::read(jwks)?
        .into_iter()
        .filter(|key| pairs.iter().any(|(modulus, _)| *modulus == key.n))
        .collect();
    let signing = keys::signing(&ours, now)
        .ok_or("jwks has no key with a kid that belongs to jwt_private_key")?;
    let pair = pairs
        .into_iter()
        .find_map(|(modulus, pair)| (modulus == signing.n).then_some(pair))
        .ok_or("jwks and jwt_private_key do not fit")?;
    Ok(Key {
        pair: SigningKey::new(pair),
        id: signing.kid.clone(),
    })
}

/// A key of a size and an exponent that are in use, whose parts fit.
fn private_key(pem: &str) -> Option<RsaPrivateKey> {
    let pem = pem.trim();
    let pair = RsaPrivateKey::from_pkcs8_pem(pem)
        .or_else(|_| RsaPrivateKey::from_pkcs1_pem(pem))
        .ok()?;
    let is_usual = KEY_BITS.contains(&pair.n().bits()) && *pair.e() == BigUint::from(65_537_u32);
    (is_usual && pair.validate().is_ok()).then_some(pair)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jwt_simple::prelude::{RS256KeyPair, RSAPublicKeyLike, VerificationOptions};
    use serde_json::Value;

    fn pair(kid: &str, signs_from: u64) -> (String, Value) {
        let pair = RS256KeyPair::generate(2048).expect("a key pair");
        let mut jwk: Value = serde_json::from_str(&pair.public_key().to_jwk()).expect("a JWK");
        jwk["kid"] = json!(kid);
        jwk["signs_from"] = json!(signs_from);
        (pair.to_pem().expect("PEM"), jwk)
    }

    #[test]
    fn the_key_id_is_the_one_of_the_public_set() {
        let (pem, jwk) = pair("the one", 0);
        let set = json!({"keys": [{"kty": "RSA", "kid": "other", "n": "AQAB", "e": "AQAB"}, jwk]})
            .to_string();
        for pem in [pem.clone(), pem.replace('\n', "\\n")] {
            let key = key(&pem, &set, 1).expect("found");
            assert_eq!(key.id, "the one");
        }
        assert!(key(&pem, r#"{"keys":[]}"#, 1).is_err());
        assert!(key(&pem, "x", 1).is_err());
        assert!(key("x", &set, 1).is_err());
        assert!(key("", &set, 1).is_err());
    }

    #[test]
    fn of_several_keys_the_one_whose_time_has_come_signs() {
        let ((old, old_jwk), (new, new_jwk)) = (pair("old", 0), pair("new", 100));
        let set = json!({"keys": [new_jwk, old_jwk]}).to_string();
        let kid = |pem: &str, now| key(pem, &set, now).expect("found").id;
        let both = format!("{old}{new}");
        assert_eq!(
            (kid(&both, 99), kid(&both, 100)),
            ("old".into(), "new".into())
        );
        // Without its private half it can't, whatever the time.
        assert_eq!((kid(&old, 100), kid(&new, 1)), ("old".into(), "new".into()));
    }

    /// Counts what is asked of it.
    struct Counting(usize);

    impl rsa::rand_core::RngCore for Counting {
        fn next_u32(&mut self) -> u32 {
            self.0 += 4;
            OsRng.next_u32()
        }

        fn next_u64(&mut self) -> u64 {
            self.0 += 8;
            OsRng.next_u64()
        }

        fn fill_bytes(&mut self, bytes: &mut [u8]) {
            self.0 += bytes.len();
            OsRng.fill_bytes(bytes);
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
            self.fill_bytes(bytes);
            Ok(())
        }
    }

    impl rsa::rand_core::CryptoRng for Counting {}

    #[test]
    fn a_signature_is_blinded_by_a_number_as_long_as_the_key_and_stays_the_same() {
        let (pem, jwk) = pair("k", 0);
        let set = json!({"keys": [jwk]}).to_string();
        let key = key(&pem, &set, 1).expect("found");
        let mut rng = Counting(0);
        let claims = json!({"sub": "ann"});
        let first = key.sign(&claims, &mut rng).expect("signed");
        let of_one = rng.0;
        assert!(of_one >= 2048 / 8, "{of_one} random bytes");
        let second = key.sign(&claims, &mut rng).expect("signed");
        assert!(
            rng.0 >= of_one + 2048 / 8,
            "a blinding factor was used again"
        );
        assert_eq!(first, second, "RS256 has one signature for a message");
        let theirs = RS256KeyPair::from_pem(&pem).expect("a pair").public_key();
        let options = VerificationOptions {
            required_signature_type: Some("at+jwt".to_owned()),
            ..VerificationOptions::default()
        };
        theirs
            .verify_token::<Value>(&first, Some(options))
            .expect("verified");
    }

    #[test]
    fn what_is_no_key_of_a_usual_size_is_refused() {
        let small = RsaPrivateKey::new(&mut OsRng, 1024).expect("a key");
        let pem = rsa::pkcs8::EncodePrivateKey::to_pkcs8_pem(&small, Default::default());
        assert!(private_key(&pem.expect("PEM")).is_none());
        let (pem, _) = pair("k", 0);
        assert!(private_key(&pem).is_some());
        assert!(private_key(&pem[..pem.len() / 2]).is_none());
    }
}
