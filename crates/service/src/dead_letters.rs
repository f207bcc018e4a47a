//! Dead letters: what was set aside, and the two things a person can do with it: have it taken in
//! after all (once what was wrong has been put right), or throw it away.

use crate::Service;
use crate::clock::rfc3339;
use crate::db::{Db, DbError, Tx};
use crate::http::{Id, Page, Problem, internal_only};
use crate::inbox::{Handler, take_in_again};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
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

/// Throws away what was set aside about an account that is gone: it may say whose the account was. What ends the
/// account, and the commands, which say nothing of that, are still to be taken in.
pub async fn forget(tx: &Tx, user: &str) -> Result<(), DbError> {
    tx.execute(
        "DELETE FROM dead_letters WHERE instr(raw, ?) > 0
             AND coalesce(CASE WHEN json_valid(raw) THEN json_extract(raw, '$.type') END, '')
                 NOT IN ('account.deleted', 'account.settled', 'payment.charge', 'payment.refund')",
        &[&user],
    )
    .await
}

/// `GET /internal/{service}/dead-letters`, `POST …/{id}/redrive`, `DELETE …/{id}`; behind the shared
/// secret.
pub fn routes(service: &'static Service, handler: &'static (impl Handler + Sync)) -> Router {
    let base = format!("/internal/{}/dead-letters", service.name);
    Router::new()
        .route(
            &base,
            get(async move |headers: HeaderMap| list(service, &headers).await),
        )
        .route(
            &format!("{base}/{{id}}/redrive"),
            post(async move |headers: HeaderMap, Id(id): Id| {
                redrive(service, handler, &headers, &id).await
            }),
        )
        .route(
            &format!("{base}/{{id}}"),
            axum::routing::delete(async move |headers: HeaderMap, Id(id): Id| {
                discard(service, &headers, &id).await
            }),
        )
}

async fn list(service: &Service, headers: &HeaderMap) -> Result<Json<Page<Letter>>, Problem> {
    internal_only(headers).await?;
    let db = Db::open(service).await?;
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
    Ok(Json(Page::whole(letters)))
}

async fn redrive(
    service: &Service,
    handler: &(impl Handler + Sync),
    headers: &HeaderMap,
    id: &str,
) -> Result<StatusCode, Problem> {
    internal_only(headers).await?;
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
    match take_in_again(service, event, id, handler).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(refusal) => Err(refusal.for_good().map_or_else(Problem::from, still_dead)),
    }
}

async fn discard(service: &Service, headers: &HeaderMap, id: &str) -> Result<StatusCode, Problem> {
    internal_only(headers).await?;
    let db = Db::open(service).await?;
    db.first("DELETE FROM dead_letters WHERE id = ? RETURNING 1", &[&id])
        .await?
        .map(|_| StatusCode::NO_CONTENT)
        .ok_or_else(|| Problem::not_found("dead letter"))
}
