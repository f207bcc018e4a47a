//! What a person does to an order: confirm, cancel, complete. And the tick.

use crate::orders::{check, refuse, view, visible};
use crate::view::OrderView;
use crate::{SERVICE, runner};
use http::StatusCode;
use serde::Deserialize;
use wasmart_domain::saga::{Event, Reason};
use wasmart_service::db::Db;
use wasmart_service::guard::Caller;
use wasmart_service::http::{Conditions, Id, Input, Problem, Tagged};
use wasmart_service::{idempotency, outbox};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Execute {
    /// `confirm`, `cancel` or `complete`. A text, so that anything else is refused by name: serde_json
    /// calls a number in place of a unit variant no JSON at all.
    #[serde(alias = "event")]
    action: String,
}

/// `POST /orders/{id}/execute`. Safe to repeat without a key: what is done already stays done.
pub async fn execute(
    caller: Caller,
    Id(id): Id,
    conditions: Conditions,
    Input(input): Input<Execute>,
) -> Result<Tagged<OrderView>, Problem> {
    let tx = Db::open(&SERVICE).await?.begin().await?;
    let mut order = visible(&tx, &caller, &id).await?;
    let event = match input.action.as_str() {
        "confirm" => Event::Confirm,
        "cancel" if order.user_id == caller.id => Event::Cancel(Reason::CanceledByCustomer),
        "cancel" => Event::Cancel(Reason::CanceledByStaff),
        "complete" => {
            caller.require_any(&["manager", "admin"])?;
            Event::Complete
        }
        _ => {
            return Err(Problem::field(
                "action",
                "must be confirm, cancel or complete",
            ));
        }
    };
    check(&conditions, &tx, &caller, &id).await?;
    runner::advance(&tx, &mut order, event)
        .await?
        .map_err(refuse)?;
    let view = view(&tx, &caller, &id).await?;
    tx.commit().await?;
    outbox::drain(&SERVICE).await;
    Ok(Tagged(view))
}

/// `POST /internal/orders/tick`: sends what is due, turns what is overdue, forgets what is old.
pub async fn tick() -> Result<StatusCode, Problem> {
    runner::turn_overdue().await?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    idempotency::sweep(&tx).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
