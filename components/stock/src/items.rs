//! The HTTP side: the catalogue for all, its upkeep for managers.

use crate::SERVICE;
use crate::changes::{self, Change};
use crate::store::{self, Details, Move, Movement};
use crate::view::ItemView;
use axum::Json;
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use wasmart_domain::money::{CURRENCY, Money};
use wasmart_domain::stock::Level;
use wasmart_domain::text::{DESCRIPTION, ITEM_NAME, REASON, Rule, SEARCH};
use wasmart_service::actor::Actor;
use wasmart_service::db::Db;
use wasmart_service::guard::{MaybeCaller, Staff};
use wasmart_service::http::{
    Conditions, Id, Input, Page, PageQuery, Params, Patch, Problem, Public, Tagged,
};
use wasmart_service::idempotency::{self, Answer, Once};
use wasmart_service::new_id;

/// Ids that one internal look-up may ask for: the lines of an order.
const MAX_KNOWN: usize = 100;

#[derive(Deserialize)]
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
    #[serde(default)]
    name: Patch<String>,
    #[serde(default)]
    description: Patch<String>,
    #[serde(default)]
    price: Patch<i64>,
    #[serde(default)]
    currency: Patch<String>,
    #[serde(default)]
    archived: Patch<bool>,
}

/// What identifies a new item under its key: its meaning, however the client wrote it.
#[derive(Serialize)]
struct Asked<'a> {
    name: &'a str,
    description: Option<&'a str>,
    price: i64,
    /// Only where there is any.
    quantity: Option<i64>,
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
#[serde(deny_unknown_fields)]
pub struct KnownQuery {
    ids: String,
}

#[derive(Serialize)]
pub struct Known {
    known: Vec<String>,
}

/// `GET /items`: archived ones only for staff, on request.
pub async fn list(
    caller: MaybeCaller,
    Params(filter): Params<ItemFilter>,
) -> Result<Public<Json<Page<ItemView>>>, Problem> {
    let page = PageQuery::new(filter.limit, filter.cursor);
    let (before, limit) = (page.before()?, page.fetch()?);
    let search = filter.q.map(|q| clean("q", &SEARCH, &q)).transpose()?;
    let search = search.filter(|search| !search.is_empty());
    let db = Db::open(&SERVICE).await?;
    let archived = filter.archived.unwrap_or(false) && caller.is_staff();
    let items = store::list(&db, &before, limit, search.as_deref(), archived).await?;
    let view = view_for(&caller);
    let views = items.into_iter().map(view).collect();
    page.page(views, |item| item.id.clone())
        .map(|page| Public(Json(page)))
}

/// `GET /items/{id}`: an archived one is there for staff only.
pub async fn read(caller: MaybeCaller, Id(id): Id) -> Result<Public<Json<ItemView>>, Problem> {
    let db = Db::open(&SERVICE).await?;
    let view = view_for(&caller);
    store::find(&db, &id)
        .await?
        .filter(|item| !item.details.archived || caller.is_staff())
        .map(|item| Public(Json(view(item))))
        .ok_or_else(no_item)
}

fn view_for(caller: &MaybeCaller) -> fn(store::Item) -> ItemView {
    if caller.is_staff() {
        ItemView::staff
    } else {
        ItemView::public
    }
}

fn no_item() -> Problem {
    Problem::not_found("item")
}

/// `POST /items`
pub async fn create(
    Staff(caller): Staff,
    headers: HeaderMap,
    Input(input): Input<NewItem>,
) -> Result<impl IntoResponse, Problem> {
    check_currency(input.currency.as_deref())?;
    let price = Money::price(input.price).map_err(|error| Problem::field("price", error))?;
    let new = Details {
        name: clean("name", &ITEM_NAME, &input.name)?,
        description: input.description.map(clean_description).transpose()?,
        price: price.minor(),
        archived: false,
    };
    let quantity = input.quantity.unwrap_or(0);
    let level = Level::default()
        .adjust(quantity)
        .map_err(|error| Problem::field("quantity", error))?;
    let asked = Asked {
        name: &new.name,
        description: new.description.as_deref(),
        price: new.price,
        quantity: Some(quantity).filter(|quantity| *quantity != 0),
    };
    let once = Once::new(&headers, &caller.id, "POST /items", &asked)?;

    let tx = Db::open(&SERVICE).await?.begin().await?;
    if let Some(answer) = once.earlier(&tx).await? {
        return Ok(answer);
    }
    let actor = Actor::staff(&caller.id);
    let item = store::insert(&tx, &new_id(), &new, level, &actor).await?;
    changes::made(&tx, &item.id, &new, &actor).await?;
    let location = format!("/api/v1/items/{}", item.id);
    let answer = Answer::json(StatusCode::CREATED, &ItemView::staff(item)).at(location);
    let answer = answer.tagged();
    once.keep(&tx, &answer).await?;
    tx.commit().await?;
    Ok(answer)
}

/// `PATCH /items/{id}`: what is named changes, the rest stays. A request that changes nothing has
/// no effect.
pub async fn change(
    Staff(caller): Staff,
    Id(id): Id,
    conditions: Conditions,
    Input(input): Input<ChangedItem>,
) -> Result<Tagged<ItemView>, Problem> {
    let input = input.checked()?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    let item = store::find(&tx, &id).await?.ok_or_else(no_item)?;
    conditions.check(&ItemView::staff(item.clone()))?;
    let details = input.over(&item.details);
    if details == item.details {
        tx.rollback().await?;
        return Ok(Tagged(ItemView::staff(item)));
    }
    let changed = (&item.details, &details);
    changes::changed(&tx, &id, changed, &Actor::staff(&caller.id)).await?;
    let item = store::change(&tx, &id, &details)
        .await?
        .ok_or_else(no_item)?;
    tx.commit().await?;
    Ok(Tagged(ItemView::staff(item)))
}

/// A checked change of an item.
struct Checked {
    name: Option<String>,
    description: Patch<String>,
    price: Option<i64>,
    archived: Option<bool>,
}

impl ChangedItem {
    fn checked(self) -> Result<Checked, Problem> {
        let currency = self.currency.required("currency")?;
        check_currency(currency.as_deref())?;
        let name = self.name.required("name")?;
        let price = self.price.required("price")?.map(Money::price).transpose();
        let price = price.map_err(|error| Problem::field("price", error))?;
        Ok(Checked {
            name: name
                .map(|name| clean("name", &ITEM_NAME, &name))
                .transpose()?,
            description: self.description.try_map(clean_description)?,
            price: price.map(Money::minor),
            archived: self.archived.required("archived")?,
        })
    }
}

impl Checked {
    /// The item after the change.
    fn over(self, now: &Details) -> Details {
        Details {
            name: self.name.unwrap_or_else(|| now.name.clone()),
            description: self.description.over(now.description.clone()),
            price: self.price.unwrap_or(now.price),
            archived: self.archived.unwrap_or(now.archived),
        }
    }
}

/// `POST /items/{id}/adjustments`: goods in, or written off.
pub async fn adjust(
    Staff(caller): Staff,
    headers: HeaderMap,
    Id(id): Id,
    conditions: Conditions,
    Input(mut input): Input<Adjustment>,
) -> Result<impl IntoResponse, Problem> {
    if input.delta == 0 {
        return Err(Problem::field("delta", "must not be 0"));
    }
    input.reason = clean("reason", &REASON, &input.reason)?;
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
    let item = store::find(&tx, &id).await?.ok_or_else(no_item)?;
    conditions.check(&ItemView::staff(item.clone()))?;
    let level = item
        .level
        .adjust(input.delta)
        .map_err(|error| Problem::field("delta", error))?;
    store::set_level(&tx, &id, level).await?;
    let moved = Move {
        kind: "adjust",
        quantity: input.delta,
        reason: Some(&input.reason),
        order_id: None,
        actor: Actor::staff(&caller.id),
    };
    store::record(&tx, &id, &moved).await?;
    let item = store::find(&tx, &id).await?.ok_or_else(no_item)?;
    let answer = Answer::json(StatusCode::OK, &ItemView::staff(item)).tagged();
    once.keep(&tx, &answer).await?;
    tx.commit().await?;
    Ok(answer)
}

/// `GET /items/{id}/movements`
pub async fn movements(
    _: Staff,
    Id(id): Id,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Movement>>, Problem> {
    let (before, limit) = (page.before()?, page.fetch()?);
    let db = Db::open(&SERVICE).await?;
    if store::find(&db, &id).await?.is_none() {
        return Err(no_item());
    }
    let movements = store::movements(&db, &id, &before, limit).await?;
    page.page(movements, |movement| movement.id.clone())
        .map(Json)
}

/// `GET /items/{id}/changes`: who changed what of it, beside its counts.
pub async fn changes(
    _: Staff,
    Id(id): Id,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Change>>, Problem> {
    let (before, limit) = (page.before_number()?, page.fetch()?);
    let db = Db::open(&SERVICE).await?;
    if store::find(&db, &id).await?.is_none() {
        return Err(no_item());
    }
    let changes = changes::list(&db, &id, before, limit).await?;
    page.page(changes, |change| change.id).map(Json)
}

/// `GET /internal/stock/items?ids=a,b`: which of these can be ordered; for orders only.
pub async fn known(Params(query): Params<KnownQuery>) -> Result<Json<Known>, Problem> {
    let ids: Vec<&str> = query.ids.split(',').take(MAX_KNOWN).collect();
    let db = Db::open(&SERVICE).await?;
    Ok(Json(Known {
        known: store::known(&db, &ids).await?,
    }))
}

/// `POST /internal/stock/tick`: deletes expired rows, and prepares old items for the search.
pub async fn tick() -> Result<StatusCode, Problem> {
    let tx = Db::open(&SERVICE).await?.begin().await?;
    idempotency::sweep(&tx).await?;
    store::fold_names(&tx).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The stored form of a text.
fn clean(field: &str, rule: &Rule, text: &str) -> Result<String, Problem> {
    rule.clean(text)
        .map_err(|error| Problem::field(field, error))
}

fn clean_description(text: String) -> Result<String, Problem> {
    clean("description", &DESCRIPTION, &text)
}

fn check_currency(currency: Option<&str>) -> Result<(), Problem> {
    match currency {
        Some(currency) if currency != CURRENCY => {
            Err(Problem::field("currency", format!("must be {CURRENCY}")))
        }
        _ => Ok(()),
    }
}
