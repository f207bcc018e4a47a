//! The `Idempotency-Key` of a registration. Only the account's id is stored under the key, never
//! its tokens. The request is recognised by a hash. The hash does not cover the password, which
//! could be guessed from it; a repeated registration contains the password, and that is compared
//! with the account's.

use crate::SERVICE;
use crate::register::Register;
use crate::signing::digest;
use crate::store::Account;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use wasmart_service::db::{Db, DbError, Tx};
use wasmart_service::http::Problem;
use wasmart_service::idempotency::{Answer, Once};

/// The prefix of the caller that a key is stored under. Nobody has logged in yet, and strangers
/// must not share a quota, so each key has a caller of its own.
const CALLER: &str = "register:";
/// The upper bound of the names with this prefix.
const AFTER_CALLERS: &str = "register;";

/// The key of a request, if it has one.
pub struct RegistrationKey(Option<Once>);

impl RegistrationKey {
    /// Reads it, with what the request asks for.
    pub fn read(
        headers: &HeaderMap,
        account: &Account,
        input: &Register,
    ) -> Result<RegistrationKey, Problem> {
        let Some(key) = headers.get("idempotency-key") else {
            return Ok(RegistrationKey(None));
        };
        let caller = format!(
            "{CALLER}{}",
            digest(&String::from_utf8_lossy(key.as_bytes()))
        );
        let asked = json!([
            account.email,
            account.username,
            input.first_name,
            input.last_name,
            input.phone,
            input.language,
        ]);
        let fingerprint = digest(&asked.to_string());
        let once = Once::new(headers, &caller, "POST /auth/register", &fingerprint)?;
        Ok(RegistrationKey(Some(once)))
    }

    /// The account that this request has made already.
    pub async fn look_up(&self) -> Result<Option<String>, Problem> {
        if self.0.is_none() {
            return Ok(None);
        }
        self.earlier(&Db::open(&SERVICE).await?).await
    }

    /// As [`RegistrationKey::look_up`], within a transaction.
    pub async fn earlier(&self, db: &Db) -> Result<Option<String>, Problem> {
        let Some(once) = &self.0 else { return Ok(None) };
        let answer = once.earlier(db).await?;
        Ok(answer.and_then(|answer| serde_json::from_str(answer.body()).ok()))
    }

    /// Keeps the account under the key.
    pub async fn keep(&self, tx: &Tx, account: &str) -> Result<(), Problem> {
        let Some(once) = &self.0 else { return Ok(()) };
        once.keep(tx, &Answer::json(StatusCode::CREATED, &account))
            .await
    }
}

/// Forgets the key under which an account was registered: it is deleted.
pub async fn forget(tx: &Tx, account: &str) -> Result<(), DbError> {
    tx.execute(
        "DELETE FROM idempotency WHERE caller > ? AND caller < ? AND body = ?",
        &[&CALLER, &AFTER_CALLERS, &json!(account).to_string()],
    )
    .await
}

/// 422, as for any other request under a used key.
pub fn key_reused() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency-key-reused",
        "This Idempotency-Key was used for another request",
    )
}
