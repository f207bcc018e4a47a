//! Dead letters: what was set aside, and the two things a person can do with it: have it taken in
//! after all (once what was wrong has been put right), or throw it away.

use crate::actor::Actor;
use crate::clock::rfc3339;
use crate::db::Db;
use crate::http::{Id, Page, Params, Problem, internal_only};
use crate::inbox::{Handler, take_in_again};
use crate::{Service, operators};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmart_contracts::envelope::parse_batch;

/// Letters listed at once.
const MAX_LISTED: i64 = 200;

/// A dead letter, as an operator sees it.
#[derive(Serialize)]
struct Letter {
    id: String,
    reason: String,
    at: String,
    /// What came; JSON where it is any.
    event: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// What people did with letters, in place of the letters.
    #[serde(default)]
    handled: bool,
}

/// Why somebody takes a letter in, or throws it away.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    reason: Option<String>,
}

/// `GET /internal/{service}/dead-letters`, `POST …/{id}/redrive`, `DELETE …/{id}`; behind the shared
/// secret.
pub fn routes(service: &'static Service, handler: &'static (impl Handler + Sync)) -> Router {
    let base = format!("/internal/{}/dead-letters", service.name);
    Router::new()
        .route(
            &base,
            get(
                async move |headers: HeaderMap, Params(query): Params<ListQuery>| {
                    list(service, &headers, &query).await
                },
            ),
        )
        .route(
            &format!("{base}/{{id}}/redrive"),
            post(
                async move |headers: HeaderMap, Id(id): Id, Params(why): Params<Why>| {
                    redrive(service, handler, &headers, &id, &why).await
                },
            ),
        )
        .route(
            &format!("{base}/{{id}}"),
            axum::routing::delete(
                async move |headers: HeaderMap, Id(id): Id, Params(why): Params<Why>| {
                    discard(service, &headers, &id, &why).await
                },
            ),
        )
}

async fn list(
    service: &Service,
    headers: &HeaderMap,
    query: &ListQuery,
) -> Result<Response, Problem> {
    internal_only(headers).await?;
    let db = Db::open(service).await?;
    if query.handled {
        let actions = operators::list(&db, None).await?;
        return Ok(Json(Page::whole(actions)).into_response());
    }
    let rows = db
        .query(
            "SELECT id, reason, created_at, raw FROM dead_letters ORDER BY id LIMIT ?",
            &[&MAX_LISTED],
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
    Ok(Json(Page::whole(letters)).into_response())
}

async fn redrive(
    service: &Service,
    handler: &(impl Handler + Sync),
    headers: &HeaderMap,
    id: &str,
    why: &Why,
) -> Result<StatusCode, Problem> {
    internal_only(headers).await?;
    operators::check_reason(why.reason.as_deref())?;
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
    match take_in_again(service, event, id, why.reason.as_deref(), handler).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(refusal) => Err(refusal.for_good().map_or_else(Problem::from, still_dead)),
    }
}

async fn discard(
    service: &Service,
    headers: &HeaderMap,
    id: &str,
    why: &Why,
) -> Result<StatusCode, Problem> {
    internal_only(headers).await?;
    let reason = why.reason.as_deref();
    operators::check_reason(reason)?;
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
    operators::record(&tx, &Actor::operator(), action, subject, reason).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
