//! What another issuer's token costs, once it is known: as much as ours.

use super::{bearer, trusting};
use crate::harness::App;
use crate::harness::issuer::Issuer;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasmart_host::{CallHook, HostCall, Verdict};

/// Counts what `orders` asks of the key-value store.
#[derive(Default)]
struct LookUps(AtomicUsize);

impl CallHook for LookUps {
    fn before(&self, call: &HostCall<'_>) -> Verdict {
        let looks = ["key-value.get", "key-value.exists"].contains(&call.name);
        if call.component == "orders" && looks {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Verdict::Pass
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_seen_before_costs_one_look_up() {
    let issuer = Issuer::start().await;
    let hook = Arc::new(LookUps::default());
    let variables = trusting(&issuer, json!({}));
    let variables: Vec<(&str, &str)> = variables.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let test = "a_token_that_was_seen_before_costs_one_look_up";
    let Some(app) = App::start_with_hook_and(test, hook.clone(), &variables).await else {
        return;
    };
    let theirs = bearer(&app, issuer.access_token(json!({})));
    let ours = app.customer().await;
    for actor in [&theirs, &ours] {
        actor.get("/orders").await.expect(200);
        let before = hook.0.load(Ordering::Relaxed);
        for _ in 0..10 {
            actor.get("/orders").await.expect(200);
        }
        assert_eq!(hook.0.load(Ordering::Relaxed) - before, 10);
    }
    app.finish().await;
}
