//! Mails that wait to be delivered: a queue that no user can read. Until something delivers them, the
//! operator's `wasmart mail` shows them.

use crate::SERVICE;
use crate::text::Mail;
use axum::Json;
use http::StatusCode;
use serde::Serialize;
use wasmart_contracts::envelope::Event;
use wasmart_service::clock::{now_ms, rfc3339};
use wasmart_service::db::{Db, DbError, Row, Tx};
use wasmart_service::http::{Id, Page, PageQuery, Params, Problem};
use wasmart_service::new_id;

/// How long the row of an empty mail stays, so that a repeat of its event makes no other.
const EMPTY_MS: i64 = 24 * 60 * 60_000;
/// How long a dead letter with a token may stay; the token is worth nothing by then.
const DEAD_MS: i64 = 10 * 60_000;

/// A mail, as an operator sees it.
#[derive(Serialize)]
pub struct MailView {
    id: String,
    kind: String,
    to: Option<String>,
    title: Option<String>,
    /// Only where one mail is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    created_at: String,
    expires_at: String,
}

/// Keeps a mail, once for each event, unless its user is gone or it is past its end.
pub async fn insert(
    tx: &Tx,
    event: &Event,
    user_id: &str,
    mail: &Mail,
    expires_at: i64,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO mails (id, event_id, user_id, kind, recipient, title, text, created_at, expires_at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
         WHERE ?9 > ?8 AND NOT EXISTS (SELECT 1 FROM tombstones WHERE user_id = ?3)
         ON CONFLICT (event_id) DO NOTHING",
        &[
            &new_id(),
            &event.id,
            &user_id,
            &event.kind,
            &mail.to,
            &mail.title,
            &mail.text,
            &now_ms(),
            &expires_at,
        ],
    )
    .await
}

/// Empties all mails to a user: what they say is no longer good for anything.
pub async fn forget(tx: &Tx, user_id: &str) -> Result<(), DbError> {
    tx.execute(
        "UPDATE mails SET recipient = NULL, title = NULL, text = NULL
         WHERE user_id = ? AND text IS NOT NULL",
        &[&user_id],
    )
    .await
}

/// `GET /internal/notifications/mails`: those that are not empty, newest first.
pub async fn list(Params(page): Params<PageQuery>) -> Result<Json<Page<MailView>>, Problem> {
    let (before, limit) = (page.before()?, page.fetch()?);
    let db = Db::open(&SERVICE).await?;
    let rows = db
        .query(
            "SELECT id, kind, recipient, title, NULL, created_at, expires_at FROM mails
             WHERE text IS NOT NULL AND expires_at > ? AND id < ? ORDER BY id DESC LIMIT ?",
            &[&now_ms(), &before, &limit],
        )
        .await?;
    let mails = rows.iter().map(view).collect::<Result<Vec<_>, _>>()?;
    page.page(mails, |mail| mail.id.clone()).map(Json)
}

/// `GET /internal/notifications/mails/{id}`, with its text.
pub async fn show(Id(id): Id) -> Result<Json<MailView>, Problem> {
    let db = Db::open(&SERVICE).await?;
    let row = db
        .first(
            "SELECT id, kind, recipient, title, text, created_at, expires_at FROM mails
             WHERE id = ? AND text IS NOT NULL AND expires_at > ?",
            &[&id, &now_ms()],
        )
        .await?;
    let mail = row.as_ref().map(view).transpose()?;
    mail.map(Json).ok_or_else(|| Problem::not_found("mail"))
}

fn view(row: &Row) -> Result<MailView, DbError> {
    Ok(MailView {
        id: row.text(0)?,
        kind: row.text(1)?,
        to: row.opt_text(2)?,
        title: row.opt_text(3)?,
        text: row.opt_text(4)?,
        created_at: rfc3339(row.int(5)?),
        expires_at: rfc3339(row.int(6)?),
    })
}

/// `POST /internal/notifications/tick`: nothing that opens an account stays readable past its end, also
/// not in what an older version, which did not know such an event, has set aside.
pub async fn tick() -> Result<StatusCode, Problem> {
    let db = Db::open(&SERVICE).await?;
    let now = now_ms();
    db.execute(
        "UPDATE mails SET recipient = NULL, title = NULL, text = NULL
         WHERE expires_at <= ? AND text IS NOT NULL",
        &[&now],
    )
    .await?;
    db.execute(
        "DELETE FROM mails WHERE expires_at < ?",
        &[&(now - EMPTY_MS)],
    )
    .await?;
    db.execute(
        "DELETE FROM dead_letters WHERE created_at < ? AND json_valid(raw)
             AND json_extract(raw, '$.type') = 'password.forgotten'",
        &[&(now - DEAD_MS)],
    )
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
