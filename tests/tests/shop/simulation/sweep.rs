//! The crash sweep: each ending of the saga once undisturbed, then once for every call that a component makes into
//! the host on the way, and for both sides of its effect, interrupted just there: by the end of the component's
//! instance, and by the end of the whole process.

use super::template::{PIECES, PRICE, Template, WALLET};
use super::watch::Rules;
use super::{Client, Shop, block_on};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wasmart_host::{CallHook, HostCall, Verdict};

/// What happens at the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    /// The component's instance ends; the others go on.
    Stop,
    /// The whole process ends, and is started again.
    Kill,
}

/// Strikes once, at one call.
struct Point {
    calls: AtomicU64,
    at: u64,
    after: bool,
    blow: Blow,
    struck: AtomicU64,
}

impl Point {
    fn new(at: u64, after: bool, blow: Blow) -> Arc<Point> {
        Arc::new(Point {
            calls: 0.into(),
            at,
            after,
            blow,
            struck: 0.into(),
        })
    }

    fn strikes(&self, call: &HostCall<'_>, after: bool) -> bool {
        // A look at the clock or for randomness changes nothing and can't be stopped at: the next call is
        // the same point.
        if call.is_look() {
            return false;
        }
        // Calls may overlap, so a call's own number is not known after it: the n-th to return is as good.
        let counter = if after == self.after {
            &self.calls
        } else {
            return false;
        };
        let number = counter.fetch_add(1, Ordering::Relaxed) + 1;
        let hit = number == self.at;
        self.struck.fetch_add(u64::from(hit), Ordering::Relaxed);
        hit
    }

    fn verdict(&self, call: &HostCall<'_>, after: bool) -> Verdict {
        if self.blow == Blow::Stop && self.strikes(call, after) {
            return Verdict::Stop;
        }
        Verdict::Pass
    }
}

impl CallHook for Point {
    fn before(&self, call: &HostCall<'_>) -> Verdict {
        self.verdict(call, false)
    }

    fn after(&self, call: &HostCall<'_>) -> Verdict {
        self.verdict(call, true)
    }
}

impl Rules for Point {
    fn kills(&self, call: &HostCall<'_>, after: bool) -> bool {
        self.blow == Blow::Kill && self.strikes(call, after)
    }
}

/// An ending: what is done, and what must come of it.
struct Ending {
    pieces: i64,
    act: Act,
    status: &'static str,
    /// Pieces that are no longer for sale afterwards.
    gone: i64,
    /// What the buyer has spent.
    spent: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Wait,
    CancelAtOnce,
    CancelWhenPaid,
    Complete,
}

async fn play(shop: &Shop, template: &Template, ending: &Ending) {
    let ann = template.buyer(shop);
    shop.watch.set(true);
    let order = ann
        .order("the order", &[(template.item(), ending.pieces)])
        .await;
    match ending.act {
        Act::Wait => {}
        Act::CancelAtOnce => assert_eq!(ann.execute(&order, "cancel").await, 200),
        Act::CancelWhenPaid => {
            assert_eq!(ann.wait_for_end(&order).await, "paid");
            assert_eq!(ann.execute(&order, "cancel").await, 200);
        }
        Act::Complete => {
            assert_eq!(ann.wait_for_end(&order).await, "paid");
            let admin = template.admin(shop);
            assert_eq!(admin.execute(&order, "complete").await, 200);
        }
    }
    shop.quiet().await;
    shop.watch.set(false);
    verify(shop, template, ending, &ann, &order).await;
}

async fn verify(shop: &Shop, template: &Template, ending: &Ending, ann: &Client<'_>, order: &str) {
    assert_eq!(ann.wait_for_end(order).await, ending.status);
    assert_eq!(ann.balance().await, WALLET - ending.spent);
    let item = ann.item(template.item()).await;
    assert_eq!(item["available"], PIECES - ending.gone, "{item}");
    assert_eq!(shop.books().number("SELECT count(*) FROM orders.orders"), 1);
    shop.quiet().await;
    shop.check();
}

/// One run; gives the calls of the side that was watched, and whether the blow fell.
fn run(template: &Template, ending: &Ending, point: &Arc<Point>) -> (u64, bool) {
    block_on(async {
        let shop = template.open(point.clone(), None).await;
        shop.supervise(play(&shop, template, ending)).await;
        let struck = point.struck.load(Ordering::Relaxed);
        (point.calls.load(Ordering::Relaxed), struck == 1)
    })
}

fn sweep(name: &str, ending: &Ending) {
    let template = Template::make();
    let mut swept = 0;
    for after in [false, true] {
        // Never struck: nothing is call number 0.
        let (calls, _) = run(&template, ending, &Point::new(0, after, Blow::Stop));
        assert!(calls > 50, "a run of {calls} calls was no run");
        for at in 1..=calls {
            for blow in [Blow::Stop, Blow::Kill] {
                let point = Point::new(at, after, blow);
                let said = format!("{name}: {blow:?} at call {at} of {calls}, after = {after}");
                let run = std::panic::AssertUnwindSafe(|| run(&template, ending, &point));
                match std::panic::catch_unwind(run) {
                    Ok((_, struck)) => assert!(struck, "{said}: it was never reached"),
                    Err(_) => panic!("{said}: see above"),
                }
                swept += 1;
            }
        }
    }
    println!("{name}: {swept} points swept");
    assert!(swept > 400, "hardly anything was swept");
}

#[test]
fn an_order_that_is_paid() {
    let ending = Ending {
        pieces: 2,
        act: Act::Wait,
        status: "paid",
        gone: 2,
        spent: 2 * PRICE,
    };
    sweep("paid", &ending);
}

#[test]
fn an_order_of_more_than_there_is() {
    let ending = Ending {
        pieces: PIECES + 1,
        act: Act::Wait,
        status: "canceled",
        gone: 0,
        spent: 0,
    };
    sweep("refused by stock", &ending);
}

#[test]
fn an_order_of_more_than_the_wallet_holds() {
    let ending = Ending {
        pieces: WALLET / PRICE + 1,
        act: Act::Wait,
        status: "canceled",
        gone: 0,
        spent: 0,
    };
    sweep("refused by billing", &ending);
}

#[test]
fn an_order_that_is_canceled_while_it_runs() {
    let ending = Ending {
        pieces: 2,
        act: Act::CancelAtOnce,
        status: "canceled",
        gone: 0,
        spent: 0,
    };
    sweep("canceled while running", &ending);
}

#[test]
fn an_order_that_is_canceled_after_it_was_paid() {
    let ending = Ending {
        pieces: 2,
        act: Act::CancelWhenPaid,
        status: "canceled",
        gone: 0,
        spent: 0,
    };
    sweep("refunded after paid", &ending);
}

#[test]
fn an_order_that_is_completed() {
    let ending = Ending {
        pieces: 2,
        act: Act::Complete,
        status: "completed",
        gone: 2,
        spent: 2 * PRICE,
    };
    sweep("completed", &ending);
}
