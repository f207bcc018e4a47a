//! Making, reading and editing orders.

use crate::runner::{self, Refused};
use crate::store::{self, NewOrder, Order, StoredLine};
use crate::view::{EventView, OrderView};
use crate::{SERVICE, catalogue, gone, history, quotas};
use axum::Json;
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use wasmart_domain::order::{Line, LineError, Status, check_lines};
use wasmart_domain::saga::Event;
use wasmart_domain::text::ADDRESS;
use wasmart_service::actor::Actor;
use wasmart_service::db::{Db, Tx};
use wasmart_service::guard::Caller;
use wasmart_service::http::{
    Conditions, Id, Input, Page, PageQuery, Params, Patch, Problem, Tagged, canonical_id,
};
use wasmart_service::idempotency::{Answer, Once};
use wasmart_service::{new_id, outbox, trace};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewOrderInput {
    lines: Vec<LineInput>,
    address: Option<String>,
    draft: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineInput {
    item_id: String,
    quantity: i64,
}

/// What identifies a new order under its key: its meaning, however the client wrote it.
#[derive(Serialize)]
struct Asked<'a> {
    lines: Vec<AskedLine<'a>>,
    address: Option<&'a str>,
    /// Present only in a draft: a request without `draft` equals one with `false`.
    draft: Option<bool>,
}

#[derive(Serialize)]
struct AskedLine<'a> {
    item_id: &'a str,
    quantity: u32,
}

impl<'a> Asked<'a> {
    fn new(lines: &'a [Line], address: Option<&'a str>, draft: bool) -> Asked<'a> {
        let lines = lines.iter().map(|line| AskedLine {
            item_id: &line.item_id,
            quantity: line.quantity,
        });
        Asked {
            lines: lines.collect(),
            address,
            draft: draft.then_some(true),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangedOrder {
    #[serde(default)]
    lines: Patch<Vec<LineInput>>,
    #[serde(default)]
    address: Patch<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderFilter {
    limit: Option<i64>,
    cursor: Option<String>,
    status: Option<String>,
}

/// `POST /orders`: confirmed at once unless it is a draft.
pub async fn create(
    caller: Caller,
    headers: HeaderMap,
    Input(input): Input<NewOrderInput>,
) -> Result<impl IntoResponse, Problem> {
    let lines = read_lines(&input.lines)?;
    let address = input.address.map(clean_address).transpose()?;
    let draft = input.draft.unwrap_or(false);
    let asked = Asked::new(&lines, address.as_deref(), draft);
    let once = Once::new(&headers, &caller.id, "POST /orders", &asked)?;
    if !catalogue::knows(&lines) {
        // Looked up before the catalogue is asked, which may have changed since.
        let db = Db::open(&SERVICE).await?;
        if let Some(answer) = once.earlier(&db).await? {
            return Ok(answer);
        }
        drop(db);
        catalogue::check(&lines).await?;
    }
    let id = new_id();

    let tx = Db::open(&SERVICE).await?.begin().await?;
    if let Some(answer) = once.earlier(&tx).await? {
        return Ok(answer);
    }
    gone::refuse(&tx, &caller.id).await?;
    let traceparent = trace::of_request(&headers);
    quotas::check_orders(&tx, &caller.id).await?;
    if draft {
        quotas::check_drafts(&tx, &caller.id).await?;
    }
    let new = NewOrder {
        id: &id,
        user_id: &caller.id,
        address: address.as_deref(),
        traceparent: traceparent.as_deref(),
        lines: &lines,
    };
    let mut order = store::insert(&tx, &new).await?;
    if !draft {
        runner::advance(
            &tx,
            &mut order,
            Event::Confirm,
            &Actor::customer(&caller.id),
        )
        .await?
        .map_err(refuse)?;
    }
    let lines = store::lines(&tx, &[&id]).await?;
    let answer = Answer::json(StatusCode::CREATED, &OrderView::of(order, lines))
        .at(format!("/api/v1/orders/{id}"))
        .tagged();
    once.keep(&tx, &answer).await?;
    tx.commit().await?;
    outbox::drain(&SERVICE).await;
    Ok(answer)
}

/// `GET /orders`: the caller's own, newest first: in the order of their numbers.
pub async fn list(
    caller: Caller,
    Params(filter): Params<OrderFilter>,
) -> Result<Json<Page<OrderView>>, Problem> {
    let page = PageQuery::new(filter.limit, filter.cursor);
    let status = filter.status.as_deref().map(read_status).transpose()?;
    let (before, limit) = (page.before_number()?, page.fetch()?);
    let db = Db::open(&SERVICE).await?;
    let orders = store::list(&db, &caller.id, status, before, limit).await?;
    let ids: Vec<&str> = orders.iter().map(|order| order.id.as_str()).collect();
    let mut lines = store::lines(&db, &ids).await?;
    let mut views = Vec::with_capacity(orders.len());
    for order in orders {
        let (own, rest) = lines
            .into_iter()
            .partition(|line| line.order_id == order.id);
        lines = rest;
        views.push(OrderView::of(order, own));
    }
    page.page(views, OrderView::number).map(Json)
}

/// `GET /orders/{id}`
pub async fn read(caller: Caller, Id(id): Id) -> Result<Json<OrderView>, Problem> {
    let db = Db::open(&SERVICE).await?;
    view(&db, &caller, &id).await.map(Json)
}

/// `PATCH /orders/{id}`: by its owner, while it is a draft. A request that changes nothing has no
/// effect.
pub async fn change(
    caller: Caller,
    Id(id): Id,
    conditions: Conditions,
    Input(input): Input<ChangedOrder>,
) -> Result<Tagged<OrderView>, Problem> {
    let lines = input.lines.required("lines")?;
    let lines = lines.as_deref().map(read_lines).transpose()?;
    let address = input.address.try_map(clean_address)?;
    let db = Db::open(&SERVICE).await?;
    let (_, now) = draft(&db, &caller, &id).await?;
    drop(db);
    if let Some(lines) = lines.as_ref().filter(|lines| !same_lines(lines, &now)) {
        catalogue::check(lines).await?;
    }
    let tx = Db::open(&SERVICE).await?.begin().await?;
    check(&conditions, &tx, &caller, &id).await?;
    // Checked once more, because it may have been confirmed meanwhile.
    let (order, now) = draft(&tx, &caller, &id).await?;
    if let Some(lines) = lines.filter(|lines| !same_lines(lines, &now)) {
        store::replace_lines(&tx, &id, &lines).await?;
    }
    let address = address.over(order.address.clone());
    if address != order.address {
        store::set_address(&tx, &id, address.as_deref()).await?;
    }
    let view = view(&tx, &caller, &id).await?;
    tx.commit().await?;
    Ok(Tagged(view))
}

/// Refuses (412) a change if the client does not know the order's current state.
pub async fn check(
    conditions: &Conditions,
    tx: &Tx,
    caller: &Caller,
    id: &str,
) -> Result<(), Problem> {
    if conditions.is_empty() {
        return Ok(());
    }
    conditions.check(&view(tx, caller, id).await?)
}

/// A draft that the caller may edit, with its lines.
async fn draft(db: &Db, caller: &Caller, id: &str) -> Result<(Order, Vec<StoredLine>), Problem> {
    let (order, lines) = store::find_whole(db, id)
        .await?
        .filter(|(order, _)| may_see(caller, order))
        .ok_or_else(|| Problem::not_found("order"))?;
    owned(caller, &order)?;
    if order.status() != Status::Draft {
        return Err(Problem::conflict(
            "not-a-draft",
            "Only a draft can be edited",
        ));
    }
    Ok((order, lines))
}

fn same_lines(lines: &[Line], stored: &[StoredLine]) -> bool {
    let asked = lines.iter().map(|line| (&line.item_id, line.quantity));
    asked.eq(stored.iter().map(|line| (&line.item_id, line.quantity)))
}

/// `GET /orders/{id}/events`: the saga's history, oldest first.
pub async fn events(
    caller: Caller,
    Id(id): Id,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<EventView>>, Problem> {
    let (after, limit) = (page.after_count()?, page.fetch()?);
    let db = Db::open(&SERVICE).await?;
    visible(&db, &caller, &id).await?;
    let history = history::of(&db, &id).await?.into_iter();
    let counted = history.enumerate().skip(after);
    let counted = counted.take(usize::try_from(limit).unwrap_or(usize::MAX));
    let page = page.page(counted.collect(), |(index, _)| index + 1)?;
    let view = |(_, row)| EventView::of(row).seen_by(&caller);
    Ok(Json(page.map(view)))
}

/// An order that the caller may see: the owner's own, or any for those who run the shop.
pub async fn visible(db: &Db, caller: &Caller, id: &str) -> Result<Order, Problem> {
    store::find(db, id)
        .await?
        .filter(|order| may_see(caller, order))
        .ok_or_else(|| Problem::not_found("order"))
}

/// Refuses (403) those who may see an order and are not its owner: it is the owner's money.
pub fn owned(caller: &Caller, order: &Order) -> Result<(), Problem> {
    if order.user_id == caller.id {
        Ok(())
    } else {
        Err(Problem::forbidden())
    }
}

/// The same, with its lines, as the caller sees it.
pub async fn view(db: &Db, caller: &Caller, id: &str) -> Result<OrderView, Problem> {
    let (order, lines) = store::find_whole(db, id)
        .await?
        .filter(|(order, _)| may_see(caller, order))
        .ok_or_else(|| Problem::not_found("order"))?;
    Ok(OrderView::of(order, lines))
}

fn may_see(caller: &Caller, order: &Order) -> bool {
    order.user_id == caller.id || caller.is_staff()
}

/// A refusal of the saga, as a client sees it.
pub fn refuse(refused: Refused) -> Problem {
    let status = match refused {
        Refused::Illegal(illegal) => illegal.state.status(),
        Refused::UnknownState(_) => Status::Pending,
    };
    Problem::conflict(
        "wrong-state",
        format!("The order is {}; that can't be done now", status.as_str()),
    )
}

fn read_lines(lines: &[LineInput]) -> Result<Vec<Line>, Problem> {
    let mut ids = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        let field = format!("lines[{index}].item_id");
        ids.push(
            canonical_id(&line.item_id).ok_or_else(|| Problem::field(field, "must be a UUID"))?,
        );
    }
    let pairs = ids
        .iter()
        .zip(lines)
        .map(|(id, line)| (id.as_str(), line.quantity));
    check_lines(pairs).map_err(|error| {
        let field = match error {
            LineError::Empty | LineError::TooMany => "lines".to_owned(),
            LineError::Quantity { index } => format!("lines[{index}].quantity"),
            LineError::Duplicate { index, .. } => format!("lines[{index}].item_id"),
        };
        Problem::field(field, error)
    })
}

fn clean_address(address: String) -> Result<String, Problem> {
    ADDRESS
        .clean(&address)
        .map_err(|error| Problem::field("address", error))
}

fn read_status(status: &str) -> Result<Status, Problem> {
    Status::parse(status).ok_or_else(|| {
        Problem::field(
            "status",
            "must be draft, pending, paid, completed or canceled",
        )
    })
}
