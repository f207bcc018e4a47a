//! An order as clients see it.

use crate::history::HistoryRow;
use crate::store::{Order, StoredLine};
use serde::Serialize;
use wasmart_service::actor::Actor;
use wasmart_service::clock::rfc3339;
use wasmart_service::guard::Caller;

#[derive(Serialize)]
pub struct OrderView {
    pub id: String,
    number: i64,
    status: &'static str,
    /// Where the saga stands, finer than `status`.
    saga: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    lines: Vec<LineView>,
    /// Minor units; there once stock has told the prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<i64>,
    currency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize)]
struct LineView {
    item_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    quantity: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_price: Option<i64>,
}

/// One change of state.
#[derive(Serialize)]
pub struct EventView {
    event: String,
    from: String,
    to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Who made the change; absent in rows that are older than this column.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<Actor>,
    at: String,
}

impl OrderView {
    pub fn of(order: Order, lines: Vec<StoredLine>) -> OrderView {
        OrderView {
            status: order.status().as_str(),
            id: order.id,
            number: order.number,
            saga: order.state,
            reason: order.reason,
            lines: lines.into_iter().map(LineView::of).collect(),
            total: order.total,
            currency: order.currency,
            address: order.address,
            created_at: rfc3339(order.created_at),
            updated_at: rfc3339(order.updated_at),
        }
    }

    /// The number that it goes by.
    pub fn number(&self) -> i64 {
        self.number
    }
}

impl LineView {
    fn of(line: StoredLine) -> LineView {
        LineView {
            item_id: line.item_id,
            name: line.name,
            quantity: line.quantity,
            unit_price: line.unit_price,
        }
    }
}

impl EventView {
    pub fn of(row: HistoryRow) -> EventView {
        EventView {
            event: row.event,
            from: row.from_state,
            to: row.to_state,
            reason: row.reason,
            actor: row.actor,
            at: rfc3339(row.at),
        }
    }

    /// Hides the id of the actor if the caller may not see it.
    pub fn seen_by(self, caller: &Caller) -> EventView {
        EventView {
            actor: self.actor.map(|actor| actor.seen_by(caller)),
            ..self
        }
    }
}
