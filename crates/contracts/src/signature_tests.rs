//! What a signature protects: every member of an event, its channel, and who made it.

use super::*;
use crate::envelope::{DATA_SCHEMA, Event, SPEC_VERSION};
use serde_json::json;

const NEW: &str = "new:the-new-secret-0123456789-0123456789";
const OLD: &str = "old:the-old-secret-0123456789-0123456789";
const HERE: &[&str] = &["payments", "accounts"];

fn keys(text: &str) -> ChannelKeys {
    ChannelKeys::parse(text).expect("keys").expect("not empty")
}

/// An event with every attribute. A new attribute must be added here, or this does not compile.
fn event() -> Map<String, Value> {
    let event = Event {
        specversion: SPEC_VERSION.into(),
        id: "01900000-0000-7000-8000-000000000001".into(),
        source: "/orders".into(),
        kind: "payment.charge".into(),
        subject: Some("o1".into()),
        time: "2026-01-01T00:00:00Z".into(),
        dataschema: DATA_SCHEMA.into(),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        causationid: Some("e0".into()),
        receiver: Some("/billing".into()),
        data: json!({"order_id": "o1", "amount": 9_007_199_254_740_993_i64, "currency": "EUR",
            "lines": [{"quantity": 1}, {"quantity": 2}], "note": null, "gift": true}),
    };
    match serde_json::to_value(event) {
        Ok(Value::Object(event)) => event,
        other => panic!("{other:?}"),
    }
}

fn signed(keys: &ChannelKeys) -> Map<String, Value> {
    let mut event = event();
    keys.sign("payments", &mut event);
    event
}

fn check(event: &Map<String, Value>) -> Result<(), Untrusted> {
    keys(NEW).check(HERE, &Value::Object(event.clone()))
}

/// Values that each differ from this one in one place.
fn changes(value: &Value) -> Vec<Value> {
    let mut changed = vec![
        json!("another"),
        json!(null),
        json!(7),
        json!([]),
        json!({}),
    ];
    match value {
        Value::String(text) => changed.extend([
            json!(format!("{text} ")),
            json!(text.to_uppercase()),
            json!(text[..text.len() - 1]),
            json!([text]),
        ]),
        Value::Number(number) => {
            let number = number.as_i64().expect("whole");
            changed.extend([
                json!(number + 1),
                json!(number - 1),
                json!(-number),
                json!(number.to_string()),
            ]);
        }
        Value::Bool(yes) => changed.push(json!(!yes)),
        Value::Array(elements) => {
            let mut less = elements.clone();
            less.pop();
            changed.extend([less.into(), elements.iter().rev().cloned().collect()]);
            for (at, element) in elements.iter().enumerate() {
                for change in changes(element) {
                    let mut other = elements.clone();
                    other[at] = change;
                    changed.push(other.into());
                }
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let mut without = members.clone();
                without.remove(name);
                changed.push(without.into());
                for change in changes(member) {
                    let mut other = members.clone();
                    other.insert(name.clone(), change);
                    changed.push(other.into());
                }
            }
            let mut more = members.clone();
            more.insert("more".into(), json!(1));
            changed.push(more.into());
        }
        Value::Null => {}
    }
    changed.retain(|other| other != value);
    changed
}

#[test]
fn a_signed_event_is_trusted_however_its_json_is_written() {
    let event = signed(&keys(NEW));
    assert_eq!(check(&event), Ok(()));
    let pretty = serde_json::to_string_pretty(&event).expect("JSON");
    let read: Value = serde_json::from_str(&pretty).expect("JSON");
    assert_eq!(keys(NEW).check(HERE, &read), Ok(()));
    // Members in another order.
    let mut names: Vec<&String> = event.keys().collect();
    names.reverse();
    let members = names
        .iter()
        .map(|name| format!("{:?}:{}", name, event[*name]));
    let text = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    let read: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(keys(NEW).check(HERE, &read), Ok(()));
}

#[test]
fn no_member_can_be_changed_removed_or_added() {
    let event = Value::Object(signed(&keys(NEW)));
    let all = changes(&event);
    // Each of the thirteen members, and each value within `data`, in several ways.
    assert!(all.len() > 150, "{}", all.len());
    for changed in all {
        let found = keys(NEW).check(HERE, &changed);
        assert!(found.is_err(), "{changed} passes for {event}");
    }
}

#[test]
fn every_attribute_of_an_event_is_in_the_loop() {
    let event = event();
    assert_eq!(
        event.len(),
        11,
        "an attribute of `Event` is `None` in this test: {event:?}"
    );
}

#[test]
fn a_signature_does_not_fit_another_event_or_channel() {
    let first = signed(&keys(NEW));
    let mut second = event();
    second.insert("id".into(), json!("01900000-0000-7000-8000-000000000002"));
    second.insert(CHANNEL.into(), first[CHANNEL].clone());
    second.insert(SIGNATURE.into(), first[SIGNATURE].clone());
    assert_eq!(check(&second), Err(Untrusted::WrongSignature));

    let whole = Value::Object(first.clone());
    assert_eq!(
        keys(NEW).check(&["stock_changes"], &whole),
        Err(Untrusted::WrongChannel)
    );
    // Another channel that the component listens to, written into the event.
    let mut moved = first;
    moved.insert(CHANNEL.into(), json!("accounts"));
    assert_eq!(check(&moved), Err(Untrusted::WrongSignature));
}

#[test]
fn lengths_keep_neighbours_apart() {
    let event = |id: &str, source: &str| {
        let mut event = event();
        event.insert("id".into(), json!(id));
        event.insert("source".into(), json!(source));
        signed_bytes(&event)
    };
    assert_ne!(event("ab", "c"), event("a", "bc"));
    assert_ne!(event("a", "bc"), event("", "abc"));
}

#[test]
fn a_signature_in_another_form_is_refused() {
    let event = signed(&keys(NEW));
    let good = event[SIGNATURE].as_str().expect("text").to_owned();
    let mac = good.strip_prefix("new:").expect("named").to_owned();
    for (signature, why) in [
        (String::new(), Untrusted::Unsigned),
        (mac.clone(), Untrusted::Unsigned),
        (format!(":{mac}"), Untrusted::UnknownKey),
        (format!("NEW:{mac}"), Untrusted::UnknownKey),
        ("new:".to_owned(), Untrusted::WrongSignature),
        (
            format!("new:{}", mac.to_uppercase()),
            Untrusted::WrongSignature,
        ),
        (format!("new:{}", &mac[..62]), Untrusted::WrongSignature),
        (format!("new:{mac}00"), Untrusted::WrongSignature),
        (format!("new:{}", "0".repeat(64)), Untrusted::WrongSignature),
        (format!("new:{}é", &mac[..62]), Untrusted::WrongSignature),
    ] {
        let mut event = event.clone();
        event.insert(SIGNATURE.into(), json!(signature));
        assert_eq!(check(&event), Err(why), "{signature}");
    }
    for element in [
        json!(null),
        json!(7),
        json!("x"),
        json!([]),
        json!({}),
        json!({"id": "e1"}),
    ] {
        assert_eq!(keys(NEW).check(HERE, &element), Err(Untrusted::Unsigned));
    }
}

#[test]
fn keys_change_without_a_moment_in_which_nothing_fits() {
    let (old, both, swapped, new) = (
        keys(OLD),
        keys(&format!("{OLD} {NEW}")),
        keys(&format!("{NEW},{OLD}")),
        keys(NEW),
    );
    // Each step of a rotation with its neighbours, in both directions.
    for (from, to) in [(&old, &both), (&both, &swapped), (&swapped, &new)] {
        for (signer, checker) in [(from, to), (to, from)] {
            let event = Value::Object(signed(signer));
            assert_eq!(
                checker.check(HERE, &event),
                Ok(()),
                "{signer:?} {checker:?}"
            );
        }
    }
    let event = Value::Object(signed(&old));
    assert_eq!(new.check(HERE, &event), Err(Untrusted::UnknownKey));
    // The same name with another secret.
    let stolen = keys("new:some-other-secret-0123456789-0123456789");
    let event = Value::Object(signed(&stolen));
    assert_eq!(new.check(HERE, &event), Err(Untrusted::WrongSignature));
}

#[test]
fn keys_that_are_none_are_named_without_their_secrets() {
    for empty in ["", " ", "\n"] {
        assert!(
            ChannelKeys::parse(empty)
                .expect("empty is allowed")
                .is_none()
        );
    }
    for (text, word) in [
        (",", "no key"),
        ("hunter2hunter2hunter2hunter2hunter2", "not id:secret"),
        ("a:hunter2", "at least 32"),
        (":hunter2hunter2hunter2hunter2hunter2", "an id"),
        ("a/b:hunter2hunter2hunter2hunter2hunter2", "an id"),
        (
            "a:hunter2hunter2hunter2hunter2hunter2 a:hunter2hunter2hunter2hunter2hunter2",
            "twice",
        ),
    ] {
        let error = ChannelKeys::parse(text).expect_err(text);
        assert!(
            error.contains(word) && !error.contains("hunter2"),
            "{error}"
        );
    }
    let shown = format!("{:?}", keys(&format!("{NEW}\n{OLD}")));
    assert_eq!(shown, r#"["new", "old"]"#);
}
