//! The HTTP side: the catalogue for all, its upkeep for managers.

use crate::SERVICE;
use crate::store::{self, Item, ItemChange, Movement};
use axum::Json;
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use wasmart_domain::money::{CURRENCY, Money};
use wasmart_domain::stock::Level;
use wasmart_service::db::Db;
use wasmart_service::guard::Caller;
use wasmart_service::http::{Id, Input, Page, PageQuery, Params, Problem, internal_only};
use wasmart_service::idempotency::{self, Answer, Once};
use wasmart_service::new_id;

const STAFF: [&str; 2] = ["manager", "admin"];
const MAX_NAME: usize = 200;
const MAX_TEXT: usize = 4000;
/// Ids that one internal look-up may ask for: the lines of an order.
const MAX_KNOWN: usize = 100;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NewItem {
    name: String,
    description: Option<String>,
    price: i64,
    currency: Option<String>,
    quantity: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangedItem {
    name: Option<String>,
    description: Option<String>,
    price: Option<i64>,
    currency: Option<String>,
    archived: Option<bool>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Adjustment {
    delta: i64,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemFilter {
    limit: Option<i64>,
    cursor: Option<String>,
    /// Part of the name.
    q: Option<String>,
    archived: Option<bool>,
}

#[derive(Deserialize)]
pub struct KnownQuery {
    ids: String,
}

#[derive(Serialize)]
pub struct Known {
    known: Vec<String>,
}

/// `GET /items`: archived ones only on request.
pub async fn list(Params(filter): Params<ItemFilter>) -> Result<Json<Page<Item>>, Problem> {
    let page = PageQuery::new(filter.limit, filter.cursor);
    let (before, limit) = (page.before()?, page.fetch()?);
    let db = Db::open(&SERVICE).await?;
    let archived = filter.archived.unwrap_or(false);
    let items = store::list(&db, &before, limit, filter.q.as_deref(), archived).await?;
    page.page(items, |item| item.id.clone()).map(Json)
}

/// `GET /items/{id}`
pub async fn read(Id(id): Id) -> Result<Json<Item>, Problem> {
    let db = Db::open(&SERVICE).await?;
    store::find(&db, &id)
        .await?
        .map(Json)
        .ok_or_else(|| Problem::not_found("item"))
}

/// `POST /items`
pub async fn create(
    caller: Caller,
    headers: HeaderMap,
    Input(input): Input<NewItem>,
) -> Result<impl IntoResponse, Problem> {
    caller.require_any(&STAFF)?;
    let name = check_name(&input.name)?;
    let description = check_text("description", input.description.as_deref(), MAX_TEXT)?;
    check_currency(input.currency.as_deref())?;
    let price = Money::price(input.price).map_err(|error| Problem::field("price", error))?;
    let level = Level::default()
        .adjust(input.quantity.unwrap_or(0))
        .map_err(|error| Problem::field("quantity", error))?;
    let once = Once::new(&headers, &caller.id, "POST /items", &input)?;

    let tx = Db::open(&SERVICE).await?.begin().await?;
    if let Some(answer) = once.earlier(&tx).await? {
        return Ok(answer);
    }
    let item = store::insert(&tx, &new_id(), name, description, price, level).await?;
    let answer = Answer::json(StatusCode::CREATED, &item).at(format!("/api/v1/items/{}", item.id));
    once.keep(&tx, &answer).await?;
    tx.commit().await?;
    Ok(answer)
}

/// `PATCH /items/{id}`: what is named changes, the rest stays.
pub async fn change(
    caller: Caller,
    Id(id): Id,
    Input(input): Input<ChangedItem>,
) -> Result<Json<Item>, Problem> {
    caller.require_any(&STAFF)?;
    check_currency(input.currency.as_deref())?;
    let price = input.price.map(Money::price).transpose();
    let change = ItemChange {
        name: input.name.as_deref().map(check_name).transpose()?,
        description: check_text("description", input.description.as_deref(), MAX_TEXT)?,
        price: price.map_err(|error| Problem::field("price", error))?,
        archived: input.archived,
    };
    let db = Db::open(&SERVICE).await?;
    store::change(&db, &id, &change)
        .await?
        .map(Json)
        .ok_or_else(|| Problem::not_found("item"))
}

/// `POST /items/{id}/adjustments`: goods in, or written off.
pub async fn adjust(
    caller: Caller,
    headers: HeaderMap,
    Id(id): Id,
    Input(input): Input<Adjustment>,
) -> Result<impl IntoResponse, Problem> {
    caller.require_any(&STAFF)?;
    if input.delta == 0 {
        return Err(Problem::field("delta", "must not be 0"));
    }
    let reason = check_text("reason", Some(&input.reason), MAX_NAME)?.unwrap_or_default();
    if reason.trim().is_empty() {
        return Err(Problem::field("reason", "must not be empty"));
    }
    let once = Once::new(
        &headers,
        &caller.id,
        &format!("POST /items/{id}/adjustments"),
        &input,
    )?;

    let tx = Db::open(&SERVICE).await?.begin().await?;
    if let Some(answer) = once.earlier(&tx).await? {
        return Ok(answer);
    }
    let item = store::find(&tx, &id)
        .await?
        .ok_or_else(|| Problem::not_found("item"))?;
    let level = item
        .level()
        .adjust(input.delta)
        .map_err(|error| Problem::field("delta", error))?;
    store::set_level(&tx, &id, level).await?;
    store::record(&tx, &id, "adjust", input.delta, Some(reason), None).await?;
    let item = store::find(&tx, &id)
        .await?
        .ok_or_else(|| Problem::not_found("item"))?;
    let answer = Answer::json(StatusCode::OK, &item);
    once.keep(&tx, &answer).await?;
    tx.commit().await?;
    Ok(answer)
}

/// `GET /items/{id}/movements`
pub async fn movements(
    caller: Caller,
    Id(id): Id,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Movement>>, Problem> {
    caller.require_any(&STAFF)?;
    let (before, limit) = (page.before()?, page.fetch()?);
    let db = Db::open(&SERVICE).await?;
    if store::find(&db, &id).await?.is_none() {
        return Err(Problem::not_found("item"));
    }
    let movements = store::movements(&db, &id, &before, limit).await?;
    page.page(movements, |movement| movement.id.clone())
        .map(Json)
}

/// `GET /internal/stock/items?ids=a,b`: which of these can be ordered; for orders only.
pub async fn known(
    headers: HeaderMap,
    Params(query): Params<KnownQuery>,
) -> Result<Json<Known>, Problem> {
    internal_only(&headers).await?;
    let ids: Vec<&str> = query.ids.split(',').take(MAX_KNOWN).collect();
    let db = Db::open(&SERVICE).await?;
    Ok(Json(Known {
        known: store::known(&db, &ids).await?,
    }))
}

/// `POST /internal/stock/tick`: forgets what need not be remembered.
pub async fn tick(headers: HeaderMap) -> Result<StatusCode, Problem> {
    internal_only(&headers).await?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    idempotency::sweep(&tx).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn check_name(name: &str) -> Result<&str, Problem> {
    let name = name.trim();
    if (1..=MAX_NAME).contains(&name.chars().count()) {
        Ok(name)
    } else {
        Err(Problem::field(
            "name",
            format!("must have 1 to {MAX_NAME} characters"),
        ))
    }
}

fn check_text<'a>(
    field: &str,
    text: Option<&'a str>,
    max: usize,
) -> Result<Option<&'a str>, Problem> {
    match text {
        Some(text) if text.chars().count() > max => Err(Problem::field(
            field,
            format!("must have at most {max} characters"),
        )),
        text => Ok(text),
    }
}

fn check_currency(currency: Option<&str>) -> Result<(), Problem> {
    match currency {
        Some(currency) if currency != CURRENCY => {
            Err(Problem::field("currency", format!("must be {CURRENCY}")))
        }
        _ => Ok(()),
    }
}
