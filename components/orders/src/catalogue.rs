//! Which items exist, asked of stock before an order is taken, so that a typing error is refused at
//! once. Whether they are in stock only the reservation can tell.

use http::Method;
use serde::Deserialize;
use std::collections::HashSet;
use std::sync::Mutex;
use wasmart_domain::order::Line;
use wasmart_service::http::{FieldError, Problem};
use wasmart_service::internal;

/// Items known to this instance. An item never ceases to exist, so this needs no expiry; an archived
/// one is refused by the reservation.
static KNOWN: Mutex<Option<HashSet<String>>> = Mutex::new(None);
/// Ids remembered at most.
const MAX_KNOWN: usize = 10_000;

#[derive(Deserialize)]
struct Answer {
    known: Vec<String>,
}

/// Whether this instance knows all the items, so that [`check`] needs no request to stock.
pub fn knows(lines: &[Line]) -> bool {
    unknown(lines).is_empty()
}

/// Refuses lines whose item does not exist. When stock can't be asked, the order is taken: the saga
/// will find out.
pub async fn check(lines: &[Line]) -> Result<(), Problem> {
    let missing = unknown(lines);
    if missing.is_empty() {
        return Ok(());
    }
    match ask(&missing).await {
        Ok(known) => remember(known),
        Err(reason) => {
            wasmart_service::log!("stock does not answer about items, the saga will ask: {reason}");
            return Ok(());
        }
    }
    let missing = unknown(lines);
    let errors = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| missing.contains(&line.item_id));
    let errors: Vec<FieldError> = errors
        .map(|(index, _)| FieldError {
            field: format!("lines[{index}].item_id"),
            detail: "no such item".to_owned(),
        })
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Problem::fields(errors))
    }
}

fn unknown(lines: &[Line]) -> Vec<String> {
    let known = KNOWN.lock().ok();
    let known = known.as_deref().and_then(Option::as_ref);
    let is_known = |id: &String| known.is_some_and(|known| known.contains(id));
    lines
        .iter()
        .map(|line| &line.item_id)
        .filter(|id| !is_known(id))
        .cloned()
        .collect()
}

fn remember(ids: Vec<String>) {
    if let Ok(mut known) = KNOWN.lock() {
        let known = known.get_or_insert_default();
        if known.len() + ids.len() <= MAX_KNOWN {
            known.extend(ids);
        }
    }
}

async fn ask(ids: &[String]) -> Result<Vec<String>, String> {
    let path = format!("/internal/stock/items?ids={}", ids.join(","));
    let answer = internal::request(Method::GET, "stock", &path)
        .await
        .map_err(|error| error.to_string())?;
    if !answer.status().is_success() {
        return Err(format!("status {}", answer.status()));
    }
    let body = wasmart_service::http::read_response(answer).await?;
    let answer: Answer = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    Ok(answer.known)
}
