//! What comes over the channels: nonsense, strangers' words, repeats. Nothing is done twice, nothing
//! blocks what comes after it, and what can't be understood is set aside.

use crate::harness::actor::PLENTY;
use crate::harness::{App, eventually};
use crate::{on_both_channels, on_both_unsigned_channels};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

on_both_channels!(
    a_command_repeated_ten_times_has_one_effect,
    an_answer_repeated_or_late_changes_nothing,
    a_batch_of_a_megabyte_is_taken_in_whole,
);

// Nonsense that nobody has signed is refused where messages are signed (`signatures`).
on_both_unsigned_channels!(
    nonsense_is_set_aside_on_every_channel,
    what_is_poisonous_does_not_spoil_the_rest_of_its_batch,
    poison_among_the_sagas_own_messages_holds_up_no_order,
);

/// A CloudEvent as the services send it; its id is new.
fn event(source: &str, kind: &str, subject: &str, data: Value) -> Value {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    json!({
        "specversion": "1.0",
        "id": format!("01900000-0000-7000-8000-{:012}", NEXT.fetch_add(1, Ordering::Relaxed)),
        "source": source,
        "type": kind,
        "subject": subject,
        "time": "2026-01-01T00:00:00Z",
        "dataschema": "wasmart:saga/messages@1.0.0",
        "data": data,
    })
}

async fn publish(app: &App, channel: &str, events: &[Value]) {
    app.publish(channel, json!(events).to_string()).await;
}

/// Each channel with who listens: what is for none of them must end with each of them.
const CHANNELS: [(&str, usize); 6] = [
    ("stock_changes", 1),
    ("stock_changes_status", 1),
    ("payments", 1),
    ("payments_status", 1),
    ("notifications", 1),
    ("accounts", 4),
];

async fn wait_for_dead_letters(app: &App, count: usize) {
    eventually(&format!("{count} dead letters"), async || {
        let dead = app.books().dead_letters();
        assert!(dead.len() <= count, "{dead:#?}");
        (dead.len() == count).then_some(())
    })
    .await;
}

/// Waits until all that was published on a channel before has been taken in: what comes on one
/// channel is taken in order.
async fn pass(app: &App, channel: &str) {
    let marker = event("/tests", "marker", "none", json!({}));
    app.expect_dead_letters(1);
    publish(app, channel, std::slice::from_ref(&marker)).await;
    let id = marker["id"].as_str().unwrap_or_default();
    eventually(&format!("the marker on {channel}"), async || {
        app.books()
            .dead_letters()
            .iter()
            .any(|dead| dead.contains(id))
            .then_some(())
    })
    .await;
}

async fn nonsense_is_set_aside_on_every_channel(app: &mut App) {
    let tea = app.manager().await.sell("Tea", 100, 10).await;
    let ann = app.customer_with(PLENTY).await;
    app.quiet().await;
    let mut expected = 0;
    for (channel, listeners) in CHANNELS {
        for bytes in [
            &b"{"[..],
            b"",
            b"{}",
            b"7",
            b"\xff\xfe",
            &vec![b'x'; 1_000_000],
        ] {
            app.publish(channel, bytes).await;
            expected += listeners;
        }
        for bytes in ["[]", " [ ] "] {
            app.publish(channel, bytes).await;
        }
        let other_data = |name: &str, value: &str| {
            let mut event = event("/tests", "stock.reserve", "x", json!({}));
            event[name] = json!(value);
            event
        };
        let batch = [
            json!(7),
            json!({"id": format!("half an event on {channel}")}),
            event("/tests", "order.stolen", "x", json!({})),
            other_data("specversion", "0.3"),
            other_data("dataschema", "wasmart:saga/messages@2.0.0"),
        ];
        publish(app, channel, &batch).await;
        // The same once more: known by their ids, but for the one that has none.
        publish(app, channel, &batch).await;
        expected += listeners * (batch.len() + 1);
    }
    app.expect_dead_letters(expected);
    wait_for_dead_letters(app, expected).await;

    // The shop goes on.
    let order = ann.order(&tea, 1).await;
    ann.wait_for(&order, "paid").await;
}

async fn a_command_repeated_ten_times_has_one_effect(app: &mut App) {
    let tea = app.manager().await.sell("Tea", 100, 50).await;
    let ann = app.customer_with(PLENTY).await;
    let order = ann.order(&tea, 2).await;
    ann.wait_for(&order, "paid").await;
    app.quiet().await;

    let line = json!({"item_id": tea, "quantity": 2});
    let reserve = json!({"order_id": order, "lines": [line]});
    let charge = json!({"order_id": order, "user_id": ann.id, "amount": 200, "currency": "EUR"});
    let again = |kind: &str, data: &Value| event("/orders", kind, &order, data.clone());
    for _ in 0..5 {
        // The very same event twice, and the same command in another one; together and alone.
        let (stock, money) = (
            again("stock.reserve", &reserve),
            again("payment.charge", &charge),
        );
        publish(app, "stock_changes", &[stock.clone(), stock]).await;
        publish(app, "payments", std::slice::from_ref(&money)).await;
        publish(app, "payments", &[money]).await;
    }
    for channel in [
        "stock_changes",
        "payments",
        "stock_changes_status",
        "payments_status",
    ] {
        pass(app, channel).await;
    }
    app.quiet().await;
    assert_eq!(ann.read_order(&order).await["status"], "paid");
    assert_eq!(ann.balance().await, PLENTY - 200);
    assert_eq!(app.admin().await.item(&tea).await["reserved"], 2);

    ann.execute(&order, "cancel").await.expect(200);
    ann.wait_for(&order, "canceled").await;
    for _ in 0..10 {
        let undo = json!({"order_id": order});
        publish(app, "stock_changes", &[again("stock.release", &undo)]).await;
        publish(app, "payments", &[again("payment.refund", &undo)]).await;
        // And the actions once more, after their undo.
        publish(app, "stock_changes", &[again("stock.reserve", &reserve)]).await;
        publish(app, "payments", &[again("payment.charge", &charge)]).await;
    }
    for channel in [
        "stock_changes",
        "payments",
        "stock_changes_status",
        "payments_status",
    ] {
        pass(app, channel).await;
    }
    app.quiet().await;
    assert_eq!(ann.balance().await, PLENTY);
    let item = app.admin().await.item(&tea).await;
    assert_eq!(
        (&item["available"], &item["reserved"]),
        (&json!(50), &json!(0))
    );
}

async fn an_answer_repeated_or_late_changes_nothing(app: &mut App) {
    let tea = app.manager().await.sell("Tea", 100, 50).await;
    let ann = app.customer_with(PLENTY).await;
    let paid = ann.order(&tea, 2).await;
    ann.wait_for(&paid, "paid").await;
    let canceled = ann.order(&tea, 51).await;
    ann.wait_for(&canceled, "canceled").await;
    let draft = ann.draft(&tea, 1).await;
    app.quiet().await;
    let before: Vec<Value> = ann.get("/orders").await.data();

    for order in [&paid, &canceled, &draft] {
        let line = json!({"item_id": tea, "name": "Gold", "quantity": 2, "unit_price": 1});
        let reserved = json!({"order_id": order, "lines": [line], "total": 2, "currency": "EUR"});
        let rejected = json!({"order_id": order, "reason": "OutOfStock", "item_id": null});
        let declined = json!({"order_id": order, "reason": "InsufficientFunds"});
        let only = json!({"order_id": order});
        let amount = json!({"order_id": order, "amount": 200});
        for _ in 0..2 {
            let stock = [
                event("/stock", "stock.reserved", order, reserved.clone()),
                event("/stock", "stock.rejected", order, rejected.clone()),
                event("/stock", "stock.released", order, only.clone()),
                event("/stock", "stock.committed", order, only.clone()),
            ];
            let money = [
                event("/billing", "payment.charged", order, amount.clone()),
                event("/billing", "payment.declined", order, declined.clone()),
                event("/billing", "payment.refunded", order, amount.clone()),
            ];
            publish(app, "stock_changes_status", &stock).await;
            publish(app, "payments_status", &money).await;
        }
    }
    // Answers about an order that is none, and acknowledgements of events that are none.
    let nobodys = "00000000-0000-7000-8000-000000000000";
    let stray = event(
        "/stock",
        "stock.released",
        nobodys,
        json!({"order_id": nobodys}),
    );
    publish(app, "stock_changes_status", &[stray]).await;
    app.expect_dead_letters(1);
    let acks = ["/orders", "/billing", "/auth", "/nobody"]
        .map(|subject| event("/tests", "ack", subject, json!({"events": [nobodys, "x"]})));
    publish(app, "acks", &acks).await;
    for channel in ["stock_changes_status", "payments_status"] {
        pass(app, channel).await;
    }
    app.quiet().await;
    assert_eq!(ann.get("/orders").await.data(), before);
}

async fn what_is_poisonous_does_not_spoil_the_rest_of_its_batch(app: &mut App) {
    let ann = app.customer().await;
    app.quiet().await;
    let notice = |amount: i64| {
        let data =
            json!({"user_id": ann.id, "amount": amount, "balance": amount, "currency": "EUR"});
        event("/tests", "deposit.accepted", &ann.id, data)
    };
    let poison = || event("/tests", "deposit.accepted", &ann.id, json!({"user_id": 7}));
    let (first, last) = (notice(1), notice(3));
    let batch = [
        poison(),
        first.clone(),
        poison(),
        notice(2),
        json!("poison"),
        last.clone(),
    ];
    publish(app, "notifications", &batch).await;
    // What lived is known by its id.
    publish(app, "notifications", &[first, last]).await;
    app.expect_dead_letters(3);
    pass(app, "notifications").await;
    app.quiet().await;
    assert_eq!(ann.get("/notifications").await.data().len(), 3);
}

/// Poison of every kind, first, in the middle and last of a batch whose other messages belong to an
/// order: they have their effect.
async fn poison_among_the_sagas_own_messages_holds_up_no_order(app: &mut App) {
    let tea = app.manager().await.sell("Tea", 100, 50).await;
    let ann = app.customer_with(PLENTY).await;
    let order = ann.order(&tea, 2).await;
    ann.wait_for(&order, "paid").await;
    app.quiet().await;

    let nobodys = || json!({"order_id": "00000000-0000-7000-8000-000000000000"});
    let undo = json!({"order_id": order});
    let poisons = [
        json!(null),
        event("/tests", "order.stolen", &order, undo.clone()),
        event("/tests", "stock.reserve", &order, json!({"order_id": 7})),
        event(
            "/tests",
            "payment.charge",
            &order,
            json!({"order_id": order, "amount": "all"}),
        ),
        event("/tests", "stock.reserved", "none", nobodys()),
        event("/tests", "payment.charged", &order, json!([])),
        event("/tests", "stock.released", "none", nobodys()),
    ];
    // The undo as orders would send it; only with each of them taken in can the shop be as before.
    for (channel, command) in [
        ("payments", "payment.refund"),
        ("stock_changes", "stock.release"),
    ] {
        let mut batch = vec![];
        for poison in &poisons {
            batch.extend([
                poison.clone(),
                event("/tests", command, &order, undo.clone()),
            ]);
        }
        batch.push(event("/tests", "order.stolen", &order, json!({})));
        publish(app, channel, &batch).await;
        app.expect_dead_letters(poisons.len() + 1);
        pass(app, channel).await;
    }
    assert_eq!(ann.balance().await, PLENTY);
    assert_eq!(ann.item(&tea).await["available"], 50);
    // The order takes no notice of answers that it does not wait for; the customer calls it off, and
    // all that is to be undone has been.
    ann.execute(&order, "cancel").await.expect(200);
    ann.wait_for(&order, "canceled").await;

    // The answers of another order, among poison.
    let mut batch = vec![event("/tests", "stock.stolen", &order, json!({}))];
    for answer in ["stock.released", "stock.committed"] {
        batch.push(event("/stock", answer, &order, undo.clone()));
        batch.push(event("/tests", answer, "none", nobodys()));
    }
    let letters = batch.len() - 2;
    publish(app, "stock_changes_status", &batch).await;
    app.expect_dead_letters(letters);
    pass(app, "stock_changes_status").await;
    let next = ann.order(&tea, 1).await;
    ann.wait_for(&next, "paid").await;
}

/// Thousands of events in one message: undoes of what never was, which every participant answers.
async fn a_batch_of_a_megabyte_is_taken_in_whole(app: &mut App) {
    let tea = app.manager().await.sell("Tea", 100, 50).await;
    let ann = app.customer_with(PLENTY).await;
    app.quiet().await;
    let mut batch = vec![];
    let mut bytes = 0;
    while bytes < 1_000_000 {
        // Of several users, as each keeps a thousand.
        let user = format!("00000000-0000-7000-8000-{:012}", batch.len() % 8);
        let data = json!({"user_id": user, "amount": 1, "balance": 1, "currency": "EUR"});
        let notice = event("/tests", "deposit.accepted", &ann.id, data);
        bytes += notice.to_string().len();
        batch.push(notice);
    }
    let (ours, events) = (i64::try_from(batch.len()).expect("few"), batch.len());
    assert!(events > 2_000, "only {events}");
    publish(app, "notifications", &batch).await;
    // What comes after it is not held up for long.
    let order = ann.order(&tea, 1).await;
    ann.wait_for(&order, "paid").await;
    pass(app, "notifications").await;
    let sql = "SELECT count(*) FROM notifications.notifications WHERE kind = 'deposit.accepted'";
    assert_eq!(app.books().number(sql), ours + 1);
}
