//! Sign-ins under way. What belongs to one is kept here and not in the browser, which holds a random cookie
//! instead: so nobody can finish a sign-in that another browser has begun, nor any of them twice.

use crate::session::random_token;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use wasmart_service::clock;
use wasmart_service::db::{Db, DbError};
use wasmart_service::http::Problem;
use wasmart_tokens::config::Provider;
use wasmart_tokens::digest;

/// How long a user may take to sign in, in seconds.
const PATIENCE: i64 = 600;
/// Rows swept at once.
const BATCH: i64 = 200;
const COOKIE_NAME: &str = "sign_in";

/// What a sign-in is made of; the provider sees the state, the nonce and the hash of the verifier.
pub struct SignIn {
    pub state: String,
    pub nonce: String,
    pub verifier: String,
    browser: String,
}

impl SignIn {
    pub fn new() -> Result<SignIn, Problem> {
        Ok(SignIn {
            state: random_token()?,
            nonce: random_token()?,
            verifier: random_token()?,
            browser: random_token()?,
        })
    }

    /// For the browser. `Lax`: it must come along when the provider sends the browser back.
    pub fn cookie(&self, provider: &Provider, secure: bool) -> Result<HeaderValue, Problem> {
        cookie(&self.browser, PATIENCE, provider, secure)
    }

    pub async fn keep(&self, db: &Db, provider: &Provider) -> Result<(), DbError> {
        db.execute(
            "INSERT INTO sign_ins (state, browser, provider, nonce, verifier, expires_at)
             VALUES (?, ?, ?, ?, ?, ?)",
            &[
                &digest(&self.state),
                &digest(&self.browser),
                &provider.name,
                &self.nonce,
                &self.verifier,
                &(clock::now_ms() + PATIENCE * 1000),
            ],
        )
        .await
    }
}

/// Ends a sign-in and gives its nonce and verifier; none if this browser has begun no such one with this
/// provider, or has ended it.
pub async fn end(
    db: &Db,
    provider: &Provider,
    state: &str,
    headers: &HeaderMap,
) -> Result<Option<(String, String)>, DbError> {
    let Some(browser) = browser(headers) else {
        return Ok(None);
    };
    let row = db
        .first(
            "DELETE FROM sign_ins WHERE state = ? AND browser = ? AND provider = ? AND expires_at > ?
             RETURNING nonce, verifier",
            &[
                &digest(state),
                &digest(&browser),
                &provider.name,
                &clock::now_ms(),
            ],
        )
        .await?;
    row.map(|row| Ok((row.text(0)?, row.text(1)?))).transpose()
}

/// Takes the cookie back.
pub fn no_cookie(provider: &Provider, secure: bool) -> Result<HeaderValue, Problem> {
    cookie("", 0, provider, secure)
}

/// Forgets sign-ins that nobody has ended in time.
pub async fn sweep(db: &Db) -> Result<(), DbError> {
    db.execute(
        "DELETE FROM sign_ins WHERE state IN
             (SELECT state FROM sign_ins WHERE expires_at < ? LIMIT ?)",
        &[&clock::now_ms(), &BATCH],
    )
    .await
}

fn cookie(
    value: &str,
    seconds: i64,
    provider: &Provider,
    secure: bool,
) -> Result<HeaderValue, Problem> {
    let path = format!("/api/v1/auth/{}/callback", provider.name);
    let secure = if secure { "; Secure" } else { "" };
    HeaderValue::try_from(format!(
        "{COOKIE_NAME}={value}; HttpOnly; SameSite=Lax; Path={path}; Max-Age={seconds}{secure}"
    ))
    .map_err(|error| Problem::internal(error.to_string()))
}

/// None also where there are two: one may be planted.
fn browser(headers: &HeaderMap) -> Option<String> {
    crate::credentials::cookie(headers.get_all(COOKIE), COOKIE_NAME)
        .ok()
        .flatten()
}
