//! Dead letters: listed, taken in after all, thrown away.

use super::{Shop, says, tamper};
use crate::harness::actor::PLENTY;
use crate::harness::redis::publish;

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_becomes_a_dead_letter_that_is_listed_and_thrown_away() {
    // Where messages are signed, nonsense does not even come so far.
    let unsigned = ["--variable", "channel_keys="];
    let Some(shop) = Shop::start_with(module_path!(), &unsigned).await else {
        return;
    };
    says(&shop.run(&["dead", "list", "stock"]), &["0 dead letters"]);
    publish(&shop.redis.url(), "stock_changes", b"{nonsense").expect("published");
    let words = ["not a JSON array", "nonsense", "1 dead letters"];
    let list = shop.until_it_says(&["dead", "list", "stock"], &words).await;
    let id = list.split_whitespace().next().expect("an id");
    says(
        &shop.refused(&["dead", "redrive", "stock", id]),
        &["409", "not an event"],
    );
    // Another service does not know of it.
    says(&shop.refused(&["dead", "discard", "billing", id]), &["404"]);
    let discard = ["dead", "discard", "stock", id, "--reason", "a test of ours"];
    says(&shop.run(&discard), &["thrown away"]);
    says(&shop.refused(&["dead", "discard", "stock", id]), &["404"]);
    says(&shop.run(&["dead", "list", "stock"]), &["0 dead letters"]);
    let handled = shop.run(&["dead", "list", "stock", "--handled"]);
    let words = [
        "dead_letter.discarded",
        "by operator",
        "\"a test of ours\"",
        "1 actions",
    ];
    says(&handled, &words);
    shop.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_that_fails_for_good_is_listed_and_succeeds_once_its_cause_is_mended() {
    let Some(mut shop) = Shop::start(module_path!()).await else {
        return;
    };
    let order = shop.order("paid").await;
    // A defect of stock: it can't release any more.
    let databases = shop.process.databases();
    let defect = "CREATE TRIGGER defect BEFORE INSERT ON movements WHEN NEW.kind = 'release'
        BEGIN SELECT RAISE(ABORT, 'CHECK constraint failed: defect'); END";
    tamper(&databases, "stock", defect);
    shop.ann.execute(&order, "cancel").await.expect(200);
    let words = ["constraint failed", &order, "1 dead letters"];
    let list = shop.until_it_says(&["dead", "list", "stock"], &words).await;
    let letter = list.split_whitespace().next().expect("an id");
    // The saga still waits for it, and in the end it is for a person.
    shop.let_two_minutes_pass();
    let words = [&order, "releasing (canceled_by_customer)", "NEEDS A PERSON"];
    shop.until_it_says(&["saga", "list", "--stuck"], &words)
        .await;
    let why = shop.refused(&["dead", "redrive", "stock", letter]);
    says(&why, &["409", "constraint failed"]);

    tamper(&databases, "stock", "DROP TRIGGER defect");
    says(
        &shop.run(&["dead", "redrive", "stock", letter]),
        &["taken in"],
    );
    shop.ann.wait_for(&order, "canceled").await;
    says(
        &shop.run(&["dead", "list", "stock", "--handled"]),
        &["dead_letter.redriven", "by operator", "1 actions"],
    );
    says(&shop.run(&["dead", "list", "stock"]), &["0 dead letters"]);
    says(&shop.run(&["saga", "list"]), &["0 sagas"]);
    assert_eq!(shop.ann.balance().await, PLENTY);
    shop.check().await;
}
