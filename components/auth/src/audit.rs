//! What a person may have to account for later: who came in, who was refused, what was changed of accounts.
//!
//! One record is a row, written in the transaction of what it tells of, and a line of JSON on the log
//! once that is committed. It has ids and a network, never a secret, nor what was typed as a login: that
//! may be a password in the wrong field. Bounded in age and in number.

use crate::SERVICE;
use crate::admin::Admin;
use axum::Json;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wasmart_domain::text::clean_word;
use wasmart_service::clock::{now_ms, rfc3339};
use wasmart_service::db::{Db, DbError, Row};
use wasmart_service::http::{Client, Page, PageQuery, Params, Problem, canonical_id};
use wasmart_service::new_id;

/// How long a record is kept.
const KEPT_MS: i64 = 365 * 24 * 60 * 60_000;
/// How many of one kind are kept: a flood of one does not wash the others away.
const KEPT_OF_A_KIND: i64 = 100_000;
const SWEPT: i64 = 1_000;
/// How many ticks have one sweep.
const TICKS: i64 = 64;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Registered,
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
            Kind::Registered => "account.registered",
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

    /// Writes the row. What it gives is put on the log after the commit.
    pub async fn write(self, db: &Db) -> Result<Written, DbError> {
        let now = now_ms();
        let detail = self.detail.as_ref().map(Value::to_string);
        db.execute(
            "INSERT INTO audit (id, kind, account_id, actor_id, client, detail, at)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            &[
                &new_id(),
                &self.kind.as_str(),
                &self.account,
                &self.actor,
                &self.client,
                &detail,
                &now,
            ],
        )
        .await?;
        Ok(Written { entry: self, now })
    }
}

/// A record that is in the database, or will be with its transaction.
#[must_use]
pub struct Written {
    entry: Entry,
    now: i64,
}

impl Written {
    /// One line on the log.
    pub fn log(self) {
        let line = json!({
            "audit": self.entry.kind.as_str(), "at": rfc3339(self.now),
            "account": self.entry.account, "actor": self.entry.actor,
            "client": self.entry.client, "detail": self.entry.detail,
        });
        eprintln!("{line}");
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
            "SELECT id, kind, account_id, actor_id, client, detail, at FROM audit
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
    db.execute(
        "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ? LIMIT ?)",
        &[&(now - KEPT_MS), &SWEPT],
    )
    .await?;
    for row in db.query("SELECT DISTINCT kind FROM audit", &[]).await? {
        db.execute(
            "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE kind = ?
                 ORDER BY id DESC LIMIT ? OFFSET ?)",
            &[&row.text(0)?, &SWEPT, &KEPT_OF_A_KIND],
        )
        .await?;
    }
    Ok(())
}
