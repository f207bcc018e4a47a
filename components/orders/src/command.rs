//! What the saga sends: each command and notice as an event with its payload and channel.

use crate::SERVICE;
use crate::store::{Order, StoredLine};
use serde::Serialize;
use wasmart_contracts::envelope::Event;
use wasmart_contracts::messages::{
    Line, OrderNotice, PaymentCharge, PaymentRefund, StockCommit, StockRelease, StockReserve,
};
use wasmart_domain::saga::{Command, Notice};
use wasmart_service::outbox;

/// Commands to stock.
pub const STOCK: &str = "stock_changes";
/// Commands to billing.
pub const PAYMENTS: &str = "payments";
/// Where notices go; nothing waits for them.
pub const NOTIFICATIONS: &str = "notifications";

/// The event that carries a command, and the channel it goes to.
pub fn command(command: Command, order: &Order, lines: &[StoredLine]) -> (&'static str, Event) {
    let order_id = order.id.clone();
    let kind = command.event_type();
    match command {
        Command::Reserve => {
            let lines = lines.iter().map(|line| Line {
                item_id: line.item_id.clone(),
                quantity: line.quantity,
            });
            (
                STOCK,
                event(
                    order,
                    kind,
                    &StockReserve {
                        order_id,
                        lines: lines.collect(),
                    },
                ),
            )
        }
        Command::Release => (STOCK, event(order, kind, &StockRelease { order_id })),
        Command::Commit => (STOCK, event(order, kind, &StockCommit { order_id })),
        Command::Charge => {
            let charge = PaymentCharge {
                order_id,
                user_id: order.user_id.clone(),
                amount: order.total.unwrap_or_default(),
                currency: order.currency.clone(),
            };
            (PAYMENTS, event(order, kind, &charge))
        }
        Command::Refund => (PAYMENTS, event(order, kind, &PaymentRefund { order_id })),
    }
}

/// The event that tells the customer.
pub fn notice(notice: Notice, order: &Order) -> (&'static str, Event) {
    let data = OrderNotice {
        user_id: order.user_id.clone(),
        order_id: order.id.clone(),
        number: order.number,
        total: order.total,
        currency: order.currency.clone(),
        reason: order.reason.clone(),
    };
    (NOTIFICATIONS, event(order, notice.event_type(), &data))
}

fn event(order: &Order, kind: &str, data: &impl Serialize) -> Event {
    let traceparent = order.traceparent.clone();
    Event {
        traceparent,
        ..outbox::event(&SERVICE, kind, &order.id, data)
    }
}
