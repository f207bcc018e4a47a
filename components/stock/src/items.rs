//! The HTTP side: the catalogue for all, its upkeep for managers.

use crate::SERVICE;
use crate::store::{self, Item, ItemChange, Movement};
use axum::Json;
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use wasmart_domain::money::{CURRENCY, Money};
use wasmart_domain::stock::Level;
use wasmart_domain::text::{DESCRIPTION, ITEM_NAME, REASON, Rule, SEARCH};
use wasmart_service::db::Db;
use wasmart_service::guard::Caller;
use wasmart_service::http::{Id, Input, Page, PageQuery, Params, Problem, internal_only};
use wasmart_service::idempotency::{self, Answer, Once};
use wasmart_service::new_id;

const STAFF: [&str; 2] = ["manager", "admin"];
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
    let search = clean("q", &SEARCH, filter.q.as_deref())?.filter(|q| !q.is_empty());
    let db = Db::open(&SERVICE).await?;
    let archived = filter.archived.unwrap_or(false);
    let items = store::list(
        &db,
        page.before(),
        page.fetch()?,
        search.as_deref(),
        archived,
    )
    .await?;
    page.page(items, |item| &item.id).map(Json)
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
    let name = clean("name", &ITEM_NAME, Some(&input.name))?.unwrap_or_default();
    let description = clean("description", &DESCRIPTION, input.description.as_deref())?;
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
    let item = store::insert(&tx, &new_id(), &name, description.as_deref(), price, level).await?;
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
        name: clean("name", &ITEM_NAME, input.name.as_deref())?,
        description: clean("description", &DESCRIPTION, input.description.as_deref())?,
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
    let reason = clean("reason", &REASON, Some(&input.reason))?;
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
    store::record(&tx, &id, "adjust", input.delta, reason.as_deref(), None).await?;
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
    let db = Db::open(&SERVICE).await?;
    if store::find(&db, &id).await?.is_none() {
        return Err(Problem::not_found("item"));
    }
    let movements = store::movements(&db, &id, page.before(), page.fetch()?).await?;
    page.page(movements, |movement| &movement.id).map(Json)
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

/// `POST /internal/stock/tick`: forgets what need not be remembered, makes old items ready for the search.
pub async fn tick(headers: HeaderMap) -> Result<StatusCode, Problem> {
    internal_only(&headers).await?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    idempotency::sweep(&tx).await?;
    store::fold_names(&tx).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The text of a field, where there is any, as it is stored.
fn clean(field: &str, rule: &Rule, text: Option<&str>) -> Result<Option<String>, Problem> {
    text.map(|text| rule.clean(text))
        .transpose()
        .map_err(|error| Problem::field(field, error))
}

fn check_currency(currency: Option<&str>) -> Result<(), Problem> {
    match currency {
        Some(currency) if currency != CURRENCY => {
            Err(Problem::field("currency", format!("must be {CURRENCY}")))
        }
        _ => Ok(()),
    }
}
