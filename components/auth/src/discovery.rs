//! What others need to check our tokens: the public keys, and where to find them.

use axum::Json;
use axum::response::IntoResponse;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wasmart_service::config;
use wasmart_service::http::Problem;

/// How long the keys may be kept by who fetched them: how long a new key must be in the set before it
/// signs.
const CACHED: &str = "public, max-age=300";

/// A JWK set; what else a key has in the variable, a private part say, is not given out.
#[derive(Deserialize, Serialize)]
struct KeySet {
    keys: Vec<PublicKey>,
}

#[derive(Deserialize, Serialize)]
struct PublicKey {
    kty: String,
    #[serde(default = "sig")]
    r#use: String,
    #[serde(default = "rs256")]
    alg: String,
    kid: String,
    n: String,
    e: String,
}

fn sig() -> String {
    "sig".to_owned()
}

fn rs256() -> String {
    "RS256".to_owned()
}

/// `GET /.well-known/jwks.json`.
pub async fn jwks() -> Result<impl IntoResponse, Problem> {
    let jwks = variable("jwks").await?;
    let set: KeySet = serde_json::from_str(&jwks)
        .map_err(|error| Problem::unavailable(format!("variable jwks: {error}")))?;
    Ok(([(CACHE_CONTROL, CACHED)], Json(set)))
}

/// `GET /.well-known/openid-configuration`: only what there is, which is tokens to check. There is no
/// endpoint of OAuth yet, so there are no grants and no response types.
pub async fn openid_configuration() -> Result<impl IntoResponse, Problem> {
    let issuer = variable("issuer").await?;
    let base = issuer.trim_end_matches('/');
    let document = json!({
        "issuer": issuer,
        "jwks_uri": format!("{base}/.well-known/jwks.json"),
        "response_types_supported": [],
        "grant_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": [
            "iss", "aud", "sub", "jti", "iat", "exp", "roles", "email", "preferred_username", "client_id",
        ],
    });
    Ok(([(CACHE_CONTROL, CACHED)], Json(document)))
}

/// `GET /api/v1/health`, the seeds' one health check: this component answers it.
pub async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn variable(name: &str) -> Result<String, Problem> {
    config::get(name)
        .await
        .map_err(|error| Problem::unavailable(format!("variable {name}: {error}")))
}
