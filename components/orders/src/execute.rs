//! What a person does to an order: confirm, cancel, complete. And the tick.

use crate::orders::{check, owned, refuse, view, visible};
use crate::store::Order;
use crate::{SERVICE, quotas, runner};
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use wasmart_domain::saga::{Event, Reason};
use wasmart_service::actor::Actor;
use wasmart_service::db::Db;
use wasmart_service::guard::Caller;
use wasmart_service::http::{Conditions, Id, Input, Problem};
use wasmart_service::idempotency::{self, Answer, Once};
use wasmart_service::outbox;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Execute {
    /// `confirm`, `cancel` or `complete`. A text, so that anything else is refused by name: serde_json
    /// calls a number in place of a unit variant no JSON at all.
    #[serde(alias = "event")]
    action: String,
}

/// `POST /orders/{id}/execute`. Safe to repeat without a key, too: what is done already stays done.
pub async fn execute(
    caller: Caller,
    headers: HeaderMap,
    Id(id): Id,
    conditions: Conditions,
    Input(input): Input<Execute>,
) -> Result<impl IntoResponse, Problem> {
    let action = format!("POST /orders/{id}/execute");
    let once = Once::new(&headers, &caller.id, &action, &input)?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    let mut order = visible(&tx, &caller, &id).await?;
    let event = event(&caller, &order, &input.action)?;
    if let Some(answer) = once.earlier(&tx).await? {
        return Ok(answer);
    }
    check(&conditions, &tx, &caller, &id).await?;
    let actor = Actor::of(&caller, &order.user_id);
    runner::advance(&tx, &mut order, event, &actor)
        .await?
        .map_err(refuse)?;
    let answer = Answer::json(StatusCode::OK, &view(&tx, &caller, &id).await?).tagged();
    once.keep(&tx, &answer).await?;
    tx.commit().await?;
    outbox::drain(&SERVICE).await;
    Ok(answer)
}

/// What the caller asks for, if the caller may: the owner confirms, staff complete, both cancel.
fn event(caller: &Caller, order: &Order, action: &str) -> Result<Event, Problem> {
    match action {
        "confirm" => owned(caller, order).map(|()| Event::Confirm),
        "cancel" if order.user_id == caller.id => Ok(Event::Cancel(Reason::CanceledByCustomer)),
        "cancel" => Ok(Event::Cancel(Reason::CanceledByStaff)),
        "complete" => {
            caller.require_any(&["manager", "admin"])?;
            Ok(Event::Complete)
        }
        _ => Err(Problem::field(
            "action",
            "must be confirm, cancel or complete",
        )),
    }
}

/// `POST /internal/orders/tick`: sends what is due, turns what is overdue, forgets what is old.
pub async fn tick() -> Result<StatusCode, Problem> {
    runner::turn_overdue().await?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    idempotency::sweep(&tx).await?;
    quotas::sweep(&tx).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
