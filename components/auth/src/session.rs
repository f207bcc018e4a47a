//! What a login gives: an access token and a refresh token, of one family.

use crate::signing::{Custom, LIFETIME, Signer, digest};
use crate::store::Account;
use crate::told;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use wasmart_service::http::Problem;
use wasmart_service::{clock, new_id};
use wasmart_tokens::base64url;

/// How long a family of refresh tokens lives, counted from its login.
pub const FAMILY_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Where the cookie is sent: to the paths that read it.
const COOKIE_PATH: &str = "/api/v1/auth";

/// All tokens that descend from one login.
#[derive(Clone, Debug)]
pub struct Family {
    pub id: String,
    pub ends_at: i64,
}

impl Family {
    pub fn new() -> Family {
        Family {
            id: new_id(),
            ends_at: clock::now_ms() + FAMILY_MS,
        }
    }
}

/// A pair of fresh tokens. The database gets their hashes.
pub struct Session {
    pub account: Account,
    pub family: Family,
    pub token_id: String,
    pub access_hash: String,
    pub access_expires_at: i64,
    pub refresh_hash: String,
    access_token: String,
    refresh_token: String,
    secure: bool,
}

#[derive(Serialize)]
struct Tokens<'a> {
    user_id: &'a str,
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    refresh_token: &'a str,
}

impl Session {
    /// Makes the tokens. Some 16 ms of work: never within a transaction.
    pub async fn new(account: Account, family: Family) -> Result<Session, Problem> {
        told::ensure().await?;
        let signer = Signer::get().await?;
        let token_id = new_id();
        let now = u64::try_from(clock::now_ms() / 1000).unwrap_or_default();
        let (email, username) = (account.email.as_deref(), account.username.as_deref());
        let custom = Custom::new(account.role.as_str(), email, username);
        let access_token = signer.sign(&token_id, &account.id, custom, now)?;
        let refresh_token = random_token()?;
        Ok(Session {
            family,
            token_id,
            access_hash: digest(&access_token),
            access_expires_at: i64::try_from((now + LIFETIME) * 1000).unwrap_or(i64::MAX),
            refresh_hash: digest(&refresh_token),
            access_token,
            refresh_token,
            secure: is_secure(&signer.issuer),
            account,
        })
    }

    /// The tokens as the client gets them: in the body, and where browsers and seed 0 look for them.
    pub fn answer(&self, status: StatusCode) -> Result<Response, Problem> {
        let body = Tokens {
            user_id: &self.account.id,
            access_token: &self.access_token,
            token_type: "Bearer",
            expires_in: LIFETIME,
            refresh_token: &self.refresh_token,
        };
        let seconds = (self.family.ends_at - clock::now_ms()).max(0) / 1000;
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        insert(
            &mut headers,
            AUTHORIZATION,
            &format!("Bearer {}", self.access_token),
        )?;
        insert(
            &mut headers,
            SET_COOKIE,
            &cookie(&self.refresh_token, seconds, self.secure),
        )?;
        Ok((status, headers, Json(body)).into_response())
    }
}

/// 204, and the browser forgets the cookie.
pub async fn ended() -> Result<Response, Problem> {
    let mut headers = HeaderMap::new();
    let secure = is_secure(&Signer::get().await?.issuer);
    insert(&mut headers, SET_COOKIE, &cookie("", 0, secure))?;
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), Problem> {
    let value =
        HeaderValue::from_str(value).map_err(|error| Problem::internal(error.to_string()))?;
    headers.insert(name, value);
    Ok(())
}

fn cookie(value: &str, seconds: i64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!(
        "refresh_token={value}; HttpOnly; SameSite=Strict; Path={COOKIE_PATH}; Max-Age={seconds}{secure}"
    )
}

/// Browsers drop `Secure` cookies that come over plain HTTP, which a shop on a laptop speaks.
pub fn is_secure(issuer: &str) -> bool {
    !issuer.starts_with("http://")
}

/// 256 bits that nobody guesses, in base64url.
pub fn random_token() -> Result<String, Problem> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Problem::internal(format!("no randomness: {error}")))?;
    Ok(base64url(&bytes))
}
