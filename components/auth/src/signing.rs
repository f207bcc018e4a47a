//! Access tokens: RS256, typed `at+jwt` (RFC 9068), signed with the variable `jwt_private_key`.

use jwt_simple::prelude::{
    Audiences, Duration, HeaderOptions, JWTClaims, RS256KeyPair, RSAKeyPairLike,
};
use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use serde::Serialize;
use serde_json::Value;
use std::sync::OnceLock;
use wasmart_service::config;
use wasmart_service::http::Problem;

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

static SIGNER: OnceLock<Signer> = OnceLock::new();

impl Signer {
    /// Parsed once in the life of an instance; a fault of the installation is not remembered.
    pub async fn get() -> Result<&'static Signer, Problem> {
        if let Some(signer) = SIGNER.get() {
            return Ok(signer);
        }
        let pem = variable("jwt_private_key").await?;
        let jwks = variable("jwks").await?;
        let signer = Signer {
            pair: key_pair(&pem, &jwks).map_err(Problem::unavailable)?,
            issuer: variable("issuer").await?,
            audience: variable("audience").await?,
        };
        Ok(SIGNER.get_or_init(|| signer))
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

async fn variable(name: &str) -> Result<String, Problem> {
    config::get(name)
        .await
        .map_err(|error| Problem::unavailable(format!("variable {name}: {error}")))
}

/// The key pair, under the name that the public set has for it. The fault says which variable to look
/// at, and nothing of what is in it.
fn key_pair(pem: &str, jwks: &str) -> Result<RS256KeyPair, String> {
    // Environment files have it in one line.
    let pair = RS256KeyPair::from_pem(&pem.replace("\\n", "\n")).map_err(|_| {
        "jwt_private_key is not a PKCS#8 PEM of an RSA key of 2048 to 4096 bits".to_owned()
    })?;
    let modulus = Base64UrlSafeNoPadding::encode_to_string(pair.public_key().to_components().n)
        .map_err(|error| error.to_string())?;
    let set: Value = serde_json::from_str(jwks).map_err(|error| format!("jwks: {error}"))?;
    let kid = set["keys"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|jwk| jwk["n"] == modulus.as_str())
        .and_then(|jwk| jwk["kid"].as_str())
        .ok_or("jwks has no key with a kid that belongs to jwt_private_key")?;
    Ok(pair.with_key_id(kid))
}

/// Under which a token is known in the key-value store (see `components/guard`), and a refresh token
/// in the database.
pub fn digest(token: &str) -> String {
    Base64UrlSafeNoPadding::encode_to_string(hmac_sha256::Hash::hash(token.as_bytes()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_key_id_is_the_one_of_the_public_set() {
        let pair = RS256KeyPair::generate(2048).expect("a key pair");
        let pem = pair.to_pem().expect("PEM");
        let mut jwk: Value = serde_json::from_str(&pair.public_key().to_jwk()).expect("a JWK");
        jwk["kid"] = json!("the one");
        let set = json!({"keys": [{"kty": "RSA", "kid": "other", "n": "AQAB", "e": "AQAB"}, jwk]})
            .to_string();
        for pem in [pem.clone(), pem.replace('\n', "\\n")] {
            let key = key_pair(&pem, &set).expect("found");
            assert_eq!(key.key_id().as_deref(), Some("the one"));
        }
        assert!(key_pair(&pem, r#"{"keys":[]}"#).is_err());
        assert!(key_pair(&pem, "x").is_err());
        assert!(key_pair("x", &set).is_err());
    }
}
