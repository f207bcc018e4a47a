//! What one account may pile up: drafts, orders, payments, keys and notifications all have a bound.

use crate::harness::actor::{PLENTY, id_of};
use crate::harness::surgery::{self, DAY_MS};
use crate::harness::{App, eventually};
use rusqlite::params;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_so_many_drafts_at_a_time() {
    let app = App::start_with(&[("max_drafts", "3")]).await;
    let tea = app.manager().await.sell("Tea", 100, 50).await;
    let (ann, bob) = (app.customer_with(PLENTY).await, app.customer().await);
    let draft = json!({"lines": [{"item_id": tea, "quantity": 1}], "draft": true});
    let first = id_of(&ann.post_once("k", "/orders", &draft).await.expect(201));
    let second = ann.draft(&tea, 1).await;
    ann.draft(&tea, 1).await;
    let too_many = async || {
        let refused = ann.post("/orders", &draft).await;
        refused.refused(409, "too-many-drafts");
    };
    too_many().await;
    // A repeat makes no new draft; an order is not a draft; others have their own limit.
    ann.post_once("k", "/orders", &draft).await.expect(201);
    let order = ann.order(&tea, 1).await;
    bob.draft(&tea, 1).await;
    ann.execute(&first, "cancel").await.expect(200);
    ann.draft(&tea, 1).await;
    too_many().await;
    ann.execute(&second, "confirm").await.expect(200);
    ann.draft(&tea, 1).await;
    too_many().await;
    for order in [&order, &second] {
        ann.wait_for(order, "paid").await;
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_makes_so_many_orders_and_payments_in_a_day() {
    let limits = [("orders_per_day", "3"), ("payments_per_day", "3")];
    let mut app = App::start_with(&limits).await;
    let tea = app.manager().await.sell("Tea", 1, 50).await;
    let (ann, bob) = (app.customer_with(PLENTY).await, app.customer().await);
    ann.deposit(1).await;
    let withdraw = json!({"amount": 1});
    let path = "/billing/account/withdraw";
    ann.post(path, &withdraw).await.expect(200);
    let order = json!({"lines": [{"item_id": tea, "quantity": 1}]});
    for _ in 0..2 {
        ann.order(&tea, 1).await;
    }
    ann.draft(&tea, 1).await;
    for (path, body, slug) in [
        ("/orders", &order, "too-many-orders"),
        (path, &withdraw, "too-many-payments"),
        ("/billing/account/deposit", &withdraw, "too-many-payments"),
    ] {
        let refused = ann.post(path, body).await.refused(429, slug);
        let wait: i64 = refused
            .header("retry-after")
            .and_then(|wait| wait.parse().ok())
            .unwrap_or_else(|| panic!("no Retry-After: {refused}"));
        assert!((86_000..=86_400).contains(&wait), "{refused}");
    }
    // Neither payments of others nor bookings by the shop count.
    bob.deposit(1).await;
    bob.order(&tea, 1).await;
    app.quiet().await;
    app.restart_after(|databases| {
        let earlier = "SET created_at = created_at - 86400000";
        for (service, table) in [("orders", "orders"), ("billing", "transactions")] {
            let service = surgery::open(databases, service);
            let sql = format!("UPDATE {table} {earlier}");
            service.execute(&sql, []).expect("a day ago");
        }
    })
    .await;
    ann.order(&tea, 1).await;
    ann.post(path, &withdraw).await.expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_that_nobody_touches_end() {
    let mut app = App::start_with(&[("draft_days", "7")]).await;
    let tea = app.manager().await.sell("Tea", 100, 50).await;
    let ann = app.customer_with(PLENTY).await;
    let (old, recent, dropped) = (
        ann.draft(&tea, 1).await,
        ann.draft(&tea, 1).await,
        ann.draft(&tea, 1).await,
    );
    ann.execute(&dropped, "cancel").await.expect(200);
    let paid = ann.order(&tea, 1).await;
    ann.wait_for(&paid, "paid").await;
    let canceled = ann.order(&tea, 1).await;
    ann.wait_for(&canceled, "paid").await;
    ann.execute(&canceled, "cancel").await.expect(200);
    ann.wait_for(&canceled, "canceled").await;
    let newest = ann.draft(&tea, 1).await;
    app.quiet().await;
    app.restart_after(|databases| {
        let orders = surgery::open(databases, "orders");
        for sql in [
            "UPDATE orders SET updated_at = updated_at - ?1",
            "UPDATE order_events SET at = at - ?1",
        ] {
            orders.execute(sql, [8 * DAY_MS]).expect("a week ago");
        }
        let later = "UPDATE orders SET updated_at = updated_at + ?1 WHERE id = ?2";
        let moved = orders.execute(later, params![2 * DAY_MS, recent]);
        assert_eq!(moved.expect("some days ago"), 1);
    })
    .await;
    app.tick("orders").await;
    for gone in [&old, &dropped] {
        ann.get(&format!("/orders/{gone}"))
            .await
            .refused(404, "not-found");
        let left = format!("SELECT count(*) FROM orders.order_lines WHERE order_id = '{gone}'");
        assert_eq!(app.books().number(&left), 0);
    }
    // Orders that were ever confirmed stay, and so does the newest one, from which the next number
    // is counted.
    for kept in [&recent, &paid, &canceled, &newest] {
        ann.read_order(kept).await;
    }
    let number = ann.read_order(&newest).await["number"].as_i64();
    let next = ann.draft(&tea, 1).await;
    assert_eq!(
        ann.read_order(&next).await["number"].as_i64(),
        number.map(|number| number + 1)
    );
    app.tick("orders").await;
    ann.get(&format!("/orders/{newest}"))
        .await
        .refused(404, "not-found");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_so_many_keys_remembered() {
    let mut app = App::start_with(&[("keys_per_account", "3")]).await;
    let (ann, bob) = (app.customer().await, app.customer().await);
    let path = "/billing/account/deposit";
    let deposit = json!({"amount": 1});
    for key in ["a", "b", "c"] {
        ann.post_once(key, path, &deposit).await.expect(200);
    }
    ann.post_once("d", path, &deposit)
        .await
        .refused(429, "too-many-keys");
    // The refused request has no effect, and remembered keys still give their answers.
    ann.post_once("a", path, &deposit).await.expect(200);
    assert_eq!(ann.balance().await, 3);
    bob.post_once("d", path, &deposit).await.expect(200);
    ann.deposit(1).await;
    app.quiet().await;
    app.restart_after(|databases| {
        let billing = surgery::open(databases, "billing");
        let sql = "UPDATE idempotency SET created_at = created_at - ?1";
        billing.execute(sql, [4 * DAY_MS]).expect("days ago");
    })
    .await;
    ann.post_once("d", path, &deposit).await.expect(200);
    let rows = "SELECT count(*) FROM billing.idempotency";
    eventually("the old ones are forgotten", async || {
        (app.books().number(rows) == 1).then_some(())
    })
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_under_a_key_does_not_grow_with_the_request() {
    let app = App::start().await;
    let tea = app.manager().await.sell("Tea", 100, 50).await;
    let ann = app.customer().await;
    let draft = json!({
        "lines": [{"item_id": tea, "quantity": 1}], "address": "x".repeat(500), "draft": true,
    });
    ann.post_once("k", "/orders", &draft).await.expect(201);
    let bytes = "SELECT max(length(fingerprint)) FROM orders.idempotency";
    assert_eq!(app.books().number(bytes), 64);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_keeps_its_newest_thousand_notifications() {
    let mut app = App::start().await;
    let (ann, bob) = (app.customer_with(1).await, app.customer_with(1).await);
    ann.told(1).await;
    bob.told(1).await;
    app.quiet().await;
    let fill = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1050)
        INSERT INTO notifications (id, event_id, user_id, kind, text, created_at)
        SELECT printf('01900000-0000-7000-8000-%012d', n), printf('e%d', n), ?1, 'order.paid',
               'old', n FROM n";
    app.restart_after(|databases| {
        let notifications = surgery::open(databases, "notifications");
        notifications
            .execute(fill, params![ann.id])
            .expect("filled");
    })
    .await;
    ann.deposit(1).await;
    app.quiet().await;
    let of = |who: &str| {
        let sql =
            format!("SELECT count(*) FROM notifications.notifications WHERE user_id = '{who}'");
        app.books().number(&sql)
    };
    assert_eq!((of(&ann.id), of(&bob.id)), (1_000, 1));
    let newest = ann.get("/notifications?limit=1").await.expect(200).data();
    assert_eq!(newest[0]["kind"], "deposit.accepted");
    app.finish().await;
}
