//! Making, reading and editing orders.

use crate::runner::{self, Refused};
use crate::store::{self, NewOrder, Order};
use crate::view::{EventView, OrderView};
use crate::{SERVICE, catalogue, gone};
use axum::Json;
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use wasmart_domain::order::{Line, LineError, Status, check_lines};
use wasmart_domain::saga::Event;
use wasmart_domain::text::ADDRESS;
use wasmart_service::db::Db;
use wasmart_service::guard::Caller;
use wasmart_service::http::{Id, Input, Page, PageQuery, Params, Problem, canonical_id};
use wasmart_service::idempotency::{Answer, Once};
use wasmart_service::{new_id, outbox};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NewOrderInput {
    lines: Vec<LineInput>,
    address: Option<String>,
    draft: Option<bool>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LineInput {
    item_id: String,
    quantity: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangedOrder {
    lines: Option<Vec<LineInput>>,
    address: Option<String>,
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
    let address = clean_address(input.address.as_deref())?;
    let once = Once::new(&headers, &caller.id, "POST /orders", &input)?;
    catalogue::check(&lines).await?;
    let id = new_id();

    let tx = Db::open(&SERVICE).await?.begin().await?;
    if let Some(answer) = once.earlier(&tx).await? {
        return Ok(answer);
    }
    gone::refuse(&tx, &caller.id).await?;
    let new = NewOrder {
        id: &id,
        user_id: &caller.id,
        address: address.as_deref(),
        traceparent: headers
            .get("traceparent")
            .and_then(|value| value.to_str().ok()),
        lines: &lines,
    };
    let mut order = store::insert(&tx, &new).await?;
    if !input.draft.unwrap_or(false) {
        runner::advance(&tx, &mut order, Event::Confirm)
            .await?
            .map_err(refuse)?;
    }
    let lines = store::lines(&tx, &[&id]).await?;
    let answer = Answer::json(StatusCode::CREATED, &OrderView::of(order, lines))
        .at(format!("/api/v1/orders/{id}"));
    once.keep(&tx, &answer).await?;
    tx.commit().await?;
    outbox::drain(&SERVICE).await;
    Ok(answer)
}

/// `GET /orders`: the caller's own, newest first.
pub async fn list(
    caller: Caller,
    Params(filter): Params<OrderFilter>,
) -> Result<Json<Page<OrderView>>, Problem> {
    let page = PageQuery::new(filter.limit, filter.cursor);
    let status = filter.status.as_deref().map(read_status).transpose()?;
    let db = Db::open(&SERVICE).await?;
    let orders = store::list(&db, &caller.id, status, page.before(), page.fetch()?).await?;
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
    page.page(views, |order| &order.id).map(Json)
}

/// `GET /orders/{id}`
pub async fn read(caller: Caller, Id(id): Id) -> Result<Json<OrderView>, Problem> {
    let db = Db::open(&SERVICE).await?;
    view(&db, &caller, &id).await.map(Json)
}

/// `PATCH /orders/{id}`: while it is a draft.
pub async fn change(
    caller: Caller,
    Id(id): Id,
    Input(input): Input<ChangedOrder>,
) -> Result<Json<OrderView>, Problem> {
    let lines = input.lines.as_deref().map(read_lines).transpose()?;
    let address = clean_address(input.address.as_deref())?;
    if let Some(lines) = &lines {
        catalogue::check(lines).await?;
    }
    let tx = Db::open(&SERVICE).await?.begin().await?;
    let order = visible(&tx, &caller, &id).await?;
    if order.status() != Status::Draft {
        return Err(Problem::conflict(
            "not-a-draft",
            "Only a draft can be edited",
        ));
    }
    if let Some(lines) = &lines {
        store::replace_lines(&tx, &id, lines).await?;
    }
    if let Some(address) = &address {
        store::set_address(&tx, &id, address).await?;
    }
    let view = view(&tx, &caller, &id).await?;
    tx.commit().await?;
    Ok(Json(view))
}

/// `GET /orders/{id}/events`: the saga's history, oldest first.
pub async fn events(caller: Caller, Id(id): Id) -> Result<Json<Page<EventView>>, Problem> {
    let db = Db::open(&SERVICE).await?;
    visible(&db, &caller, &id).await?;
    let history = store::history(&db, &id).await?;
    Ok(Json(Page::whole(
        history.into_iter().map(EventView::of).collect(),
    )))
}

/// An order that the caller may see: the owner's own, or any for those who run the shop.
pub async fn visible(db: &Db, caller: &Caller, id: &str) -> Result<Order, Problem> {
    store::find(db, id)
        .await?
        .filter(|order| may_see(caller, order))
        .ok_or_else(|| Problem::not_found("order"))
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

fn clean_address(address: Option<&str>) -> Result<Option<String>, Problem> {
    address
        .map(|address| ADDRESS.clean(address))
        .transpose()
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
