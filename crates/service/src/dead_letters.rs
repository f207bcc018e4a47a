//! Dead letters: what was set aside, and the two things a person can do with it: have it taken in
//! after all (once what was wrong has been put right), or throw it away.

use crate::actor::Actor;
use crate::clock::rfc3339;
use crate::db::{Db, DbError, Tx};
use crate::http::{Id, PageQuery, Params, Problem, Routes};
use crate::inbox::{Handler, take_in_again};
use crate::{Service, operators};
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmart_contracts::envelope::parse_batch;

/// A dead letter, as an operator sees it.
#[derive(Serialize)]
struct Letter {
    id: String,
    reason: String,
    at: String,
    /// What came; JSON where it is any.
    event: Value,
}

/// Deletes the dead letters about a deleted account, as they may contain personal data. Events that end the account,
/// and commands, contain none and are kept: they still have to be processed.
pub async fn forget(tx: &Tx, user: &str) -> Result<(), DbError> {
    tx.execute(
        "DELETE FROM dead_letters WHERE instr(raw, ?) > 0
             AND coalesce(CASE WHEN json_valid(raw) THEN json_extract(raw, '$.type') END, '')
                 NOT IN ('account.deleted', 'account.settled', 'payment.charge', 'payment.refund')",
        &[&user],
    )
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// The actions on letters, instead of the letters.
    #[serde(default)]
    handled: bool,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// Why an operator redrives or discards a letter.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    reason: Option<String>,
}

/// `GET /internal/{service}/dead-letters`, `POST …/{id}/redrive`, `DELETE …/{id}`; behind the shared
/// secret.
pub fn routes(service: &'static Service, handler: &'static (impl Handler + Sync)) -> Routes {
    let base = format!("/internal/{}/dead-letters", service.name);
    Routes::of(service)
        .get(&base, async move |Params(query): Params<ListQuery>| {
            list(service, query).await
        })
        .post(
            &format!("{base}/{{id}}/redrive"),
            async move |Id(id): Id, Params(why): Params<Why>| {
                redrive(service, handler, &id, &why).await
            },
        )
        .delete(
            &format!("{base}/{{id}}"),
            async move |Id(id): Id, Params(why): Params<Why>| discard(service, &id, &why).await,
        )
}

async fn list(service: &Service, query: ListQuery) -> Result<Response, Problem> {
    let page = PageQuery::new(query.limit, query.cursor);
    let limit = page.fetch()?;
    let db = Db::open(service).await?;
    if query.handled {
        let actions = operators::list(&db, None, &page.before()?, limit).await?;
        let page = page.page(actions, |action| action.id.clone())?;
        return Ok(Json(page).into_response());
    }
    let after = page.after()?;
    let rows = db
        .query(
            "SELECT id, reason, created_at, raw FROM dead_letters WHERE id > ? ORDER BY id LIMIT ?",
            &[&after, &limit],
        )
        .await?;
    let mut letters = Vec::with_capacity(rows.len());
    for row in &rows {
        let raw = row.text(3)?;
        letters.push(Letter {
            id: row.text(0)?,
            reason: row.text(1)?,
            at: rfc3339(row.int(2)?),
            event: serde_json::from_str(&raw).unwrap_or(Value::String(raw)),
        });
    }
    let page = page.page(letters, |letter| letter.id.clone())?;
    Ok(Json(page).into_response())
}

async fn redrive(
    service: &Service,
    handler: &(impl Handler + Sync),
    id: &str,
    why: &Why,
) -> Result<StatusCode, Problem> {
    let reason = why.reason.as_deref().map(operators::clean_reason);
    let reason = reason.transpose()?;
    let raw = {
        let db = Db::open(service).await?;
        let row = db
            .first("SELECT raw FROM dead_letters WHERE id = ?", &[&id])
            .await?;
        row.ok_or_else(|| Problem::not_found("dead letter"))?
            .text(0)?
    };
    let still_dead = |reason: String| Problem::conflict("still-dead", reason);
    let Some(Ok(event)) = parse_batch(format!("[{raw}]").as_bytes()).pop() else {
        return Err(still_dead("It is not an event".to_owned()));
    };
    match take_in_again(service, event, id, reason.as_deref(), handler).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(refusal) => Err(refusal.for_good().map_or_else(Problem::from, still_dead)),
    }
}

async fn discard(service: &Service, id: &str, why: &Why) -> Result<StatusCode, Problem> {
    let reason = why.reason.as_deref().map(operators::clean_reason);
    let reason = reason.transpose()?;
    let tx = Db::open(service).await?.begin().await?;
    let letter = tx
        .first(
            "DELETE FROM dead_letters WHERE id = ? RETURNING event_id",
            &[&id],
        )
        .await?
        .ok_or_else(|| Problem::not_found("dead letter"))?;
    let event = letter.opt_text(0)?;
    let subject = event.as_deref().unwrap_or(id);
    let action = "dead_letter.discarded";
    operators::record(&tx, &Actor::operator(), action, subject, reason.as_deref()).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
