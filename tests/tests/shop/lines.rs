//! Text from clients and from the network can't become lines of the log or terminal sequences, and
//! can't be stored and copied at any length: logs escape it, and only well-formed values are passed
//! on.

use crate::harness::actor::PLENTY;
use crate::harness::running::on_spin;
use crate::harness::{App, eventually, logs, workspace};
use crate::{on_both_channels, on_both_unsigned_channels};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use wasmart_host::{CallHook, Delivery, Fate};

on_both_channels!(a_reason_with_line_breaks_is_refused_and_not_logged);
on_both_unsigned_channels!(what_comes_over_the_channels_is_one_line_of_the_log);

const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What begins a line, moves the cursor or turns the text round.
const SEPARATORS: [&str; 8] = [
    "\n",
    "\r\n",
    "\r",
    "\u{2028}",
    "\u{85}",
    "\u{b}",
    "\u{1b}[2K\u{1b}[1G",
    "\u{202e}",
];

async fn a_reason_with_line_breaks_is_refused_and_not_logged(app: &mut App) {
    if on_spin() {
        println!("SKIPPED: {}: the log is Spin's", module_path!());
        return;
    }
    let admin = app.admin().await;
    let tea = app.manager().await.sell("Tea", 100, 50).await;
    let ann = app.customer_with(PLENTY).await;
    let order = ann.order(&tea, 1).await;
    ann.wait_for(&order, "paid").await;
    let path = format!("/sagas/{order}/compensate");
    for (number, separator) in SEPARATORS.into_iter().enumerate() {
        let mark = format!("reason-{number}-");
        let reason = format!("{mark}{separator}{{\"audit\":\"role.changed\"}}");
        let body = json!({"reason": reason});
        admin.post(&path, &body).await.expect(422);
        assert!(!logs::so_far().contains(&mark), "{separator:?}");
    }
    let body = json!({"reason": "a plain reason"});
    admin.post(&path, &body).await.expect(200);
    let log = logs::so_far();
    let told = format!("order {order} is compensated by an operator: a plain reason");
    assert!(log.contains(&told), "{log}");
}

/// Where nothing is signed, whoever may publish chooses an event's id and type, and both are logged.
async fn what_comes_over_the_channels_is_one_line_of_the_log(app: &mut App) {
    if on_spin() {
        println!("SKIPPED: {}: the log is Spin's", module_path!());
        return;
    }
    let tea = app.manager().await.sell("Tea", 100, 50).await;
    app.quiet().await;
    for (number, separator) in SEPARATORS.into_iter().enumerate() {
        let mark = format!("event-{number}-");
        let forged = format!("{separator}{{audit: role.changed}} {mark}");
        let padding = "x".repeat(if number == 0 { 9_000 } else { 0 });
        let event = json!([{
            "specversion": "1.0", "id": format!("{mark}{forged}"), "source": "/tests",
            "type": format!("{tea}{forged}{padding}{forged}"), "subject": "none",
            "time": "2026-01-01T00:00:00Z", "dataschema": "wasmart:saga/messages@1.0.0", "data": {},
        }]);
        app.publish("stock_changes", event.to_string()).await;
        app.expect_dead_letters(1);
        let log = eventually("the line", async || {
            let log = logs::so_far();
            log.contains(&mark).then_some(log)
        })
        .await;
        let lines: Vec<&str> = log
            .split('\n')
            .filter(|line| line.contains(&mark))
            .collect();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].contains("guest: dead letter event-"), "{lines:#?}");
        let strange = |c: char| c.is_control() || "\u{2028}\u{202e}".contains(c);
        assert!(!lines[0].contains(strange), "{:?}", lines[0]);
        assert!(lines[0].len() < 6_000, "{} bytes", lines[0].len());
    }
}

/// Keeps the `traceparent` of each event.
#[derive(Default)]
struct Traces(Mutex<Vec<(String, Option<String>)>>);

impl CallHook for Traces {
    fn deliver(&self, message: &Delivery<'_>) -> Fate {
        let events: Vec<serde_json::Value> =
            serde_json::from_slice(message.payload).unwrap_or_default();
        let mut all = self.0.lock().expect("no panic while held");
        for event in events {
            let text = |name: &str| event[name].as_str().map(str::to_owned);
            all.push((text("subject").unwrap_or_default(), text("traceparent")));
        }
        Fate::Deliver
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_traceparent_of_the_right_shape_is_stored_and_passed_on() {
    let traces = Arc::new(Traces::default());
    let Some(app) = App::start_with_hook(module_path!(), traces.clone()).await else {
        return;
    };
    let tea = app.manager().await.sell("Tea", 100, 100).await;
    let ann = app.customer_with(PLENTY).await;
    let long = format!("{GOOD}-{}", "a".repeat(20_000));
    let later = format!("{}-more", GOOD.replacen("00", "01", 1));
    let zero = format!("00-{}-b7ad6b7169203331-01", "0".repeat(32));
    for (sent, kept) in [
        (&[GOOD][..], Some(GOOD)),
        (&[&later], Some(GOOD)),
        (&[&long], None),
        (&[&zero], None),
        (&[&GOOD.to_uppercase()], None),
        (&["x"], None),
        (&[""], None),
        (&["00-\u{202e}"], None),
        (&[GOOD, GOOD], None),
        (&[], None),
    ] {
        let body = json!({"lines": [{"item_id": tea, "quantity": 1}]});
        let mut request = ann.request("POST", "/orders").json(&body);
        for value in sent {
            request = request.header("traceparent", value.as_bytes());
        }
        // And headers that are not passed on at all.
        let request = request.header("tracestate", "a=1").header("baggage", "b=2");
        let order = crate::harness::actor::id_of(&ann.send(request).await.expect(201));
        ann.wait_for(&order, "paid").await;
        app.quiet().await;
        let sql =
            format!("SELECT coalesce(traceparent, 'none') FROM orders.orders WHERE id = '{order}'");
        assert_eq!(app.books().rows(&sql), [kept.unwrap_or("none")], "{sent:?}");
        let all = traces.0.lock().expect("no panic while held");
        let own = all.iter().filter(|(subject, _)| *subject == order);
        let passed: Vec<Option<&str>> = own.map(|(_, trace)| trace.as_deref()).collect();
        // Two commands, two answers, two notices at least.
        assert!(passed.len() >= 6, "{passed:?}");
        assert!(
            passed.iter().all(|trace| *trace == kept),
            "{sent:?}: {passed:?}"
        );
    }
    app.finish().await;
}

/// A `traceparent` that comes with a message, from a service of an earlier version, is not handed on either.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_does_not_repeat_a_traceparent_without_the_right_shape() {
    let traces = Arc::new(Traces::default());
    let Some(app) = App::start_with_hook(module_path!(), traces.clone()).await else {
        return;
    };
    app.quiet().await;
    let order = "00000000-0000-7000-8000-000000000007";
    let release = json!([{
        "specversion": "1.0", "id": "01900000-0000-7000-8000-000000000001", "source": "/orders",
        "type": "stock.release", "subject": order, "time": "2026-01-01T00:00:00Z",
        "dataschema": "wasmart:saga/messages@1.0.0", "traceparent": "x".repeat(20_000),
        "data": {"order_id": order},
    }]);
    app.publish("stock_changes", release.to_string()).await;
    let answer = eventually("the answer", async || {
        let all = traces.0.lock().expect("no panic while held");
        let own: Vec<_> = all
            .iter()
            .filter(|(subject, _)| subject == order)
            .cloned()
            .collect();
        (own.len() >= 2).then(|| own[1].1.clone())
    })
    .await;
    assert_eq!(answer, None);
    app.expect_dead_letters(1);
    app.finish().await;
}

/// Components write to the log through one function, which escapes.
#[test]
fn no_component_writes_past_the_log() {
    let root = workspace::root();
    let mut looked_at = 0;
    for folder in [
        "components",
        "crates/service",
        "crates/domain",
        "crates/contracts",
        "crates/tokens",
    ] {
        for file in sources(&root.join(folder)) {
            let text = std::fs::read_to_string(&file).expect("readable");
            looked_at += 1;
            for (number, line) in text.lines().enumerate() {
                let prints = ["eprint", "println!", "print!", "dbg!"]
                    .iter()
                    .any(|word| line.contains(word));
                let is_the_log = line.contains("eprintln!(\"{}\", one_line(text));");
                assert!(
                    !prints || is_the_log,
                    "{}:{}: {line}",
                    file.display(),
                    number + 1
                );
            }
        }
    }
    assert!(looked_at > 50, "{looked_at} files");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
