//! What a person may have to account for later: who came in, who was refused, what was changed of accounts.
//!
//! One record is a row, written in the transaction of what it tells of, and a line of JSON on the log
//! once that is committed. It has ids and a network, never a secret, nor what was typed as a login: that
//! may be a password in the wrong field. Bounded in age and in number.
//!
//! Nobody can push out records about others. Records that a client can cause as often as it likes
//! have a limit for each kind and subject. The subject is the account that caused the record, or
//! the network if no account is known. Beyond the hourly limit the last record counts the rest
//! (`times`, `last_at`). Actions of administrators are never counted together.

use crate::SERVICE;
use crate::admin::Admin;
use axum::Json;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wasmart_domain::text::clean_word;
use wasmart_service::clock::{now_ms, rfc3339};
use wasmart_service::db::{Db, DbError, Row, ToValue};
use wasmart_service::http::{Client, Page, PageQuery, Params, Problem, canonical_id};
use wasmart_service::new_id;

/// How long a record is kept.
const KEPT_MS: i64 = 365 * 24 * 60 * 60_000;
/// How many of one kind are kept: a flood of one does not wash the others away.
const KEPT_OF_A_KIND: i64 = 100_000;
/// How many of these are kept for one subject.
const KEPT_OF_A_SUBJECT: i64 = 1_000;
/// How many records of one kind one subject has in an hour; the last one counts the rest.
const AN_HOUR: i64 = 20;
const HOUR_MS: i64 = 60 * 60_000;
const SWEPT: i64 = 1_000;
/// How many times `SWEPT` one sweep may delete: more than comes in between two sweeps.
const SWEEPS: usize = 20;
/// How many ticks have one sweep.
const TICKS: i64 = 64;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    FirstAdminMade,
    Registered,
    RegistrationRefused,
    LoginSucceeded,
    LoginRefused,
    RefreshReplayed,
    LoggedOut,
    LoggedOutEverywhere,
    PasswordChanged,
    PasswordRefused,
    ResetRequested,
    ResetRefused,
    PasswordReset,
    RoleChanged,
    Disabled,
    Enabled,
    Deleted,
    AccessRefused,
}

impl Kind {
    /// Its name in the table, on the log and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::FirstAdminMade => "first_admin.made",
            Kind::Registered => "account.registered",
            Kind::RegistrationRefused => "registration.refused",
            Kind::LoginSucceeded => "login.succeeded",
            Kind::LoginRefused => "login.refused",
            Kind::RefreshReplayed => "refresh.replayed",
            Kind::LoggedOut => "logout",
            Kind::LoggedOutEverywhere => "logout.everywhere",
            Kind::PasswordChanged => "password.changed",
            Kind::PasswordRefused => "password.refused",
            Kind::ResetRequested => "password.reset_requested",
            Kind::ResetRefused => "password.reset_refused",
            Kind::PasswordReset => "password.reset",
            Kind::RoleChanged => "role.changed",
            Kind::Disabled => "account.disabled",
            Kind::Enabled => "account.enabled",
            Kind::Deleted => "account.deleted",
            Kind::AccessRefused => "access.refused",
        }
    }

    /// Whether each record is kept, however many there are: what administrators do, and ends of accounts.
    const fn is_kept_each(self) -> bool {
        matches!(
            self,
            Kind::FirstAdminMade
                | Kind::RoleChanged
                | Kind::Disabled
                | Kind::Enabled
                | Kind::Deleted
        )
    }
}

/// A record before it is written.
pub struct Entry {
    kind: Kind,
    account: Option<String>,
    actor: Option<String>,
    client: Option<String>,
    detail: Option<Value>,
}

impl Entry {
    pub fn new(kind: Kind) -> Entry {
        Entry {
            kind,
            account: None,
            actor: None,
            client: None,
            detail: None,
        }
    }

    /// Whom it concerns.
    pub fn about(self, account: Option<&str>) -> Entry {
        let account = account.map(str::to_owned);
        Entry { account, ..self }
    }

    /// Who did it.
    pub fn by(self, actor: Option<&str>) -> Entry {
        let actor = actor.map(str::to_owned);
        Entry { actor, ..self }
    }

    /// From where.
    pub fn from(self, client: Client) -> Entry {
        let client = Some(client.network());
        Entry { client, ..self }
    }

    /// What else is worth knowing.
    pub fn with(self, detail: Value) -> Entry {
        let detail = Some(detail);
        Entry { detail, ..self }
    }

    /// Writes the row, or counts it in the last one. The caller logs the returned line after the
    /// commit.
    pub async fn write(self, db: &Db) -> Result<Written, DbError> {
        let now = now_ms();
        let subject = [&self.actor, &self.account, &self.client]
            .into_iter()
            .flatten()
            .next()
            .cloned()
            .filter(|_| !self.kind.is_kept_each());
        if let Some(subject) = &subject
            && let Some(times) = count_in_last(db, self.kind, subject, now).await?
        {
            let entry = self;
            return Ok(Written { entry, now, times });
        }
        let detail = self.detail.as_ref().map(Value::to_string);
        db.execute(
            "INSERT INTO audit (id, kind, account_id, actor_id, client, detail, at, subject)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            &[
                &new_id(),
                &self.kind.as_str(),
                &self.account,
                &self.actor,
                &self.client,
                &detail,
                &now,
                &subject,
            ],
        )
        .await?;
        if let Some(subject) = &subject {
            forget_oldest(db, self.kind, subject).await?;
        }
        Ok(Written {
            entry: self,
            now,
            times: 1,
        })
    }
}

/// Counts in the last record of this hour, if the limit is reached; returns its count.
async fn count_in_last(
    db: &Db,
    kind: Kind,
    subject: &str,
    now: i64,
) -> Result<Option<i64>, DbError> {
    let row = db
        .first(
            "UPDATE audit SET times = times + 1, last_at = ?3
             WHERE id = (SELECT max(id) FROM audit WHERE kind = ?1 AND subject = ?2)
                 AND (SELECT count(*) FROM (SELECT at FROM audit
                      WHERE kind = ?1 AND subject = ?2 ORDER BY id DESC LIMIT ?4)
                      WHERE at > ?3 - ?5 AND at <= ?3) >= ?4
             RETURNING times",
            &[&kind.as_str(), &subject, &now, &AN_HOUR, &HOUR_MS],
        )
        .await?;
    row.map(|row| row.int(0)).transpose()
}

/// A subject's oldest records of one kind make room for its newest.
async fn forget_oldest(db: &Db, kind: Kind, subject: &str) -> Result<(), DbError> {
    db.execute(
        "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE kind = ? AND subject = ?
             ORDER BY id DESC LIMIT 10 OFFSET ?)",
        &[&kind.as_str(), &subject, &KEPT_OF_A_SUBJECT],
    )
    .await
}

/// A record that is in the database, or will be with its transaction.
#[must_use]
pub struct Written {
    entry: Entry,
    now: i64,
    /// How often it is counted in its row.
    times: i64,
}

impl Written {
    /// One line on the log. Of the records that share a row, only every power of two is logged, so
    /// that the log is not flooded either.
    pub fn log(self) {
        if self.times.count_ones() != 1 {
            return;
        }
        let mut line = json!({
            "audit": self.entry.kind.as_str(), "at": rfc3339(self.now),
            "account": self.entry.account, "actor": self.entry.actor,
            "client": self.entry.client, "detail": self.entry.detail,
        });
        if self.times > 1 {
            line["times"] = json!(self.times);
        }
        wasmart_service::log!("{line}");
    }
}

/// A record as an administrator sees it.
#[derive(Serialize)]
pub struct RecordView {
    id: String,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Value>,
    at: String,
    /// How often the same subject did the same since then, and when it did so last.
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    limit: Option<i64>,
    cursor: Option<String>,
    kind: Option<String>,
    account_id: Option<String>,
}

/// `GET /auth/audit`, newest first; all, or those of one kind, or about one account.
pub async fn list(
    _: Admin,
    Params(query): Params<AuditQuery>,
) -> Result<Json<Page<RecordView>>, Problem> {
    let page = PageQuery::new(query.limit, query.cursor);
    let (before, limit) = (page.before()?, page.fetch()?);
    let kind = query.kind.as_deref().map(clean_word).transpose();
    let kind = kind.map_err(|error| Problem::field("kind", error))?;
    let account_id = match query.account_id.as_deref().map(canonical_id) {
        Some(None) => return Err(Problem::field("account_id", "must be a UUID")),
        other => other.flatten(),
    };
    let db = Db::open(&SERVICE).await?;
    let rows = db
        .query(
            "SELECT id, kind, account_id, actor_id, client, detail, at, times, last_at FROM audit
             WHERE id < ?1 AND (?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR account_id = ?3)
             ORDER BY id DESC LIMIT ?4",
            &[&before, &kind, &account_id, &limit],
        )
        .await?;
    let records = rows.iter().map(record).collect::<Result<Vec<_>, _>>()?;
    page.page(records, |record| record.id.clone()).map(Json)
}

fn record(row: &Row) -> Result<RecordView, DbError> {
    let detail = row.opt_text(5)?;
    Ok(RecordView {
        id: row.text(0)?,
        kind: row.text(1)?,
        account_id: row.opt_text(2)?,
        actor_id: row.opt_text(3)?,
        client: row.opt_text(4)?,
        detail: detail.and_then(|detail| serde_json::from_str(&detail).ok()),
        at: rfc3339(row.int(6)?),
        times: Some(row.int(7)?).filter(|times| *times > 1),
        last_at: row.opt_int(8)?.map(rfc3339),
    })
}

/// Forgets what is too old or too much of its kind, a bounded number at once. Counting takes some
/// milliseconds, so only some ticks do it: which ones the clock says, as an instance that would
/// remember the last one may live no longer than a tick.
pub async fn sweep(db: &Db) -> Result<(), DbError> {
    let now = now_ms();
    if now % TICKS != 0 {
        return Ok(());
    }
    let old =
        "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ? LIMIT ?) RETURNING 1";
    sweep_with(db, old, &[&(now - KEPT_MS), &SWEPT]).await?;
    for row in db.query("SELECT DISTINCT kind FROM audit", &[]).await? {
        let many = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE kind = ?
                 ORDER BY id DESC LIMIT ? OFFSET ?) RETURNING 1";
        sweep_with(db, many, &[&row.text(0)?, &SWEPT, &KEPT_OF_A_KIND]).await?;
    }
    Ok(())
}

/// Again while there is more, so that a flood is not swept more slowly than it comes in.
async fn sweep_with(db: &Db, sql: &str, params: &[&dyn ToValue]) -> Result<(), DbError> {
    for _ in 0..SWEEPS {
        if db.first(sql, params).await?.is_none() {
            break;
        }
    }
    Ok(())
}
