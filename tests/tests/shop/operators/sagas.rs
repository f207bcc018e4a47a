//! Sagas, for operators by command and for administrators over HTTP: what is stuck and why, what an undo
//! would do, and setting it in motion again.

use super::{Shop, says};
use crate::harness::actor::PLENTY;
use crate::harness::app::Address;
use crate::harness::books::Books;
use crate::harness::process::{operator, said, set};
use crate::harness::redis::free_port;
use crate::harness::{Actor, App};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_saga_is_listed_explained_and_set_in_motion() {
    let Some(mut shop) = Shop::start(module_path!()).await else {
        return;
    };
    let paid = shop.order("paid").await;
    says(&shop.run(&["saga", "list"]), &["0 sagas"]);

    shop.redis.stop();
    let stuck = shop.ann.order(&shop.tea, 2).await;
    let sent = [&stuck, "reserving", "stock.reserve (sent "];
    let list = shop.until_it_says(&["saga", "list"], &sent).await;
    says(&list, &["1 sagas"]);
    assert!(!list.contains(&paid) && !list.contains("NEEDS"), "{list}");
    says(&shop.run(&["saga", "list", "--stuck"]), &["0 sagas"]);

    shop.let_two_minutes_pass();
    let list = shop.run(&["saga", "list", "--stuck"]);
    says(
        &list,
        &[&stuck, "sent 8 times", "NEEDS A PERSON", "1 sagas"],
    );
    let show = shop.run(&["saga", "show", &stuck]);
    says(
        &show,
        &[
            "reserving",
            "NEEDS A PERSON",
            "waits for stock.reserve",
            "history:",
        ],
    );
    says(&show, &["draft → reserving  confirmed"]);
    says(
        &show,
        &["an undo would do: releasing (sends stock.release), then canceled"],
    );
    let listed = shop.admin.get("/sagas?stuck=true").await.expect(200).data();
    assert_eq!(
        (&listed[0]["order_id"], &listed[0]["needs_person"]),
        (&json!(stuck), &json!(true))
    );

    shop.redis.start_again();
    shop.until_it_listens().await;
    assert_eq!(shop.ann.read_order(&stuck).await["status"], "pending");
    let redrive = [
        "saga",
        "redrive",
        &stuck,
        "--reason",
        "Redis is back & well",
    ];
    says(
        &shop.run(&redrive),
        &[
            &stuck,
            "history:",
            "confirmed  by customer",
            "saga.redriven",
        ],
    );
    says(
        &shop.run(&["saga", "show", &stuck]),
        &["by operator: \"Redis is back & well\""],
    );
    shop.ann.wait_for(&stuck, "paid").await;
    says(&shop.run(&["saga", "list", "--stuck"]), &["0 sagas"]);
    shop.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_is_turned_round_by_an_operator_and_a_dry_run_changes_nothing() {
    let Some(mut shop) = Shop::start(module_path!()).await else {
        return;
    };
    let (paid, completed) = (shop.order("paid").await, shop.order("completed").await);
    shop.check().await;
    shop.redis.stop();
    let stuck = shop.ann.order(&shop.tea, 1).await;

    let state =
        |shop: &Shop| Books::open(&shop.process.databases()).rows("SELECT * FROM orders.orders");
    let counts = |shop: &Shop| Books::open(&shop.process.databases()).counts();
    let before = (state(&shop), counts(&shop));
    let compensate = |order| {
        [
            "saga",
            "compensate",
            order,
            "--reason",
            "the van broke down",
        ]
    };
    let dry = [&compensate(&paid)[..], &["--dry-run"]].concat();
    let undo =
        "refunding (sends payment.refund), then releasing (sends stock.release), then canceled";
    says(
        &shop.run(&dry),
        &["paid", &format!("an undo would do: {undo}")],
    );
    let dry = [&compensate(&stuck)[..], &["--dry-run"]].concat();
    says(
        &shop.run(&dry),
        &["an undo would do: releasing (sends stock.release), then canceled"],
    );
    let dry = [&compensate(&completed)[..], &["--dry-run"]].concat();
    says(&shop.run(&dry), &["an undo is not possible any more"]);
    assert_eq!(
        (state(&shop), counts(&shop)),
        before,
        "a dry run has changed something"
    );

    says(
        &shop.run(&compensate(&paid)),
        &["refunding", "payment.refund"],
    );
    says(
        &shop.run(&compensate(&stuck)),
        &["releasing", "stock.release"],
    );
    says(
        &shop.process.log(),
        &["compensated by an operator: the van broke down"],
    );
    shop.redis.start_again();
    shop.until_it_listens().await;
    for order in [&paid, &stuck] {
        let order = shop.ann.wait_for(order, "canceled").await;
        assert_eq!(order["reason"], "canceled_by_staff");
    }
    // Of three orders one was kept.
    assert_eq!(shop.ann.balance().await, PLENTY - 100);
    assert_eq!(shop.ann.item(&shop.tea).await["available"], 49);
    shop.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_effect_is_refused() {
    let Some(shop) = Shop::start(module_path!()).await else {
        return;
    };
    for end in ["completed", "canceled"] {
        let order = shop.order(end).await;
        shop.check().await;
        let undo = ["saga", "compensate", &order, "--reason", "r"];
        says(&shop.refused(&undo), &["409", end, "nothing to undo"]);
        let redrive = ["saga", "redrive", &order];
        says(
            &shop.refused(&redrive),
            &["409", end, "nothing to send again"],
        );
    }
    let paid = shop.order("paid").await;
    shop.check().await;
    let redrive = ["saga", "redrive", &paid];
    says(&shop.refused(&redrive), &["409", "nothing to send again"]);
    let undo = ["saga", "compensate", &paid, "--reason", " "];
    says(&shop.refused(&undo), &["422", "reason"]);
    assert_eq!(shop.ann.read_order(&paid).await["status"], "paid");
    shop.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_can_t_be_done_say_why_and_fail() {
    let Some(shop) = Shop::start(module_path!()).await else {
        return;
    };
    let nobodys = "00000000-0000-7000-8000-000000000000";
    for id in [nobodys, "no-id"] {
        for words in [
            vec!["saga", "show", id],
            vec!["saga", "redrive", id],
            vec!["saga", "compensate", id, "--reason", "r"],
            vec!["saga", "compensate", id, "--reason", "r", "--dry-run"],
            vec!["dead", "redrive", "stock", id],
            vec!["dead", "discard", "stock", id],
        ] {
            says(&shop.refused(&words), &["404", "No such"]);
        }
    }
    says(&shop.refused(&["dead", "list", "nobody"]), &["404"]);
    // Without a reason it is not even asked for.
    let (status, why) = said(&mut operator(
        shop.address(),
        &["saga", "compensate", nobodys],
    ));
    assert_eq!(status, Some(2), "{why}");
    says(&why, &["--reason"]);
    let mut stranger = operator(shop.address(), &["saga", "list"]);
    set(&mut stranger, "internal_secret", "guess");
    let (status, why) = said(&mut stranger);
    assert_eq!(status, Some(1), "{why}");
    let nowhere = Address::new(([127, 0, 0, 1], free_port()).into());
    let (status, why) = said(&mut operator(&nowhere, &["saga", "list"]));
    assert_eq!(status, Some(1), "{why}");
    says(&why, &["does not answer", "--url"]);
    shop.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sagas_are_for_administrators_only() {
    let app = App::start().await;
    let (admin, manager, ann) = (app.admin().await, app.manager().await, app.customer().await);
    let tea = manager.sell("Tea", 100, 5).await;
    ann.deposit(PLENTY).await;
    let order = ann.order(&tea, 1).await;
    ann.wait_for(&order, "paid").await;
    let nobodys = "00000000-0000-7000-8000-000000000000";
    let dry = json!({"reason": "a look", "dry_run": true});
    let ask = async |who: &Actor, id: &str| {
        [
            who.get("/sagas").await,
            who.get(&format!("/sagas/{id}")).await,
            who.post(&format!("/sagas/{id}/compensate"), &dry).await,
            who.post(&format!("/sagas/{id}/redrive"), &json!({})).await,
        ]
    };
    for id in [order.as_str(), nobodys] {
        for answer in ask(&app.anonymous(), id).await {
            answer.expect(401);
        }
        for who in [&ann, &manager] {
            for answer in ask(who, id).await {
                answer.refused(403, "forbidden");
            }
        }
    }
    let [list, rest @ ..] = ask(&admin, nobodys).await;
    assert!(list.expect(200).data().is_empty());
    for answer in rest {
        answer.refused(404, "not-found");
    }
    let show = admin
        .get(&format!("/sagas/{order}"))
        .await
        .expect(200)
        .json();
    assert_eq!(show["saga"]["state"], "paid");
    assert_eq!(show["history"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        show["undo"]["steps"][0],
        json!({"state": "refunding", "command": "payment.refund"})
    );
    let compensate = format!("/sagas/{order}/compensate");
    for body in [
        json!({}),
        json!({"reason": ""}),
        json!({"reason": "r", "force": true}),
    ] {
        admin
            .post(&compensate, &body)
            .await
            .refused(422, "invalid-input");
    }
    admin.post(&compensate, &dry).await.expect(200);
    assert_eq!(ann.read_order(&order).await["status"], "paid");
    admin
        .post(&compensate, &json!({"reason": "r"}))
        .await
        .expect(200);
    ann.wait_for(&order, "canceled").await;
    app.finish().await;
}
