//! Opens a message: selects the events that concern this service and that it can trust.
//!
//! If there are keys, only events that a service has signed for one of our channels are accepted.
//! The rest is refused and counted on the log. Refused events do not become dead letters, because
//! anybody who may publish could then fill the disk. They are not acknowledged either, because a
//! real event that was refused (its sender does not have the key yet) must come again.

use crate::clock::{self, Pace};
use crate::db::DbError;
use crate::{Service, channels};
use serde_json::Value;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasmart_contracts::envelope::{Parsed, Poison, elements, parse_event};
use wasmart_contracts::signature::ChannelKeys;

/// The event type of acknowledgements.
pub(crate) const ACK: &str = "ack";
/// A flood is logged at this pace, not once a message.
const TOLD_EVERY_MS: i64 = 1_000;

/// The events of a message that this service accepts.
///
/// # Errors
/// When the variable with the keys can't be read. Nothing is taken in then, and all of it comes again.
pub(crate) async fn open(service: &Service, message: &[u8]) -> Result<Vec<Parsed>, DbError> {
    let keys = channels::keys().await.map_err(DbError::Failed)?;
    Ok(sort_out(service, message, keys))
}

/// Checks each element by itself: a forged one does not hold up the rest.
fn sort_out(service: &Service, message: &[u8], keys: Option<&ChannelKeys>) -> Vec<Parsed> {
    let elements = match elements(message) {
        Ok(elements) => elements,
        Err(poison) => return not_an_array(service, poison, keys.is_some()),
    };
    let source = service.source();
    let mut batch = Vec::with_capacity(elements.len());
    let (mut count, mut reason) = (0, None);
    for element in elements {
        if !concerns(&source, &element) {
            continue;
        }
        match keys.map_or(Ok(()), |keys| keys.check(service.channels, &element)) {
            Ok(()) => batch.push(parse_event(element)),
            Err(why) => {
                count += 1;
                reason.get_or_insert(why);
            }
        }
    }
    if let Some(reason) = reason {
        refuse(service, count, &reason.to_string());
    }
    batch
}

fn not_an_array(service: &Service, poison: Poison, has_keys: bool) -> Vec<Parsed> {
    if has_keys {
        refuse(service, 1, &poison.reason);
        return Vec::new();
    }
    vec![Err(poison)]
}

/// Acknowledgements go to all on one channel, and so do events for one receiver; those for others
/// are not worth a transaction.
fn concerns(source: &str, element: &Value) -> bool {
    let text = |name: &str| element.get(name).and_then(Value::as_str);
    if text("type") == Some(ACK) {
        return text("subject") == Some(source);
    }
    text("receiver").is_none_or(|receiver| receiver == source)
}

fn refuse(service: &Service, count: usize, reason: &str) {
    static TOLD: Pace = Pace::every(TOLD_EVERY_MS);
    static UNTOLD: AtomicUsize = AtomicUsize::new(0);
    let count = UNTOLD.fetch_add(count, Ordering::Relaxed) + count;
    if TOLD.is_due(clock::now_ms()) {
        UNTOLD.fetch_sub(count, Ordering::Relaxed);
        log!(
            "{} has refused {count} events on its channels, the first of them: {reason}",
            service.name
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    static SERVICE: Service = Service {
        name: "billing",
        migrations: &[],
        commands: &[],
        channels: &["payments", "acks"],
    };

    fn keys() -> ChannelKeys {
        let keys = ChannelKeys::parse("k:0123456789-0123456789-0123456789");
        keys.expect("keys").expect("not empty")
    }

    fn event(id: &str, more: Value) -> Value {
        let mut event = json!({"specversion": "1.0", "id": id, "source": "/orders", "type": "payment.charge",
            "time": "2026-01-01T00:00:00Z", "dataschema": "wasmart:saga/messages@1.0.0", "data": {}});
        let more = more.as_object().cloned().unwrap_or_default();
        event.as_object_mut().expect("an object").extend(more);
        event
    }

    fn signed(channel: &str, mut event: Value) -> Value {
        keys().sign(channel, event.as_object_mut().expect("an object"));
        event
    }

    fn ids(message: &Value, keys: Option<&ChannelKeys>) -> Vec<String> {
        let batch = sort_out(&SERVICE, message.to_string().as_bytes(), keys);
        let id = |parsed: Parsed| match parsed {
            Ok(event) => event.id,
            Err(poison) => format!("poison {}", poison.id.unwrap_or_default()),
        };
        batch.into_iter().map(id).collect()
    }

    #[test]
    fn only_what_is_signed_for_us_comes_in_and_the_rest_holds_nothing_up() {
        let message = json!([
            event("forged", json!({})),
            signed("payments", event("a", json!({}))),
            7,
            signed("stock_changes", event("moved", json!({}))),
            signed("payments", event("b", json!({"receiver": "/billing"}))),
            signed("payments", event("other", json!({"receiver": "/users"}))),
            signed(
                "acks",
                event("ack", json!({"type": "ack", "subject": "/billing"}))
            ),
            signed(
                "acks",
                event("other ack", json!({"type": "ack", "subject": "/orders"}))
            ),
            signed(
                "payments",
                event(
                    "newer",
                    json!({"dataschema": "wasmart:saga/messages@2.0.0"})
                )
            ),
            null
        ]);
        assert_eq!(
            ids(&message, Some(&keys())),
            ["a", "b", "ack", "poison newer"]
        );
        assert!(ids(&json!({}), Some(&keys())).is_empty());
    }

    #[test]
    fn without_keys_everything_comes_in() {
        let message = json!([
            event("a", json!({})),
            7,
            signed("elsewhere", event("b", json!({})))
        ]);
        assert_eq!(ids(&message, None), ["a", "poison ", "b"]);
        assert_eq!(ids(&json!({}), None), ["poison "]);
    }
}
