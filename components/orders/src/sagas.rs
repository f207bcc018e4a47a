//! For operators: which sagas are under way, which are stuck and why, and what a person can do.
//!
//! The same handlers answer administrators under `/api/v1/sagas` and, with the shared secret, the
//! `wasmart saga` command under `/internal/orders/sagas`.

use crate::orders::refuse;
use crate::store::{self, Order};
use crate::view::{EventView, OrderView};
use crate::{SERVICE, command, history, runner};
use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::IntoResponse;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use wasmart_domain::saga::{Event, Outcome, Reason, Saga};
use wasmart_service::actor::Actor;
use wasmart_service::clock::{now_ms, rfc3339};
use wasmart_service::db::Db;
use wasmart_service::guard::Admin;
use wasmart_service::http::{
    Conditions, Id, Input, Page, PageQuery, Params, Problem, number_and_id,
};
use wasmart_service::idempotency::{Answer, Once};
use wasmart_service::operators::{self, Action};
use wasmart_service::outbox::{self, Waiting};

/// Sendings without an answer after which a saga is listed as needing a person: some two minutes …
const NEEDS_A_PERSON_AFTER: i64 = 8;
/// … and how long after which it is in any case.
const NEEDS_A_PERSON_AFTER_MS: i64 = 150_000;
const MAX_LISTED: i64 = 200;
/// The longest time that `idle_s` may ask for: some 136 years.
const MAX_IDLE_S: i64 = 1 << 32;

/// Whoever may look into the sagas: an administrator, or a holder of the shared secret.
pub struct Operator(Actor);

impl<S: Send + Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Operator, Problem> {
        // Requests below this path have shown the shared secret.
        if parts.uri.path().starts_with("/internal/") {
            return Ok(Operator(Actor::operator()));
        }
        let Admin(caller) = Admin::from_request_parts(parts, state).await?;
        Ok(Operator(Actor::staff(&caller.id)))
    }
}

impl Operator {
    /// A request that this operator may repeat.
    fn once(
        &self,
        headers: &HeaderMap,
        action: &str,
        input: &impl Serialize,
    ) -> Result<Once, Problem> {
        let caller = self.0.id().unwrap_or_else(|| self.0.kind());
        Once::new(headers, caller, action, input)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SagaFilter {
    /// Only those that need a person.
    stuck: Option<bool>,
    /// Only those unchanged for this many seconds.
    idle_s: Option<i64>,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// Why something is sent again, for the record.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Redrive {
    reason: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Compensate {
    reason: String,
    #[serde(default)]
    dry_run: bool,
}

/// One saga under way.
#[derive(Serialize)]
pub struct SagaView {
    order_id: String,
    number: i64,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<String>,
    needs_person: bool,
    /// What was sent and not answered, and how often.
    waits_for: Vec<WaitingView>,
}

#[derive(Serialize)]
struct WaitingView {
    command: String,
    sent: i64,
    since: String,
    next: String,
}

/// One saga with all that is known of it.
#[derive(Serialize)]
pub struct SagaDetail {
    saga: SagaView,
    order: OrderView,
    history: Vec<EventView>,
    /// What operators did to it, newest first.
    actions: Vec<Action>,
    /// What `compensate` would do now.
    undo: Undo,
}

/// What an undo would do, or did.
#[derive(Serialize)]
pub struct Undo {
    possible: bool,
    /// The states to come and the command sent on entering each.
    steps: Vec<UndoStep>,
}

#[derive(Serialize)]
struct UndoStep {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'static str>,
}

/// `GET …/sagas`, the longest unchanged first. A page of those that need a person may have fewer than its limit, and
/// one that follows it.
pub async fn list(
    _: Operator,
    Params(filter): Params<SagaFilter>,
) -> Result<Json<Page<SagaView>>, Problem> {
    let page = PageQuery::new(filter.limit.or(Some(MAX_LISTED)), filter.cursor);
    let (after, limit) = (page.after_number_and_id()?, page.fetch()?);
    let idle_s = filter.idle_s.unwrap_or(0);
    if !(0..=MAX_IDLE_S).contains(&idle_s) {
        let detail = format!("must be between 0 and {MAX_IDLE_S}");
        return Err(Problem::field("idle_s", detail));
    }
    let db = Db::open(&SERVICE).await?;
    let orders = store::under_way(&db, now_ms() - idle_s * 1000, &after, limit).await?;
    let mut sagas = Vec::with_capacity(orders.len());
    for order in &orders {
        let key = number_and_id(order.updated_at, &order.id);
        sagas.push((key, saga_view(&db, order).await?));
    }
    let page = page.page(sagas, |(key, _)| key.clone())?;
    let page = page.map(|(_, view)| view);
    let only_stuck = filter.stuck.unwrap_or(false);
    Ok(Json(page.only(|view| view.needs_person || !only_stuck)))
}

/// `GET …/sagas/{id}`
pub async fn show(_: Operator, Id(id): Id) -> Result<Json<SagaDetail>, Problem> {
    let db = Db::open(&SERVICE).await?;
    detail(&db, &id).await.map(Json)
}

/// `POST …/sagas/{id}/redrive?reason=`: sends what is unanswered again, now.
pub async fn redrive(
    operator: Operator,
    headers: HeaderMap,
    Id(id): Id,
    conditions: Conditions,
    Params(mut input): Params<Redrive>,
) -> Result<impl IntoResponse, Problem> {
    let reason = input.reason.as_deref().map(operators::clean_reason);
    input.reason = reason.transpose()?;
    let once = operator.once(&headers, &format!("redrive {id}"), &input)?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    if let Some(answer) = once.earlier(&tx).await? {
        return Ok(answer);
    }
    let before = detail(&tx, &id).await?;
    conditions.check(&before)?;
    let saga = before.saga;
    if saga.waits_for.is_empty() {
        return Err(nothing_to("send again", &saga));
    }
    outbox::hurry(&tx, &id).await?;
    let reason = input.reason.as_deref();
    operators::record(&tx, &operator.0, "saga.redriven", &id, reason).await?;
    let answer = Answer::json(StatusCode::OK, &detail(&tx, &id).await?);
    once.keep(&tx, &answer).await?;
    tx.commit().await?;
    outbox::drain(&SERVICE).await;
    Ok(answer)
}

/// `POST …/sagas/{id}/compensate`: turns it round. With `dry_run`, only says what that would do.
pub async fn compensate(
    operator: Operator,
    headers: HeaderMap,
    Id(id): Id,
    conditions: Conditions,
    Input(mut input): Input<Compensate>,
) -> Result<impl IntoResponse, Problem> {
    input.reason = operators::clean_reason(&input.reason)?;
    let once = operator.once(&headers, &format!("compensate {id}"), &input)?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    if let Some(answer) = once.earlier(&tx).await? {
        return Ok(answer);
    }
    let mut order = find(&tx, &id).await?;
    let before = detail(&tx, &id).await?;
    conditions.check(&before)?;
    if input.dry_run {
        return Ok(Answer::json(StatusCode::OK, &before).tagged());
    }
    if before.undo.steps.is_empty() {
        return Err(nothing_to("undo", &before.saga));
    }
    let cancel = Event::Cancel(Reason::CanceledByStaff);
    runner::advance(&tx, &mut order, cancel, &operator.0)
        .await?
        .map_err(refuse)?;
    wasmart_service::log!("order {id} is compensated by an operator: {}", input.reason);
    let reason = Some(input.reason.as_str());
    operators::record(&tx, &operator.0, "saga.compensated", &id, reason).await?;
    let answer = Answer::json(StatusCode::OK, &detail(&tx, &id).await?);
    once.keep(&tx, &answer).await?;
    tx.commit().await?;
    outbox::drain(&SERVICE).await;
    Ok(answer)
}

/// An operator who asks for what has no effect is told so: they would wait for it.
fn nothing_to(do_what: &str, saga: &SagaView) -> Problem {
    let detail = format!("The order is {}; there is nothing to {do_what}", saga.state);
    Problem::conflict("wrong-state", detail)
}

async fn find(db: &Db, id: &str) -> Result<Order, Problem> {
    store::find(db, id)
        .await?
        .ok_or_else(|| Problem::not_found("order"))
}

async fn detail(db: &Db, id: &str) -> Result<SagaDetail, Problem> {
    let order = find(db, id).await?;
    let history = history::of(db, id).await?;
    Ok(SagaDetail {
        actions: operators::list(db, Some(id), "~", MAX_LISTED).await?,
        saga: saga_view(db, &order).await?,
        undo: order.saga().map_or_else(Undo::impossible, undo),
        history: history.into_iter().map(EventView::of).collect(),
        order: OrderView::of(order, store::lines(db, &[id]).await?),
    })
}

async fn saga_view(db: &Db, order: &Order) -> Result<SagaView, Problem> {
    let waiting = outbox::waiting(db, &order.id, command::NOTIFICATIONS).await?;
    Ok(SagaView {
        order_id: order.id.clone(),
        number: order.number,
        state: order.state.clone(),
        reason: order.reason.clone(),
        since: rfc3339(order.updated_at),
        deadline: order.deadline_at.map(rfc3339),
        needs_person: needs_person(order.saga(), &waiting),
        waits_for: waiting.into_iter().map(WaitingView::of).collect(),
    })
}

/// A saga in a state that is not known is stuck by itself. One that waits is when what it asked has long
/// been without an answer: by the number of sendings, or by the time where nothing could be sent.
fn needs_person(saga: Option<Saga>, waiting: &[Waiting]) -> bool {
    let Some(saga) = saga else { return true };
    let overdue = now_ms() - NEEDS_A_PERSON_AFTER_MS;
    let long = |w: &Waiting| w.attempts >= NEEDS_A_PERSON_AFTER || w.created_at <= overdue;
    saga.state.waits() && waiting.iter().any(long)
}

impl WaitingView {
    fn of(waiting: Waiting) -> WaitingView {
        WaitingView {
            command: waiting.kind,
            sent: waiting.attempts,
            since: rfc3339(waiting.created_at),
            next: rfc3339(waiting.next_attempt_at),
        }
    }
}

impl Undo {
    fn impossible() -> Undo {
        Undo {
            possible: false,
            steps: vec![],
        }
    }
}

/// Plays the undo through in the domain, each command answered.
fn undo(saga: Saga) -> Undo {
    let mut steps = vec![];
    let mut at = saga;
    let mut next = saga.apply(Event::Cancel(Reason::CanceledByStaff));
    let possible = next.is_ok();
    if next == Ok(Outcome::Stay) {
        next = answered(at);
    }
    while let Ok(Outcome::Move { saga, command, .. }) = next {
        let command = command.map(|command| command.event_type());
        steps.push(UndoStep {
            state: saga.state.as_str(),
            command,
        });
        at = saga;
        next = answered(at);
    }
    Undo { possible, steps }
}

fn answered(saga: Saga) -> Result<Outcome, wasmart_domain::saga::Illegal> {
    use wasmart_domain::saga::Command;
    match saga.awaited() {
        Some(Command::Refund) => saga.apply(Event::Refunded),
        Some(Command::Release) => saga.apply(Event::Released),
        _ => Ok(Outcome::Stay),
    }
}
