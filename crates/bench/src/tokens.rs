//! Access tokens as auth makes them, made here: a bench needs thousands, and none of what a login does.

use anyhow::Context;
use jwt_simple::prelude::{
    Audiences, Duration, HeaderOptions, JWTClaims, RS256KeyPair, RS256PublicKey, RSAKeyPairLike,
    RSAPublicKeyLike, VerificationOptions,
};
use jwt_simple::prelude::{NoCustomClaims, UnixTimeStamp};
use serde::Serialize;
use std::time::SystemTime;
use uuid::Uuid;
use wasmart_keys::KeySet;

/// Long enough for the longest run.
const LIFETIME: u64 = 4 * 60 * 60;
/// `issuer` and `audience` in `spin.toml`.
const ISSUER: &str = "http://127.0.0.1:3000";
const AUDIENCE: &str = "wasmart";

/// Makes tokens that the shop takes for its own.
pub struct Mint {
    pair: RS256KeyPair,
}

#[derive(Serialize)]
struct Custom<'a> {
    roles: [&'a str; 1],
    email: String,
    client_id: &'static str,
}

impl Mint {
    pub fn new(keys: &KeySet) -> anyhow::Result<Mint> {
        let value = |wanted: &str| {
            let found = keys
                .variables()
                .into_iter()
                .find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value).context("a key is missing")
        };
        let jwks: serde_json::Value = serde_json::from_str(value("jwks")?)?;
        let kid = jwks["keys"][0]["kid"].as_str().context("no kid")?;
        let pair = RS256KeyPair::from_pem(value("jwt_private_key")?)?;
        Ok(Mint {
            pair: pair.with_key_id(kid),
        })
    }

    /// A new token for this account.
    pub fn token(&self, account: &str, role: &str) -> anyhow::Result<String> {
        let now = now();
        let claims = JWTClaims {
            issued_at: Some(now),
            expires_at: Some(now + Duration::from_secs(LIFETIME)),
            invalid_before: None,
            issuer: Some(ISSUER.to_owned()),
            subject: Some(account.to_owned()),
            audiences: Some(Audiences::AsString(AUDIENCE.to_owned())),
            jwt_id: Some(Uuid::now_v7().to_string()),
            nonce: None,
            custom: Custom {
                roles: [role],
                email: format!("{account}@example.com"),
                client_id: "wasmart",
            },
        };
        let options = HeaderOptions {
            content_type: None,
            signature_type: Some("at+jwt".to_owned()),
        };
        self.pair.sign_with_options(claims, &options)
    }

    /// The other half of the key.
    pub fn public(&self) -> RS256PublicKey {
        self.pair.public_key()
    }
}

/// What the guard does natively with a token that it has not seen.
pub fn verify(key: &RS256PublicKey, token: &str) -> anyhow::Result<()> {
    let options = VerificationOptions {
        allowed_issuers: Some([ISSUER.to_owned()].into()),
        allowed_audiences: Some([AUDIENCE.to_owned()].into()),
        ..VerificationOptions::default()
    };
    key.verify_token::<NoCustomClaims>(token, Some(options))?;
    Ok(())
}

fn now() -> UnixTimeStamp {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Duration::from_secs(since.as_secs())
}
