//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): the same key with the same request
//! gets the first answer again, with another request 422.
//!
//! The answer is stored in the transaction of the effect, and writers queue for the database; so a
//! second request either finds the answer, or comes first. There is no "still running" to report.

use crate::clock;
use crate::db::{DbError, Tx};
use crate::http::Problem;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

/// How long an answer is kept. A day is promised; two more let the clock be set by a day, either way, without a
/// client's second try becoming a second order.
pub const KEEP_MS: i64 = 3 * 24 * 60 * 60 * 1000;
/// Characters of a key.
const MAX_KEY: usize = 255;

/// A request that may come twice.
pub struct Once {
    caller: String,
    key: Option<String>,
    fingerprint: String,
}

/// An answer that can be given again.
pub struct Answer {
    status: StatusCode,
    location: Option<String>,
    body: String,
}

impl Answer {
    /// An answer with a JSON body.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Answer {
        Answer {
            status,
            location: None,
            body: serde_json::to_string(body).unwrap_or_default(),
        }
    }

    /// With the path of what was made.
    pub fn at(self, location: String) -> Answer {
        Answer {
            location: Some(location),
            ..self
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(location) = self.location.and_then(|l| HeaderValue::from_str(&l).ok()) {
            headers.insert(LOCATION, location);
        }
        response
    }
}

impl Once {
    /// Reads the key, where there is one. `action` and `input` say what the request asks for.
    pub fn new(
        headers: &HeaderMap,
        caller: &str,
        action: &str,
        input: &impl Serialize,
    ) -> Result<Once, Problem> {
        let key = key(headers)?;
        let input = serde_json::to_string(input).unwrap_or_default();
        Ok(Once {
            caller: caller.to_owned(),
            key,
            fingerprint: format!("{action} {input}"),
        })
    }

    /// The answer given before, if this request has been answered.
    pub async fn earlier(&self, tx: &Tx) -> Result<Option<Answer>, Problem> {
        let Some(key) = &self.key else {
            return Ok(None);
        };
        let row = tx
            .first(
                "SELECT fingerprint, status, location, body FROM idempotency
                 WHERE caller = ? AND key = ? AND created_at > ?",
                &[&self.caller, key, &(clock::now_ms() - KEEP_MS)],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        if row.text(0)? != self.fingerprint {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "This Idempotency-Key was used for another request",
            ));
        }
        Ok(Some(Answer {
            status: u16::try_from(row.int(1)?)
                .ok()
                .and_then(|status| StatusCode::from_u16(status).ok())
                .unwrap_or(StatusCode::OK),
            location: row.opt_text(2)?,
            body: row.text(3)?,
        }))
    }

    /// Keeps the answer, in the transaction of the effect.
    pub async fn keep(&self, tx: &Tx, answer: &Answer) -> Result<(), DbError> {
        let Some(key) = &self.key else { return Ok(()) };
        tx.execute(
            "INSERT INTO idempotency (caller, key, fingerprint, status, location, body, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (caller, key) DO UPDATE SET fingerprint = excluded.fingerprint,
                 status = excluded.status, location = excluded.location, body = excluded.body,
                 created_at = excluded.created_at",
            &[
                &self.caller,
                key,
                &self.fingerprint,
                &i64::from(answer.status.as_u16()),
                &answer.location,
                &answer.body,
                &clock::now_ms(),
            ],
        )
        .await
    }
}

/// One key, of what a string of a structured field may have (RFC 8941 §3.3.3). Whether it stands in quotes makes a
/// difference: both are taken as they come.
fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let refuse = |detail: &str| Err(Problem::field("Idempotency-Key", detail));
    let mut keys = headers.get_all("idempotency-key").iter();
    let Some(key) = keys.next() else {
        return Ok(None);
    };
    if keys.next().is_some() {
        return refuse("must come once");
    }
    match key.to_str() {
        Ok(key) if (1..=MAX_KEY).contains(&key.len()) && !key.contains('\t') => {
            Ok(Some(key.to_owned()))
        }
        _ => refuse("must have 1 to 255 printable ASCII characters"),
    }
}

/// Forgets answers past their time, a bounded number at once.
pub async fn sweep(tx: &Tx) -> Result<(), DbError> {
    tx.execute(
        "DELETE FROM idempotency WHERE rowid IN
             (SELECT rowid FROM idempotency WHERE created_at <= ? LIMIT 500)",
        &[&(clock::now_ms() - KEEP_MS)],
    )
    .await
}

/// Forgets a caller's answers: the account is gone, and they may repeat what was personal.
pub async fn forget(tx: &Tx, caller: &str) -> Result<(), DbError> {
    tx.execute("DELETE FROM idempotency WHERE caller = ?", &[&caller])
        .await
}
