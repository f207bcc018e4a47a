//! One part of the mechanism switched off, to see that the suite notices: a checker that never turns red
//! proves nothing. Compiled only with the feature `sabotage`, which nothing that ships has; the
//! environment variable `WASMART_SABOTAGE` says which part.

use crate::channels;
use crate::db::DbError;
use wasmart_contracts::envelope::Event;

/// Every command looks new, and none is barred.
pub const BARRIER: &str = "barrier";
/// Events are published where they arise and not kept, as one would who has not heard of outboxes.
pub const OUTBOX: &str = "outbox";
/// Compensations in the order of the steps instead of the reverse.
pub const UNDO_ORDER: &str = "undo-order";

/// Whether this part is switched off.
pub fn is(part: &str) -> bool {
    std::env::var("WASMART_SABOTAGE").is_ok_and(|wanted| wanted == part)
}

/// Publishes at once, before the transaction that the event belongs to has been committed.
pub(crate) async fn send_now(channel: &str, event: &Event) -> Result<(), DbError> {
    channels::publish(channel, std::slice::from_ref(event))
        .await
        .map_err(|error| DbError::Failed(error.to_string()))
}
