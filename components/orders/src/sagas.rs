//! For operators: which sagas are under way, which are stuck and why, and what a person can do.
//!
//! The same handlers answer administrators under `/api/v1/sagas` and, with the shared secret, the
//! `wasmart saga` command under `/internal/orders/sagas`.

use crate::orders::refuse;
use crate::store::{self, Order};
use crate::view::{EventView, OrderView};
use crate::{SERVICE, command, runner};
use axum::Json;
use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use wasmart_domain::saga::{Event, Outcome, Reason, Saga};
use wasmart_domain::text::REASON;
use wasmart_service::clock::{now_ms, rfc3339};
use wasmart_service::db::Db;
use wasmart_service::guard::Caller;
use wasmart_service::http::{Id, Input, Page, Params, Problem, internal_only};
use wasmart_service::outbox::{self, Waiting};

/// Sendings without an answer after which a saga is listed as needing a person: some two minutes …
const NEEDS_A_PERSON_AFTER: i64 = 8;
/// … and how long after which it is in any case.
const NEEDS_A_PERSON_AFTER_MS: i64 = 150_000;
const MAX_LISTED: i64 = 200;

/// Whoever may look into the sagas: an administrator, or a holder of the shared secret.
pub struct Operator;

impl<S: Send + Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Operator, Problem> {
        if parts.uri.path().starts_with("/internal/") {
            internal_only(&parts.headers).await?;
        } else {
            Caller::from_request_parts(parts, state)
                .await?
                .require_any(&["admin"])?;
        }
        Ok(Operator)
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
}

#[derive(Deserialize)]
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

/// `GET …/sagas`
pub async fn list(
    _: Operator,
    Params(filter): Params<SagaFilter>,
) -> Result<Json<Page<SagaView>>, Problem> {
    let db = Db::open(&SERVICE).await?;
    let changed_before = now_ms() - filter.idle_s.unwrap_or(0).clamp(0, 1 << 32) * 1000;
    let limit = filter.limit.unwrap_or(MAX_LISTED).clamp(1, MAX_LISTED);
    let orders = store::under_way(&db, changed_before, limit).await?;
    let mut views = Vec::with_capacity(orders.len());
    for order in &orders {
        views.push(saga_view(&db, order).await?);
    }
    views.retain(|view| view.needs_person || !filter.stuck.unwrap_or(false));
    Ok(Json(Page::whole(views)))
}

/// `GET …/sagas/{id}`
pub async fn show(_: Operator, Id(id): Id) -> Result<Json<SagaDetail>, Problem> {
    let db = Db::open(&SERVICE).await?;
    detail(&db, &id).await.map(Json)
}

/// `POST …/sagas/{id}/redrive`: sends what is unanswered again, now.
pub async fn redrive(_: Operator, Id(id): Id) -> Result<Json<SagaDetail>, Problem> {
    let tx = Db::open(&SERVICE).await?.begin().await?;
    let saga = detail(&tx, &id).await?.saga;
    if saga.waits_for.is_empty() {
        return Err(nothing_to("send again", &saga));
    }
    outbox::hurry(&tx, &id).await?;
    tx.commit().await?;
    outbox::drain(&SERVICE).await;
    let db = Db::open(&SERVICE).await?;
    detail(&db, &id).await.map(Json)
}

/// `POST …/sagas/{id}/compensate`: turns it round. With `dry_run`, only says what that would do.
pub async fn compensate(
    _: Operator,
    Id(id): Id,
    Input(input): Input<Compensate>,
) -> Result<Json<SagaDetail>, Problem> {
    let reason = REASON
        .clean(&input.reason)
        .map_err(|error| Problem::field("reason", error))?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    let mut order = find(&tx, &id).await?;
    let before = detail(&tx, &id).await?;
    if input.dry_run {
        return Ok(Json(before));
    }
    if before.undo.steps.is_empty() {
        return Err(nothing_to("undo", &before.saga));
    }
    let cancel = Event::Cancel(Reason::CanceledByStaff);
    runner::advance(&tx, &mut order, cancel)
        .await?
        .map_err(refuse)?;
    eprintln!("order {id} is compensated by an operator: {reason}");
    tx.commit().await?;
    outbox::drain(&SERVICE).await;
    let db = Db::open(&SERVICE).await?;
    detail(&db, &id).await.map(Json)
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
    let history = store::history(db, id).await?;
    Ok(SagaDetail {
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
