//! Whoever repeats what a service has said changes nothing, however late.

use super::{everything, pass};
use crate::harness::App;
use crate::harness::actor::PLENTY;
use serde_json::json;
use std::sync::{Arc, Mutex};
use wasmart_host::{CallHook, Delivery, Fate};

/// Keeps every message.
#[derive(Default)]
struct Recorder(Mutex<Vec<(String, Vec<u8>)>>);

impl CallHook for Recorder {
    fn deliver(&self, message: &Delivery<'_>) -> Fate {
        let message = (message.channel.to_owned(), message.payload.to_vec());
        let mut all = self.0.lock().expect("no panic while held");
        if !all.contains(&message) {
            all.push(message);
        }
        Fate::Deliver
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_every_true_message_changes_nothing() {
    let recorder = Arc::new(Recorder::default());
    let Some(app) = App::start_with_hook(module_path!(), recorder.clone()).await else {
        return;
    };
    let manager = app.manager().await;
    let tea = manager.sell("Tea", 100, 10).await;
    let (ann, mut bob) = (
        app.customer_with(PLENTY).await,
        app.customer_with(PLENTY).await,
    );
    let canceled = ann.order(&tea, 2).await;
    ann.wait_for(&canceled, "paid").await;
    ann.execute(&canceled, "cancel").await.expect(200);
    ann.wait_for(&canceled, "canceled").await;
    let completed = ann.order(&tea, 3).await;
    ann.wait_for(&completed, "paid").await;
    manager.execute(&completed, "complete").await.expect(200);
    ann.wait_for(&completed, "completed").await;
    let too_many = ann.order(&tea, 100).await;
    ann.wait_for(&too_many, "canceled").await;
    let too_dear = app.customer().await.order(&tea, 1).await;
    let forgot = json!({"email": bob.email});
    app.anonymous().post("/auth/password/forgot", &forgot).await;
    let change = json!({"current_password": bob.password, "new_password": "a new password of bob"});
    bob.post("/auth/password", &change).await;
    bob.password = "a new password of bob".to_owned();
    bob.log_in_again().await;
    let last = bob.order(&tea, 1).await;
    bob.wait_for(&last, "paid").await;
    bob.delete("/users/me").await;
    pass(&app).await;

    let messages = recorder.0.lock().expect("no panic while held").clone();
    let kinds = messages
        .iter()
        .map(|(_, bytes)| String::from_utf8_lossy(bytes));
    let all: String = kinds.collect();
    for kind in [
        "payment.charge",
        "payment.charged",
        "payment.declined",
        "payment.refund",
        "payment.refunded",
        "stock.reserve",
        "stock.reserved",
        "stock.rejected",
        "stock.release",
        "stock.committed",
        "order.paid",
        "account.registered",
        "account.deleted",
        "account.settled",
        "password.forgotten",
        "ack",
    ] {
        assert!(
            all.contains(&format!("\"{kind}\"")),
            "{kind} was not said: {too_dear}"
        );
    }
    let before = everything(&app);
    // The markers are no true messages.
    let real: Vec<_> = messages
        .iter()
        .filter(|(_, bytes)| !String::from_utf8_lossy(bytes).contains("marker"))
        .collect();
    for (channel, message) in real.iter().rev().chain(&real) {
        app.publish_as_it_is(channel, message.clone()).await;
    }
    pass(&app).await;
    assert_eq!(everything(&app), before);
    app.finish().await;
}
