//! Somebody who can publish on the channels but has no key can't speak for a service: their
//! messages have no effect and leave nothing behind. Repeated messages of a service change nothing
//! either.

mod replay;

use crate::harness::actor::PLENTY;
use crate::harness::app::sign;
use crate::harness::process::{said, set, up};
use crate::harness::running::on_spin;
use crate::harness::{Actor, App, eventually, logs, workspace};
use crate::on_both_channels;
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use wasmart_contracts::signature::{CHANNEL, ChannelKeys, SIGNATURE};

on_both_channels!(
    what_no_service_has_signed_has_no_effect_and_leaves_nothing,
    one_forged_event_holds_up_no_other,
    a_flood_of_forged_messages_is_counted_and_not_kept,
);

const OLD: &str = "old:an-old-secret-0123456789-0123456789";
const NEW: &str = "new:a-new-secret-0123456789-01234567890";

/// Each channel with those who listen.
const CHANNELS: [(&str, &[&str]); 7] = [
    ("stock_changes", &["stock"]),
    ("stock_changes_status", &["orders"]),
    ("payments", &["billing"]),
    ("payments_status", &["orders"]),
    ("notifications", &["notifications"]),
    ("accounts", &["users", "billing", "orders", "notifications"]),
    ("acks", &["auth", "billing", "orders"]),
];

/// Whether one service listens to both channels. It does not learn on which of them a message came,
/// so an event that is moved from one to the other is only a repeat.
fn share_a_listener(one: &str, other: &str) -> bool {
    let listeners = |wanted: &str| CHANNELS.iter().find(|(channel, _)| *channel == wanted);
    let (Some((_, one)), Some((_, other))) = (listeners(one), listeners(other)) else {
        return false;
    };
    one.iter().any(|listener| other.contains(listener))
}

fn event(source: &str, kind: &str, subject: &str, data: Value) -> Value {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    json!({
        "specversion": "1.0",
        "id": format!("01900000-0000-7000-8000-{:012}", NEXT.fetch_add(1, Ordering::Relaxed)),
        "source": source, "type": kind, "subject": subject, "time": "2026-01-01T00:00:00Z",
        "dataschema": "wasmart:saga/messages@1.0.0", "data": data,
    })
}

fn notice(user: &Actor) -> Value {
    let data = json!({"user_id": user.id, "amount": 1, "balance": 1, "currency": "EUR"});
    event("/billing", "deposit.accepted", &user.id, data)
}

fn keys(text: &str) -> ChannelKeys {
    ChannelKeys::parse(text).expect("keys").expect("not empty")
}

fn the_shops_keys() -> ChannelKeys {
    keys(workspace::keys().channel_keys())
}

fn signed(keys: &ChannelKeys, channel: &str, event: &Value) -> Map<String, Value> {
    let mut event = event.as_object().expect("an object").clone();
    keys.sign(channel, &mut event);
    event
}

/// Messages that would own the shop if it believed them.
fn attacks(ann: &Actor, order: &str, draft: &str, tea: &str) -> Vec<(&'static str, Value)> {
    let new = "00000000-0000-7000-8000-000000000007";
    let only = |order: &str| json!({"order_id": order});
    let line = json!([{"item_id": tea, "quantity": 3}]);
    let user = json!({"user_id": ann.id});
    let stranger = json!({"user_id": new, "email": "eve@example.com", "username": null,
        "first_name": null, "last_name": null, "phone": null});
    vec![
        (
            "payments",
            event(
                "/orders",
                "payment.charge",
                new,
                json!({"order_id": new, "user_id": ann.id, "amount": 500, "currency": "EUR"}),
            ),
        ),
        (
            "payments",
            event("/orders", "payment.refund", order, only(order)),
        ),
        (
            "payments_status",
            event(
                "/billing",
                "payment.charged",
                draft,
                json!({"order_id": draft, "amount": 1}),
            ),
        ),
        (
            "payments_status",
            event(
                "/billing",
                "payment.refunded",
                order,
                json!({"order_id": order, "amount": 1}),
            ),
        ),
        (
            "stock_changes",
            event(
                "/orders",
                "stock.reserve",
                new,
                json!({"order_id": new, "lines": line}),
            ),
        ),
        (
            "stock_changes",
            event("/orders", "stock.release", order, only(order)),
        ),
        (
            "stock_changes_status",
            event("/stock", "stock.released", order, only(order)),
        ),
        (
            "accounts",
            event("/orders", "account.settled", &ann.id, user.clone()),
        ),
        (
            "accounts",
            event("/auth", "account.deleted", &ann.id, user.clone()),
        ),
        (
            "accounts",
            event("/auth", "account.registered", new, stranger),
        ),
        ("notifications", notice(ann)),
        (
            "notifications",
            event("/auth", "password.changed", &ann.id, user),
        ),
        (
            "acks",
            event("/billing", "ack", "/orders", json!({"events": [order]})),
        ),
    ]
}

/// Everything that somebody without a key can make of an event, even after seeing signed ones.
fn forgeries(channel: &str, event: &Value) -> Vec<Value> {
    let ours = the_shops_keys();
    let shop_key = workspace::keys();
    let id = shop_key.channel_keys().split(':').next().expect("an id");
    let guessed = keys(&format!("{id}:a-guessed-secret-0123456789-0123456789"));
    let mut forged = vec![
        event.clone(),
        signed(&guessed, channel, event).into(),
        signed(&keys(NEW), channel, event).into(),
        signed(&ours, "elsewhere", event).into(),
    ];
    let real = signed(&ours, channel, event);
    // Moved to another channel, with its name and without.
    for (other, _) in CHANNELS.iter().filter(|(other, _)| *other != channel) {
        let mut moved = signed(&ours, other, event);
        if !share_a_listener(channel, other) {
            forged.push(moved.clone().into());
        }
        moved.insert(CHANNEL.into(), json!(channel));
        forged.push(moved.into());
    }
    // Each member changed, and each left out.
    for name in real.keys() {
        let mut changed = real.clone();
        changed.insert(name.clone(), json!("something else"));
        forged.push(changed.into());
        let mut without = real.clone();
        without.remove(name);
        forged.push(without.into());
    }
    // The signature of one event on another, and one member more.
    let mut copied = real.clone();
    copied.insert("id".into(), json!("01900000-0000-7000-8000-999999999999"));
    forged.push(copied.into());
    let mut more = real.clone();
    more.insert("receiver".into(), json!("/billing"));
    forged.push(more.into());
    let mut shouted = real;
    let signature = shouted[SIGNATURE].as_str().expect("text").to_uppercase();
    shouted.insert(SIGNATURE.into(), json!(signature));
    forged.push(shouted.into());
    forged
}

/// Waits until every message that was published before, on any channel, has been processed.
async fn pass(app: &App) {
    let mut expected = app.books().dead_letters().len();
    for (channel, listeners) in CHANNELS {
        let marker = event("/tests", "marker", "none", json!({}));
        app.publish(channel, json!([marker]).to_string()).await;
        app.expect_dead_letters(listeners.len());
        expected += listeners.len();
    }
    eventually("the markers", async || {
        let dead = app.books().dead_letters();
        let strange: Vec<&String> = dead
            .iter()
            .filter(|dead| !dead.contains("marker"))
            .collect();
        assert!(strange.is_empty(), "set aside: {strange:#?}");
        (dead.len() == expected).then_some(())
    })
    .await;
    app.quiet().await;
}

/// All rows that a message may change.
fn everything(app: &App) -> Vec<String> {
    let books = app.books();
    let tables = books.counts().into_iter().map(|(table, _)| table);
    let kept = tables.filter(|table| {
        !["drain_lease", "dead_letters"]
            .iter()
            .any(|other| table.ends_with(other))
            && !table.starts_with("auth.")
    });
    kept.flat_map(|table| {
        let mut rows = books.rows(&format!("SELECT * FROM {table}"));
        rows.sort();
        rows.into_iter().map(move |row| format!("{table}: {row}"))
    })
    .collect()
}

async fn what_no_service_has_signed_has_no_effect_and_leaves_nothing(app: &mut App) {
    let tea = app.manager().await.sell("Tea", 100, 10).await;
    let ann = app.customer_with(PLENTY).await;
    let order = ann.order(&tea, 2).await;
    ann.wait_for(&order, "paid").await;
    let draft = ann.draft(&tea, 1).await;
    pass(app).await;
    let before = everything(app);
    assert!(before.len() > 20, "{before:#?}");

    for (channel, event) in attacks(&ann, &order, &draft, &tea) {
        let forged = forgeries(channel, &event);
        app.publish_as_it_is(channel, json!(forged).to_string())
            .await;
        for event in forged {
            app.publish_as_it_is(channel, json!([event]).to_string())
                .await;
        }
    }
    for (channel, _) in CHANNELS {
        for nonsense in ["", "{", "{}", "7", "[]", "[7, null, \"x\", [], {}]"] {
            app.publish_as_it_is(channel, nonsense).await;
        }
        app.publish_as_it_is(channel, vec![b'x'; 1_000_000]).await;
        app.publish_as_it_is(channel, b"\xff\xfe".to_vec()).await;
    }
    pass(app).await;
    assert_eq!(everything(app), before);

    // The shop goes on, and ann can do with her money what she likes.
    ann.execute(&order, "cancel").await.expect(200);
    ann.wait_for(&order, "canceled").await;
    assert_eq!(ann.balance().await, PLENTY);
}

async fn one_forged_event_holds_up_no_other(app: &mut App) {
    let ann = app.customer().await;
    let ours = the_shops_keys();
    let real = |event: &Value| Value::from(signed(&ours, "notifications", event));
    let mut batch = vec![real(&notice(&ann))];
    batch.extend(forgeries("notifications", &notice(&ann)));
    batch.extend([json!(7), json!(null), real(&notice(&ann))]);
    batch.extend(forgeries("notifications", &notice(&ann)));
    batch.push(real(&notice(&ann)));
    app.publish_as_it_is("notifications", json!(batch).to_string())
        .await;
    pass(app).await;
    assert_eq!(ann.get("/notifications").await.data().len(), 3);
}

async fn a_flood_of_forged_messages_is_counted_and_not_kept(app: &mut App) {
    let ann = app.customer().await;
    let batch: Vec<Value> = (0..100).map(|_| notice(&ann)).collect();
    // Fewer messages than a queue takes, or the markers would be lost with them.
    for _ in 0..50 {
        app.publish_as_it_is("notifications", json!(batch).to_string())
            .await;
    }
    pass(app).await;
    assert!(ann.get("/notifications").await.data().is_empty());
    if on_spin() {
        // Each message has an instance of its own there, and so a line of its own, in Spin's log.
        return;
    }
    let log = logs::so_far();
    let told = log.matches("notifications has refused").count();
    // At most one line a second and instance, whatever comes.
    assert!((1..20).contains(&told), "{told} lines");
    assert!(log.contains("not signed"), "no reason is given");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_step_by_step_and_an_old_one_counts_no_more_once_it_is_gone() {
    let mut app = App::start_with(&[("channel_keys", OLD)]).await;
    let tea = app.manager().await.sell("Tea", 100, 10).await;
    let ann = app.customer_with(PLENTY).await;
    let mut told = 1;
    for (value, takes_old, takes_new) in [
        (OLD.to_owned(), true, false),
        (format!("{OLD} {NEW}"), true, true),
        (format!("{NEW},{OLD}"), true, true),
        (NEW.to_owned(), false, true),
    ] {
        app.set_variable("channel_keys", &value);
        app.restart().await;
        let order = ann.order(&tea, 1).await;
        ann.wait_for(&order, "paid").await;
        // "created" and "paid".
        told += 2;
        for (key, taken) in [(OLD, takes_old), (NEW, takes_new)] {
            let message = json!([notice(&ann)]).to_string();
            let message = sign(&keys(key), "notifications", message.as_bytes());
            app.publish_as_it_is("notifications", message).await;
            told += usize::from(taken);
        }
        pass(&app).await;
        let list = ann.get("/notifications?limit=100").await.data();
        assert_eq!(list.len(), told, "with {}", &value[..3]);
    }
    app.finish().await;
}

/// The change from unsigned to signed: events that are in an outbox when the keys come are signed
/// when they are sent.
#[tokio::test(flavor = "multi_thread")]
async fn what_waited_unsigned_is_signed_when_it_is_sent() {
    if on_spin() {
        println!(
            "SKIPPED: {}: Spin does not start without Redis",
            module_path!()
        );
        return;
    }
    let Some(mut app) = App::start_on_redis_with(module_path!(), crate::UNSIGNED).await else {
        return;
    };
    let tea = app.manager().await.sell("Tea", 100, 10).await;
    let ann = app.customer_with(PLENTY).await;
    app.quiet().await;
    app.redis().stop();
    let order = ann.order(&tea, 1).await;
    app.set_variable("channel_keys", workspace::keys().channel_keys());
    app.restart().await;
    app.redis().start_again();
    ann.wait_for(&order, "paid").await;
    app.finish().await;
}

#[test]
fn keys_that_can_not_be_read_stop_the_start_and_are_not_shown() {
    for (value, word) in [
        ("only-a-secret-0123456789-0123456789", "id:secret"),
        ("k:hunter2", "at least 32"),
        (&format!("{OLD} {OLD}"), "twice"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = up(folder.path(), &[]);
        set(&mut command, "channel_keys", value);
        let (status, said) = said(&mut command);
        assert_eq!(status, Some(1), "{said}");
        assert!(
            said.contains("channel_keys") && said.contains(word),
            "{said}"
        );
        for secret in ["hunter2", "0123456789"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}
