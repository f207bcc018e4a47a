//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): the same key with the same request
//! gets the first answer again, with another request 422.
//!
//! The answer is stored in the transaction of the effect, and writers queue for the database; so a
//! second request either finds the answer, or comes first. There is no "still running" to report.
//!
//! A handler looks the key up before it checks anything that may have changed since the first answer: the
//! catalogue, a balance, a state, a quota. What the caller may do is checked before.

use crate::clock;
use crate::config;
use crate::db::{Db, DbError, Tx};
use crate::http::{Problem, etag};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::Value;

/// How long an answer is kept. A day is promised; two more let the clock be set by a day, either way, without a
/// client's second try becoming a second order.
pub const KEEP_MS: i64 = 3 * 24 * 60 * 60 * 1000;
/// Characters of a key.
const MAX_KEY: usize = 255;
/// Keys that one account may have remembered at a time, unless `keys_per_account` says otherwise.
const MAX_KEYS: i64 = 1_000;
/// One in this many stored answers triggers a sweep. A sweep deletes more answers than are stored
/// between two sweeps, so that they can't pile up. The clock decides which request sweeps, because
/// an instance may live for one request only.
const SWEEP_ONE_IN: i64 = 8;
const SWEPT: i64 = 32;
/// `Retry-After`, in seconds, for a caller with too many keys. Keys expire one by one.
const TOO_MANY_KEYS_S: u64 = 3_600;

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
    is_current: bool,
}

impl Answer {
    /// An answer with a JSON body.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Answer {
        Answer {
            status,
            location: None,
            body: serde_json::to_string(body).unwrap_or_default(),
            is_current: false,
        }
    }

    /// Adds an `ETag`, because the body is what a GET shows now. A repeated answer has no tag: the
    /// resource may have changed since.
    pub fn tagged(self) -> Answer {
        Answer {
            is_current: true,
            ..self
        }
    }

    /// With the path of what was made.
    pub fn at(self, location: String) -> Answer {
        Answer {
            location: Some(location),
            ..self
        }
    }

    /// The body as it was kept.
    pub fn body(&self) -> &str {
        &self.body
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let tag = self.is_current.then(|| etag(self.body.as_bytes()));
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        if let Some(tag) = tag {
            headers.insert(ETAG, tag);
        }
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
        let input = serde_json::to_value(input).unwrap_or_default();
        Ok(Once {
            caller: caller.to_owned(),
            key,
            fingerprint: fingerprint(action, input),
        })
    }

    /// The answer given before, if this request has been answered.
    ///
    /// Outside of the transaction of the effect it only tells that there is one: look again inside.
    pub async fn earlier(&self, db: &Db) -> Result<Option<Answer>, Problem> {
        let Some(key) = &self.key else {
            return Ok(None);
        };
        let row = db
            .first(
                "SELECT fingerprint, status, location, body FROM idempotency
                 WHERE caller = ? AND key = ? AND created_at > ?",
                &[&self.caller, key, &(clock::now_ms() - KEEP_MS)],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        if !self.is_of(&row.text(0)?) {
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
            is_current: false,
        }))
    }

    /// Whether a stored fingerprint is this request's. Earlier versions stored the request itself.
    fn is_of(&self, kept: &str) -> bool {
        let earlier = || {
            let (action, input) = kept.split_at_checked(kept.find('{')?)?;
            let input = serde_json::from_str(input).ok()?;
            Some(fingerprint(action.trim_end(), input))
        };
        kept == self.fingerprint || earlier().is_some_and(|kept| kept == self.fingerprint)
    }

    /// Stores the answer, in the transaction of the effect. If the caller has too many keys,
    /// refuses (429), which undoes the effect.
    pub async fn keep(&self, tx: &Tx, answer: &Answer) -> Result<(), Problem> {
        let Some(key) = &self.key else { return Ok(()) };
        let now = clock::now_ms();
        if now % SWEEP_ONE_IN == 0 {
            sweep_some(tx, now, SWEPT).await?;
        }
        self.refuse_too_many(tx).await?;
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
                &now,
            ],
        )
        .await?;
        Ok(())
    }

    async fn refuse_too_many(&self, tx: &Tx) -> Result<(), Problem> {
        let Some(most) = config::bound("keys_per_account", MAX_KEYS).await else {
            return Ok(());
        };
        let row = tx
            .first(
                "SELECT 1 FROM idempotency WHERE caller = ? AND created_at > ? LIMIT 1 OFFSET ?",
                &[&self.caller, &(clock::now_ms() - KEEP_MS), &(most - 1)],
            )
            .await?;
        match row {
            None => Ok(()),
            Some(_) => Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-keys",
                format!("An account may have {most} Idempotency-Keys remembered at a time"),
            )
            .retry_after(TOO_MANY_KEYS_S)),
        }
    }
}

/// A hash of what a request asks for: the same for any order of members, and for a member that is absent or
/// `null`. A hash, as the request itself may be long.
fn fingerprint(action: &str, input: Value) -> String {
    let request = format!("{action} {}", without_nulls(input));
    let hash = hmac_sha256::Hash::hash(request.as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// serde_json sorts members by itself.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(name, member)| (name, without_nulls(member)))
            .collect(),
        Value::Array(elements) => elements.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// One key, of the characters that a string of a structured field may have (RFC 8941 §3.3.3).
/// Quotes are part of the key: with and without them are two keys.
fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let refuse = |detail: &str| Err(Problem::field("Idempotency-Key", detail));
    let mut keys = headers.get_all("idempotency-key").iter();
    let Some(key) = keys.next() else {
        return Ok(None);
    };
    if keys.next().is_some() {
        return refuse("must appear only once");
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
    sweep_some(tx, clock::now_ms(), 500).await
}

async fn sweep_some(tx: &Tx, now: i64, count: i64) -> Result<(), DbError> {
    tx.execute(
        "DELETE FROM idempotency WHERE rowid IN
             (SELECT rowid FROM idempotency WHERE created_at <= ? LIMIT ?)",
        &[&(now - KEEP_MS), &count],
    )
    .await
}

/// Forgets a caller's answers: the account is gone, and they may repeat what was personal.
pub async fn forget(tx: &Tx, caller: &str) -> Result<(), DbError> {
    tx.execute("DELETE FROM idempotency WHERE caller = ?", &[&caller])
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn once(input: Value) -> Once {
        Once {
            caller: "c".into(),
            key: Some("k".into()),
            fingerprint: fingerprint("POST /orders", input),
        }
    }

    #[test]
    fn a_fingerprint_tells_what_is_asked_and_not_how_it_is_written() {
        let ask = once(json!({"lines": [{"item_id": "a", "quantity": 1}], "address": null}));
        for same in [
            r#"{"lines":[{"quantity":1,"item_id":"a"}]}"#,
            r#"{"draft":null,"lines":[{"item_id":"a","quantity":1,"note":null}]}"#,
        ] {
            let same = once(serde_json::from_str(same).expect("JSON"));
            assert!(ask.is_of(&same.fingerprint));
        }
        for other in [json!({"lines": []}), json!({"lines": [], "address": ""})] {
            assert!(!ask.is_of(&once(other).fingerprint));
        }
        assert_eq!(ask.fingerprint.len(), 64);
        assert_ne!(fingerprint("a", json!({})), fingerprint("b", json!({})));
    }

    #[test]
    fn a_fingerprint_of_an_earlier_version_is_still_known() {
        let ask = once(json!({"lines": [{"item_id": "a", "quantity": 1}]}));
        let kept =
            r#"POST /orders {"lines":[{"item_id":"a","quantity":1}],"address":null,"draft":null}"#;
        assert!(ask.is_of(kept));
        assert!(!ask.is_of(&kept.replace(":1", ":2")));
        assert!(!ask.is_of("POST /orders"));
    }
}
