//! The envelope of every message: a JSON array of CloudEvents 1.0 in structured mode
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>, §4).

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The only version of CloudEvents spoken here.
pub const SPEC_VERSION: &str = "1.0";
/// What `data` holds: a record of this WIT interface.
pub const DATA_SCHEMA: &str = "wasmart:saga/messages@1.0.0";

/// One event. Field names are CloudEvents attributes; `causationid`, `receiver` and `traceparent` are
/// extensions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Always [`SPEC_VERSION`].
    pub specversion: String,
    /// UUID v7; the same id is the same event, however often it comes.
    pub id: String,
    /// The service that says it: `/orders`, `/stock` …
    pub source: String,
    /// What happened or is asked: `stock.reserve`, `payment.charged` …
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is about: the order's or the user's id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<String>,
    /// RFC 3339, UTC.
    pub time: String,
    /// Which definition `data` follows; [`DATA_SCHEMA`].
    pub dataschema: String,
    /// W3C Trace Context, handed on from the request that began it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub traceparent: Option<String>,
    /// In answers: the id of the event that is answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub causationid: Option<String>,
    /// The only service that takes it in (`/users`), where a channel has several that each must
    /// answer; without it, all that listen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub receiver: Option<String>,
    /// The payload: the record of [`crate::messages`] that belongs to the type.
    pub data: Value,
}

impl Event {
    /// The payload as the record that the caller expects under this type.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.data)
    }
}

/// One element of a batch: an event, or what came instead and why it is none.
pub type Parsed = Result<Event, Poison>;

/// Something that can't be understood. It goes to the dead letters, never to a handler.
#[derive(Clone, Debug, PartialEq)]
pub struct Poison {
    /// What came, as text.
    pub raw: String,
    /// Its id, where it has one, so that it can still be acknowledged.
    pub id: Option<String>,
    /// Who sent it, where it says so.
    pub source: Option<String>,
    /// Why it is refused.
    pub reason: String,
}

/// Reads a message: its events in order, each understood or set apart on its own. A message that is
/// no JSON array is one poisonous element.
pub fn parse_batch(bytes: &[u8]) -> Vec<Parsed> {
    match elements(bytes) {
        Ok(elements) => elements.into_iter().map(parse_event).collect(),
        Err(poison) => vec![Err(poison)],
    }
}

/// The elements of a message, whatever they are.
///
/// # Errors When the message is not a JSON array.
pub fn elements(bytes: &[u8]) -> Result<Vec<Value>, Poison> {
    serde_json::from_slice(bytes).map_err(|error| Poison {
        raw: String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_RAW)]).into_owned(),
        id: None,
        source: None,
        reason: format!("not a JSON array of events: {error}"),
    })
}

/// How much of an unreadable message is kept: enough to see what it was.
const MAX_RAW: usize = 4096;
/// How much of an event is kept that is not understood: all of it, in effect, as a newer version of the
/// receiver may understand it.
const MAX_EVENT: usize = 65_536;

/// Reads one element of a message.
pub fn parse_event(element: Value) -> Parsed {
    let text = |name: &str| element.get(name).and_then(Value::as_str).map(str::to_owned);
    let poison = |reason: String| Poison {
        raw: element.to_string().chars().take(MAX_EVENT).collect(),
        id: text("id"),
        source: text("source"),
        reason,
    };
    let event = Event::deserialize(&element).map_err(|error| poison(error.to_string()))?;
    if event.specversion != SPEC_VERSION {
        return Err(poison(format!(
            "specversion {} is not {SPEC_VERSION}",
            event.specversion
        )));
    }
    if event.dataschema != DATA_SCHEMA {
        return Err(poison(format!(
            "dataschema {} is not {DATA_SCHEMA}",
            event.dataschema
        )));
    }
    Ok(event)
}

/// Writes a message: the inverse of [`parse_batch`].
pub fn write_batch<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<u8> {
    let events: Vec<&Event> = events.into_iter().collect();
    serde_json::to_vec(&events).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::StockRelease;

    fn event() -> Event {
        Event {
            specversion: SPEC_VERSION.into(),
            id: "e1".into(),
            source: "/orders".into(),
            kind: "stock.release".into(),
            subject: Some("o1".into()),
            time: "2026-01-01T00:00:00Z".into(),
            dataschema: DATA_SCHEMA.into(),
            traceparent: None,
            causationid: None,
            receiver: None,
            data: serde_json::json!({"order_id": "o1"}),
        }
    }

    #[test]
    fn a_batch_reads_back() {
        let events = [
            event(),
            Event {
                id: "e2".into(),
                ..event()
            },
        ];
        let parsed = parse_batch(&write_batch(&events));
        assert_eq!(parsed, events.map(Ok));
    }

    #[test]
    fn payloads_are_the_records_of_the_wit() {
        let release: StockRelease = event().payload().expect("a stock.release");
        assert_eq!(release.order_id, "o1");
        let wrong = Event {
            data: serde_json::json!({"order": 1}),
            ..event()
        };
        assert!(wrong.payload::<StockRelease>().is_err());
    }

    #[test]
    fn poison_is_set_apart_and_the_rest_of_the_batch_lives() {
        let mut elements: Vec<Value> =
            serde_json::from_slice(&write_batch(&[event(), event()])).expect("valid JSON");
        elements.insert(1, serde_json::json!({"id": "bad", "source": "/orders"}));
        elements.push(serde_json::json!(7));
        let parsed = parse_batch(&serde_json::to_vec(&elements).expect("valid JSON"));
        assert_eq!(parsed.iter().filter(|p| p.is_ok()).count(), 2);
        let poison = parsed[1].as_ref().expect_err("no event");
        assert_eq!(
            (poison.id.as_deref(), poison.source.as_deref()),
            (Some("bad"), Some("/orders"))
        );
    }

    #[test]
    fn other_versions_are_poison() {
        for changed in [
            Event {
                specversion: "2.0".into(),
                ..event()
            },
            Event {
                dataschema: "wasmart:saga/messages@2.0.0".into(),
                ..event()
            },
        ] {
            assert!(parse_batch(&write_batch(&[changed]))[0].is_err());
        }
    }

    #[test]
    fn an_event_of_another_version_is_kept_whole() {
        let lines = vec!["an item of a large order"; 1_000];
        let newer = Event {
            dataschema: "wasmart:saga/messages@2.0.0".into(),
            data: serde_json::json!({ "lines": lines }),
            ..event()
        };
        let parsed = parse_batch(&write_batch([&newer]));
        let kept = &parsed[0].as_ref().expect_err("another version").raw;
        assert_eq!(serde_json::from_str::<Event>(kept).expect("whole"), newer);
    }

    #[test]
    fn not_an_array_is_one_poison() {
        for bytes in [&b"{}"[..], b"", b"\xff\xfe", b"null"] {
            let parsed = parse_batch(bytes);
            assert!(matches!(parsed.as_slice(), [Err(_)]), "{bytes:?}");
        }
        assert!(parse_batch(b"[]").is_empty());
    }
}
