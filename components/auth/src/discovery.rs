//! What others need to check our tokens: the public keys, and where to find them.

use axum::Json;
use axum::response::IntoResponse;
use http::HeaderName;
use http::header::CACHE_CONTROL;
use serde_json::{Value, json};
use wasmart_service::config::required;
use wasmart_service::http::Problem;
use wasmart_tokens::keys::{self, CACHE_SECONDS};

/// How long the keys and the document may be kept by who fetched them.
fn cached() -> (HeaderName, String) {
    (CACHE_CONTROL, format!("public, max-age={CACHE_SECONDS}"))
}

/// `GET /.well-known/jwks.json`. What else a key has in the variable, a private part say, is not given out.
pub async fn jwks() -> Result<impl IntoResponse, Problem> {
    let set = keys::read(&required("jwks").await?).map_err(Problem::misconfigured)?;
    Ok(([cached()], Json(json!({ "keys": set }))))
}

/// `GET /.well-known/openid-configuration`: what there is, which is tokens to get and to check. Nobody
/// signs in to others with an account of ours, so there is no `authorization_endpoint` and there are no
/// response types.
pub async fn openid_configuration() -> Result<impl IntoResponse, Problem> {
    let issuer = required("issuer").await?;
    let base = issuer.trim_end_matches('/');
    let document = json!({
        "issuer": issuer,
        "jwks_uri": format!("{base}/.well-known/jwks.json"),
        "token_endpoint": format!("{base}/api/v1/auth/token"),
        "token_endpoint_auth_methods_supported": ["none"],
        "response_types_supported": [],
        "grant_types_supported": ["password", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": [
            "iss", "aud", "sub", "jti", "iat", "exp", "roles", "email", "preferred_username", "client_id",
        ],
    });
    Ok(([cached()], Json(document)))
}

/// `GET /api/v1/health`, the seeds' one health check: this component answers it.
pub async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}
