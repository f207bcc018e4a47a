//! Dead letters: what was set aside, and the two things a person can do with it: have it taken in
//! after all (once what was wrong has been put right), or throw it away.

use crate::Service;
use crate::clock::rfc3339;
use crate::db::Db;
use crate::http::{Id, Page, PageQuery, Params, Problem, Routes};
use crate::inbox::{Handler, take_in_again};
use axum::Json;
use http::StatusCode;
use serde::Serialize;
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

/// `GET /internal/{service}/dead-letters`, `POST …/{id}/redrive`, `DELETE …/{id}`; behind the shared
/// secret.
pub fn routes(service: &'static Service, handler: &'static (impl Handler + Sync)) -> Routes {
    let base = format!("/internal/{}/dead-letters", service.name);
    Routes::of(service)
        .get(&base, async move |Params(page): Params<PageQuery>| {
            list(service, page).await
        })
        .post(
            &format!("{base}/{{id}}/redrive"),
            async move |Id(id): Id| redrive(service, handler, &id).await,
        )
        .delete(&format!("{base}/{{id}}"), async move |Id(id): Id| {
            discard(service, &id).await
        })
}

async fn list(service: &Service, page: PageQuery) -> Result<Json<Page<Letter>>, Problem> {
    let (after, limit) = (page.after()?, page.fetch()?);
    let db = Db::open(service).await?;
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
    page.page(letters, |letter| letter.id.clone()).map(Json)
}

async fn redrive(
    service: &Service,
    handler: &(impl Handler + Sync),
    id: &str,
) -> Result<StatusCode, Problem> {
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

async fn discard(service: &Service, id: &str) -> Result<StatusCode, Problem> {
    let db = Db::open(service).await?;
    db.first("DELETE FROM dead_letters WHERE id = ? RETURNING 1", &[&id])
        .await?
        .map(|_| StatusCode::NO_CONTENT)
        .ok_or_else(|| Problem::not_found("dead letter"))
}
