//! The end of an account: gone from every service, its orders called off and kept without whose they were,
//! its money where it came from.

use crate::harness::actor::{PLENTY, id_of, order_of};
use crate::harness::{Actor, App, eventually, surgery};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use wasmart_host::{CallHook, HostCall, Verdict};

const ADDRESS: &str = "7 Rue de la Paix, Paris";

async fn order_to(buyer: &Actor, item: &str, draft: bool) -> String {
    let order = json!({
        "lines": [{"item_id": item, "quantity": 1}], "address": ADDRESS, "draft": draft,
    });
    id_of(
        &buyer
            .post_once(&format!("key {draft}"), "/orders", &order)
            .await
            .expect(201),
    )
}

/// Nothing of this account is left that moves, or that says whose it was.
async fn is_gone(app: &App, ann: &Actor) {
    app.quiet().await;
    let books = app.books();
    let of_ann = |sql: &str| books.rows(&sql.replace('?', &format!("'{}'", ann.id)));
    let none = Vec::<String>::new();
    assert_eq!(
        of_ann("SELECT balance, closed_at IS NULL FROM billing.accounts WHERE user_id = ?"),
        ["0, 0"]
    );
    assert_eq!(
        of_ann(
            "SELECT id FROM orders.orders WHERE user_id = ? AND state NOT IN ('completed', 'canceled')"
        ),
        none
    );
    assert_eq!(
        of_ann("SELECT address FROM orders.orders WHERE user_id = ? AND address IS NOT NULL"),
        none
    );
    assert_eq!(
        of_ann("SELECT key FROM orders.idempotency WHERE caller = ?"),
        none
    );
    assert_eq!(
        of_ann("SELECT id FROM notifications.notifications WHERE user_id = ?"),
        none
    );
    assert_eq!(
        of_ann("SELECT email FROM users.profiles WHERE id = ?"),
        ["null"]
    );
    assert_eq!(
        of_ann("SELECT email, password_hash FROM auth.accounts WHERE id = ?"),
        ["null, "]
    );
    assert_eq!(
        of_ann("SELECT network FROM auth.known_networks WHERE account_id = ?"),
        none
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_under_way_are_called_off_and_the_money_goes_back() {
    let app = App::start().await;
    let manager = app.manager().await;
    let tea = manager.sell("Tea", 100, 10).await;
    let ann = app.customer_with(PLENTY).await;
    let draft = order_to(&ann, &tea, true).await;
    let paid = order_to(&ann, &tea, false).await;
    ann.wait_for(&paid, "paid").await;
    let completed = ann.order(&tea, 2).await;
    ann.wait_for(&completed, "paid").await;
    manager.execute(&completed, "complete").await.expect(200);
    ann.wait_for(&completed, "completed").await;
    // On its way while the account is deleted.
    let running = ann.order(&tea, 3).await;
    ann.delete("/users/me").await.expect(204);
    ann.delete("/users/me").await.refused(401, "revoked-token");
    is_gone(&app, &ann).await;
    for order in [&draft, &paid, &running] {
        let seen = manager.read_order(order).await;
        assert_eq!(seen["status"], "canceled", "{seen}");
        assert_eq!(seen["reason"], "account_deleted", "{seen}");
        assert!(seen.get("address").is_none(), "{seen}");
    }
    // What was bought stays in the books.
    let kept = manager.read_order(&completed).await;
    assert_eq!(
        (&kept["status"], &kept["total"]),
        (&json!("completed"), &json!(200))
    );
    assert_eq!(manager.item(&tea).await["available"], 8);
    let books = app.books();
    let paid_out = format!(
        "SELECT amount, credit FROM billing.transactions WHERE kind = 'payout' AND user_id = '{}'",
        ann.id
    );
    assert_eq!(
        books.rows(&paid_out),
        [format!("{}, external", PLENTY - 200)]
    );
    app.finish().await;
}

/// Stops stock at whatever it does, while it is on.
#[derive(Default)]
struct StockIsDown(AtomicBool);

impl CallHook for StockIsDown {
    fn before(&self, call: &HostCall<'_>) -> Verdict {
        match self.0.load(Ordering::Relaxed) && call.component == "stock" {
            true => Verdict::Stop,
            false => Verdict::Pass,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wallet_waits_for_the_last_order() {
    let down = Arc::new(StockIsDown::default());
    let Some(app) = App::start_with_hook(module_path!(), down.clone()).await else {
        return;
    };
    let tea = app.manager().await.sell("Tea", 100, 10).await;
    let ann = app.customer_with(PLENTY).await;
    let orders = [ann.order(&tea, 1).await, ann.order(&tea, 1).await];
    for order in &orders {
        ann.wait_for(order, "paid").await;
    }
    app.quiet().await;
    // Its part of the undo is not done, so the orders have not ended.
    down.0.store(true, Ordering::Relaxed);
    ann.delete("/users/me").await.expect(204);
    let of_ann = |sql: &str| {
        app.books()
            .rows(&sql.replace('?', &format!("'{}'", ann.id)))
    };
    eventually("the refunds", async || {
        let refunds =
            of_ann("SELECT id FROM billing.transactions WHERE user_id = ? AND kind = 'refund'");
        (refunds.len() == 2).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let wallet = "SELECT balance, closed_at FROM billing.accounts WHERE user_id = ?";
    assert_eq!(of_ann(wallet), [format!("{PLENTY}, null")]);
    down.0.store(false, Ordering::Relaxed);
    is_gone(&app, &ann).await;
    let kinds = "SELECT kind FROM billing.transactions WHERE user_id = ? ORDER BY rowid";
    assert_eq!(
        of_ann(kinds),
        ["deposit", "charge", "charge", "refund", "refund", "payout"]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_finds_its_wallet_closed_is_handed_on() {
    let app = App::start().await;
    let tea = app.manager().await.sell("Tea", 100, 10).await;
    let ann = app.customer_with(PLENTY).await;
    let order = ann.order(&tea, 1).await;
    ann.wait_for(&order, "paid").await;
    // As an earlier version of auth told it, which did not wait for the orders.
    let deleted = json!([{
        "specversion": "1.0", "id": "01900000-0000-7000-8000-000000000001", "source": "/auth",
        "type": "account.deleted", "subject": ann.id, "time": "2026-01-01T00:00:00Z",
        "dataschema": "wasmart:saga/messages@1.0.0", "receiver": "/billing",
        "data": {"user_id": ann.id},
    }]);
    app.publish("accounts", deleted.to_string()).await;
    let moved = |kind: &str| {
        let of_ann = format!("kind = '{kind}' AND user_id = '{}'", ann.id);
        let sql = format!("SELECT amount, balance FROM billing.transactions WHERE {of_ann}");
        app.books().rows(&sql)
    };
    let rest = format!("{}, 0", PLENTY - 100);
    eventually("the payout", async || {
        (moved("payout") == [rest.clone()]).then_some(())
    })
    .await;
    ann.execute(&order, "cancel").await.expect(200);
    ann.wait_for(&order, "canceled").await;
    assert_eq!(moved("refund"), ["100, 100"]);
    assert_eq!(moved("payout"), [rest.as_str(), "100, 0"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_comes_after_its_account_is_gone_is_refused() {
    let mut app = App::start().await;
    let tea = app.manager().await.sell("Tea", 100, 10).await;
    let ann = app.customer_with(PLENTY).await;
    ann.draft(&tea, 1).await;
    app.quiet().await;
    // Orders knows, and the token was looked at before auth took it back.
    app.restart_after(|databases| {
        let orders = surgery::open(databases, "orders");
        let gone = "INSERT INTO gone_accounts VALUES (?1, 1, 1)";
        assert_eq!(orders.execute(gone, [&ann.id]).expect("gone"), 1);
    })
    .await;
    let order = order_of(&[(&tea, 1)]);
    ann.post("/orders", &order)
        .await
        .refused(401, "revoked-token");
    let orders = "SELECT count(*) FROM orders.orders";
    assert_eq!(app.books().number(orders), 1);
    app.finish().await;
}

/// Stops components at one call of many, once, while it is on.
struct StopAt {
    on: AtomicBool,
    at: AtomicU64,
    calls: AtomicU64,
    stopped: AtomicBool,
}

impl StopAt {
    fn verdict(&self, call: &HostCall<'_>) -> Verdict {
        const CONCERNED: [&str; 8] = [
            "auth",
            "users",
            "users-inbox",
            "orders",
            "orders-inbox",
            "billing",
            "stock",
            "notifications",
        ];
        if !self.on.load(Ordering::Relaxed) || !CONCERNED.contains(&call.component) {
            return Verdict::Pass;
        }
        if self.calls.fetch_add(1, Ordering::Relaxed) == self.at.load(Ordering::Relaxed) {
            self.stopped.store(true, Ordering::Relaxed);
            return Verdict::Stop;
        }
        Verdict::Pass
    }
}

impl CallHook for StopAt {
    fn before(&self, call: &HostCall<'_>) -> Verdict {
        self.verdict(call)
    }

    fn after(&self, call: &HostCall<'_>) -> Verdict {
        self.verdict(call)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_is_interrupted_anywhere_is_finished_all_the_same() {
    let stop = Arc::new(StopAt {
        on: false.into(),
        at: 0.into(),
        calls: 0.into(),
        stopped: false.into(),
    });
    let Some(app) = App::start_with_hook(module_path!(), stop.clone()).await else {
        return;
    };
    let tea = app.manager().await.sell("Tea", 100, 100).await;
    let mut interrupted = 0;
    // A prime apart, so that over the rounds all kinds of calls have their turn.
    for at in (0..).step_by(11).take(16) {
        let ann = app.customer_with(PLENTY).await;
        let paid = order_to(&ann, &tea, false).await;
        ann.wait_for(&paid, "paid").await;
        let running = ann.order(&tea, 1).await;
        stop.at.store(at, Ordering::Relaxed);
        stop.calls.store(0, Ordering::Relaxed);
        stop.stopped.store(false, Ordering::Relaxed);
        stop.on.store(true, Ordering::Relaxed);
        let delete = ann.request("DELETE", "/users/me");
        let answer = ann.try_send_unchecked(delete).await;
        eventually("its end", async || {
            let done = stop.stopped.load(Ordering::Relaxed) || app.books().under_way().is_empty();
            done.then_some(())
        })
        .await;
        stop.on.store(false, Ordering::Relaxed);
        interrupted += u64::from(stop.stopped.load(Ordering::Relaxed));
        if answer.is_none_or(|answer| answer.status >= 500) {
            // What a client does that has heard nothing. It is done, or it is done now.
            let again = ann.delete("/users/me").await;
            assert!([204, 401].contains(&again.status), "{again}");
        }
        is_gone(&app, &ann).await;
        let state = format!("SELECT state FROM orders.orders WHERE id = '{running}'");
        assert_eq!(
            app.books().rows(&state),
            ["canceled"],
            "stopped at call {at}"
        );
    }
    assert!(
        interrupted >= 8,
        "hardly any was interrupted: {interrupted}"
    );
    app.finish().await;
}
