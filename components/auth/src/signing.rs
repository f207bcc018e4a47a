//! Access tokens: RS256, typed `at+jwt` (RFC 9068), signed with one of the keys in the variable
//! `jwt_private_key`. Which one, the variable `jwks` says (`wasmart_tokens::keys`).

use jwt_simple::prelude::{
    Audiences, Duration, HeaderOptions, JWTClaims, RS256KeyPair, RSAKeyPairLike,
};
use serde::Serialize;
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

/// What signs, and what is said about it.
pub struct Signer {
    pair: RS256KeyPair,
    pub issuer: String,
    audience: String,
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
            pair: key_pair(&pem, &jwks, now).map_err(Problem::misconfigured)?,
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
        let options = HeaderOptions {
            content_type: None,
            signature_type: Some("at+jwt".to_owned()),
        };
        self.pair
            .sign_with_options(claims, &options)
            .map_err(|error| Problem::internal(format!("a token can't be signed: {error}")))
    }
}

/// The pair that signs now, under the name that the public set has for it. The fault says which variable
/// to look at, and nothing of what is in it.
fn key_pair(pem: &str, jwks: &str, now: u64) -> Result<RS256KeyPair, String> {
    let pairs: Vec<(String, RS256KeyPair)> = keys::pem_blocks(pem)
        .iter()
        .map(|block| {
            let pair = RS256KeyPair::from_pem(block).ok()?;
            Some((base64url(&pair.public_key().to_components().n), pair))
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
    Ok(pair.with_key_id(&signing.kid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

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
            let key = key_pair(&pem, &set, 1).expect("found");
            assert_eq!(key.key_id().as_deref(), Some("the one"));
        }
        assert!(key_pair(&pem, r#"{"keys":[]}"#, 1).is_err());
        assert!(key_pair(&pem, "x", 1).is_err());
        assert!(key_pair("x", &set, 1).is_err());
        assert!(key_pair("", &set, 1).is_err());
    }

    #[test]
    fn of_several_keys_the_one_whose_time_has_come_signs() {
        let ((old, old_jwk), (new, new_jwk)) = (pair("old", 0), pair("new", 100));
        let set = json!({"keys": [new_jwk, old_jwk]}).to_string();
        let kid = |pem: &str, now| {
            let key = key_pair(pem, &set, now).expect("found");
            key.key_id().clone().expect("a kid")
        };
        let both = format!("{old}{new}");
        assert_eq!(
            (kid(&both, 99), kid(&both, 100)),
            ("old".into(), "new".into())
        );
        // Without its private half it can't, whatever the time.
        assert_eq!((kid(&old, 100), kid(&new, 1)), ("old".into(), "new".into()));
    }
}
