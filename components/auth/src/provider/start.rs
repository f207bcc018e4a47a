//! `GET /auth/{provider}/login`: to the provider.

use super::state::SignIn;
use super::{form, redirect_uri};
use crate::session::is_secure;
use crate::signing::Signer;
use crate::{SERVICE, issuers};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use wasmart_service::db::Db;
use wasmart_service::http::{Name, Problem};
use wasmart_tokens::{base64url, config::Provider};

/// Nothing of the request but the provider's name counts: not where to go afterwards, nor with what.
pub async fn start(Name(name): Name) -> Result<Response, Problem> {
    let provider = issuers::provider(&name).await?;
    let found = issuers::found(&provider.issuer).await?;
    let endpoint = found.metadata.authorization_endpoint;
    let endpoint = endpoint
        .ok_or_else(|| Problem::unavailable(format!("{name} has no authorization_endpoint")))?;
    let sign_in = SignIn::new()?;
    let location = location(&endpoint, &provider, &sign_in).await?;
    sign_in.keep(&Db::open(&SERVICE).await?, &provider).await?;
    let secure = is_secure(&Signer::get().await?.issuer);
    let headers = [
        (LOCATION, location),
        (SET_COOKIE, sign_in.cookie(&provider, secure)?),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((StatusCode::FOUND, headers).into_response())
}

async fn location(
    endpoint: &str,
    provider: &Provider,
    sign_in: &SignIn,
) -> Result<HeaderValue, Problem> {
    let challenge = base64url(&hmac_sha256::Hash::hash(sign_in.verifier.as_bytes()));
    let query = form(&[
        ("response_type", "code"),
        ("client_id", &provider.client_id),
        ("redirect_uri", &redirect_uri(provider).await?),
        ("scope", &provider.scopes),
        ("state", &sign_in.state),
        ("nonce", &sign_in.nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    // RFC 6749 §3.1: a query that the endpoint has already stays.
    let join = if endpoint.contains('?') { '&' } else { '?' };
    HeaderValue::try_from(format!("{endpoint}{join}{query}"))
        .map_err(|error| Problem::unavailable(format!("{}: {error}", provider.name)))
}
