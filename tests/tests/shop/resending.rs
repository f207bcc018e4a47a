//! What is not answered is sent again: not all at once, not before what is new, not by one who was passed
//! over, and not a day late because a clock was set back.

use crate::harness::actor::{PLENTY, id_of};
use crate::harness::running::on_spin;
use crate::harness::surgery::{self, DAY_MS, now_ms};
use crate::harness::wait::within;
use crate::harness::{App, eventually};
use futures::future::join_all;
use rusqlite::params;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wasmart_host::{CallHook, HostCall, Verdict};

/// Rows that wait in the outbox when the shop opens: four seconds' worth of repeats.
const OVERDUE: i64 = 2_000;

/// Notices of orders that do not exist, unanswered for long; for four users, because each keeps a
/// thousand.
const FILL: &str = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
    INSERT INTO outbox (id, channel, subject, event, created_at, attempts, next_attempt_at)
    SELECT printf('01900000-0000-7000-8000-%012d', n), 'notifications', 'x', json_object(
        'specversion', '1.0', 'id', printf('01900000-0000-7000-8000-%012d', n),
        'source', '/orders', 'type', 'order.created', 'time', '2026-01-01T00:00:00Z',
        'dataschema', 'wasmart:saga/messages@1.0.0', 'data', json_object(
            'user_id', printf('%s-%d', ?2, n % 4),
            'order_id', printf('01900000-0000-7000-a000-%012d', n), 'number', n, 'total', NULL,
            'currency', 'EUR', 'reason', NULL)), 0, 3, n FROM n";

#[tokio::test(flavor = "multi_thread")]
async fn thousands_overdue_make_no_storm_and_nothing_new_waits_for_them() {
    let mut app = App::start().await;
    let tea = app.manager().await.sell("Tea", 100, 10).await;
    let ann = app.customer_with(PLENTY).await;
    let bob = app.customer().await;
    app.quiet().await;
    app.restart_after(|databases| {
        let orders = surgery::open(databases, "orders");
        orders
            .execute(FILL, params![OVERDUE, bob.id])
            .expect("filled");
    })
    .await;

    let order = ann.order(&tea, 1).await;
    let soon = Duration::from_secs(3);
    within(soon, "a new order is paid among the old rows", async || {
        (ann.read_order(&order).await["status"] == "paid").then_some(())
    })
    .await;
    let left = "SELECT count(*) FROM orders.outbox WHERE subject = 'x'";
    assert!(app.books().number(left) > 0, "all was sent before it");

    app.quiet().await;
    let told = |what: &str| {
        let of_bob = format!(
            "FROM notifications.notifications WHERE user_id LIKE '{}-%'",
            bob.id
        );
        app.books().number(&format!("SELECT {what} {of_bob}"))
    };
    assert_eq!(told("count(*)"), OVERDUE);
    let took = told("max(created_at) - min(created_at)");
    // In four parts, with a second between the beginnings of each two.
    assert!((2_500..15_000).contains(&took), "sent within {took} ms");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_set_back_by_a_day_delays_nothing_by_a_day() {
    let mut app = App::start_with(&[("step_deadline_ms", "2000")]).await;
    let tea = app.manager().await.sell("Tea", 100, 10).await;
    let ann = app.customer_with(PLENTY).await;
    let (asked, silent) = (ann.draft(&tea, 1).await, ann.draft(&tea, 2).await);
    app.quiet().await;
    app.restart_after(|databases| {
        let (orders, tomorrow) = (surgery::open(databases, "orders"), now_ms() + DAY_MS);
        surgery::confirm(&orders, &asked, (&tea, 1), (3, tomorrow));
        // Stock will not hear of this one before its deadline.
        surgery::confirm(&orders, &silent, (&tea, 2), (3, now_ms() + 8_000));
        let sql = format!(
            "UPDATE drain_lease SET until = {tomorrow}, repeats_since = {tomorrow}, repeats = 999;
             UPDATE orders SET deadline_at = {tomorrow}, give_up_at = {tomorrow}
                 WHERE state = 'reserving'"
        );
        orders.execute_batch(&sql).expect("set");
    })
    .await;
    let canceled = ann.wait_for(&silent, "canceled").await;
    assert_eq!(canceled["reason"], "timeout");
    ann.wait_for(&asked, "paid").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_was_set_aside_is_still_asked() {
    let mut app = App::start().await;
    let tea = app.manager().await.sell("Tea", 100, 10).await;
    let ann = app.customer_with(PLENTY).await;
    let order = ann.order(&tea, 2).await;
    ann.wait_for(&order, "paid").await;
    app.quiet().await;
    let reserved = |count: i64| {
        move |databases: &std::path::Path| {
            let stock = surgery::open(databases, "stock");
            let sql = "UPDATE items SET reserved = ?";
            stock.execute(sql, [count]).expect("counted wrong");
        }
    };
    app.restart_after(reserved(0)).await;
    ann.execute(&order, "cancel").await.expect(200);
    eventually("stock sets the release aside", async || {
        (app.books().dead_letters().len() == 1).then_some(())
    })
    .await;
    // Time for the acknowledgement, which is no answer.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(ann.read_order(&order).await["saga"], "releasing");
    let asked = "SELECT count(*) FROM orders.outbox WHERE channel = 'stock_changes'";
    assert_eq!(app.books().number(asked), 1);

    app.restart_after(reserved(2)).await;
    ann.wait_for(&order, "canceled").await;
    assert_eq!(ann.item(&tea).await["available"], 10);
    app.expect_dead_letters(1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_long_unanswered_is_listed_as_needing_a_person() {
    let mut app = App::start().await;
    let tea = app.manager().await.sell("Tea", 100, 10).await;
    let ann = app.customer_with(PLENTY).await;
    let mut drafts = vec![];
    for _ in 0..3 {
        drafts.push(ann.draft(&tea, 1).await);
    }
    app.quiet().await;
    app.restart_after(|databases| {
        let (orders, later) = (surgery::open(databases, "orders"), now_ms() + 5_000);
        // Asked often; asked seldom but for long, as without Redis; asked a moment ago.
        for (order, attempts) in drafts.iter().zip([8, 1, 7]) {
            surgery::confirm(&orders, order, (&tea, 1), (attempts, later));
        }
        let long_ago = "UPDATE outbox SET created_at = created_at - 150000
            WHERE subject = ? AND channel = 'stock_changes'";
        orders.execute(long_ago, [&drafts[1]]).expect("long ago");
    })
    .await;
    let admin = app.admin().await;
    let stuck = admin.get("/sagas?stuck=true").await.expect(200).data();
    let mut stuck: Vec<&str> = stuck
        .iter()
        .filter_map(|saga| saga["order_id"].as_str())
        .collect();
    stuck.sort_unstable();
    let mut expected = [drafts[0].as_str(), drafts[1].as_str()];
    expected.sort_unstable();
    assert_eq!(stuck, expected);
    assert_eq!(admin.get("/sagas").await.expect(200).data().len(), 3);
    // Answered at last.
    for order in &drafts {
        ann.wait_for(order, "paid").await;
    }
    app.finish().await;
}

/// Pauses orders at the first message it publishes, past its lease.
#[derive(Default)]
struct Sleeper {
    /// 0 until it may begin; then what orders has begun to publish, plus 1.
    published: AtomicU64,
    /// The number of the call that sleeps.
    sleeping: AtomicU64,
    /// `published`, when that one woke.
    at_waking: AtomicU64,
}

/// The lease is 5 s.
const PAST_THE_LEASE: Duration = Duration::from_millis(8_000);

impl CallHook for Sleeper {
    fn before(&self, call: &HostCall<'_>) -> Verdict {
        let ours = call.component == "orders" && call.name == "redis.publish";
        if !ours || self.published.load(Ordering::Relaxed) == 0 {
            return Verdict::Pass;
        }
        match self.published.fetch_add(1, Ordering::Relaxed) {
            1 => {
                self.sleeping.store(call.number, Ordering::Relaxed);
                Verdict::Delay(PAST_THE_LEASE)
            }
            _ => Verdict::Pass,
        }
    }

    fn after(&self, call: &HostCall<'_>) -> Verdict {
        let sleeping = self.sleeping.load(Ordering::Relaxed);
        if call.component == "orders" && call.number == sleeping {
            let published = self.published.load(Ordering::Relaxed);
            self.at_waking.store(published, Ordering::Relaxed);
        }
        Verdict::Pass
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_was_passed_over_publishes_no_more() {
    let sleeper = Arc::new(Sleeper::default());
    let Some(app) = App::start_with_hook(module_path!(), sleeper.clone()).await else {
        return;
    };
    let tea = app.manager().await.sell("Tea", 100, 10).await;
    let ann = app.customer_with(PLENTY).await;
    app.quiet().await;

    sleeper.published.store(1, Ordering::Relaxed);
    let begun = Instant::now();
    let buy = async {
        let order = json!({"lines": [{"item_id": tea, "quantity": 1}]});
        let answer = ann.post("/orders", &order).await.expect(201);
        assert!(begun.elapsed() >= PAST_THE_LEASE, "nobody slept");
        id_of(&answer)
    };
    let settled = async {
        // Another takes over while the first one sleeps, and sends both its messages.
        within(PAST_THE_LEASE, "the order is paid", async || {
            let orders = ann.get("/orders").await.data();
            let paid = orders
                .first()
                .is_some_and(|order| order["status"] == "paid");
            paid.then_some(())
        })
        .await;
    };
    let (order, ()) = futures::join!(buy, settled);
    app.quiet().await;
    let published = sleeper.published.load(Ordering::Relaxed);
    assert!(published >= 4, "the other published {published}");
    assert_eq!(published, sleeper.at_waking.load(Ordering::Relaxed));
    assert_eq!(
        ann.history(&order).await,
        ["confirmed", "stock.reserved", "payment.charged"]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_for_redis_settles_soon_after_it_is_back() {
    const BUYERS: usize = 10;
    const EACH: usize = 20;
    if on_spin() {
        println!("SKIPPED: {}: Spin ends with its Redis", module_path!());
        return;
    }
    let Some(mut app) = App::start_on_redis(module_path!()).await else {
        return;
    };
    let all = i64::try_from(BUYERS * EACH).expect("few");
    let tea = app.manager().await.sell("Tea", 1, all).await;
    let mut buyers = vec![];
    for _ in 0..BUYERS {
        buyers.push(app.customer_with(PLENTY).await);
    }
    app.quiet().await;
    app.redis().stop();
    let buying = Instant::now();
    let orders: Vec<Vec<String>> = join_all(buyers.iter().map(async |buyer| {
        let mut orders = vec![];
        for _ in 0..EACH {
            orders.push(buyer.order(&tea, 1).await);
        }
        orders
    }))
    .await;
    println!("ordered without Redis in {:?}", buying.elapsed());
    assert!(orders.iter().all(|orders| orders.len() == EACH));
    // Long enough for the wait to have grown past the time below, if a failure counted as a sending.
    tokio::time::sleep(Duration::from_secs(16).saturating_sub(buying.elapsed())).await;
    app.redis().start_again();
    let back = Instant::now();
    let paid = "SELECT count(*) FROM orders.orders WHERE state = 'paid'";
    within(Duration::from_secs(12), "all are paid", async || {
        (app.books().number(paid) == all).then_some(())
    })
    .await;
    println!("paid {:?} after Redis was back", back.elapsed());
    app.finish().await;
}
