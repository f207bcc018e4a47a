//! Who may change what belongs to somebody else, and that each change says who made it.

use crate::harness::actor::PLENTY;
use crate::harness::{Actor, App};
use serde_json::{Value, json};

/// The actors of an order's history, as this user sees them.
async fn actors(reader: &Actor, order: &str) -> Vec<Value> {
    let events = reader.get(&format!("/orders/{order}/events")).await;
    let actor = |event: &Value| event["actor"].clone();
    events.expect(200).data().iter().map(actor).collect()
}

fn staff(who: &Actor) -> Value {
    json!({"kind": "staff", "id": who.id})
}

fn customer(who: &Actor) -> Value {
    json!({"kind": "customer", "id": who.id})
}

fn system() -> Value {
    json!({"kind": "system"})
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_owner_edits_and_confirms_a_draft() {
    let app = App::start().await;
    let (manager, admin) = (app.manager().await, app.admin().await);
    let tea = manager.sell("Tea", 100, 5).await;
    let ann = app.customer_with(PLENTY).await;
    let draft = ann.draft(&tea, 1).await;
    let before = ann.read_order(&draft).await;
    let path = format!("/orders/{draft}");
    for who in [&manager, &admin] {
        // They may look at it.
        assert_eq!(who.read_order(&draft).await["status"], "draft");
        for body in [
            json!({"address": "The manager's"}),
            json!({"lines": [{"item_id": tea, "quantity": 5}]}),
            json!({}),
        ] {
            who.patch(&path, &body).await.refused(403, "forbidden");
        }
        who.execute(&draft, "confirm")
            .await
            .refused(403, "forbidden");
    }
    assert_eq!(ann.read_order(&draft).await, before);
    assert_eq!(ann.balance().await, PLENTY);

    // Staff can't confirm an order that is no longer a draft either.
    ann.execute(&draft, "confirm").await.expect(200);
    ann.wait_for(&draft, "paid").await;
    manager
        .execute(&draft, "confirm")
        .await
        .refused(403, "forbidden");
    // Staff buy for themselves like anybody.
    let own = manager.draft(&tea, 1).await;
    manager
        .patch(&format!("/orders/{own}"), &json!({"address": "Here"}))
        .await
        .expect(200);
    manager.execute(&own, "confirm").await.expect(200);
    manager.wait_for_end(&own).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_an_order_says_who_made_each_change() {
    let app = App::start().await;
    let manager = app.manager().await;
    let tea = manager.sell("Tea", 100, 9).await;
    let ann = app.customer_with(PLENTY).await;

    let completed = ann.order(&tea, 1).await;
    ann.wait_for(&completed, "paid").await;
    manager.execute(&completed, "complete").await.expect(200);
    ann.wait_for(&completed, "completed").await;
    let shop = || [system(), system()];
    let of_staff = [
        vec![customer(&ann)],
        shop().to_vec(),
        vec![staff(&manager), system()],
    ];
    assert_eq!(actors(&manager, &completed).await, of_staff.concat());
    // The customer learns that it was a member of staff, but not who.
    let of_customer = [
        vec![customer(&ann)],
        shop().to_vec(),
        vec![json!({"kind": "staff"}), system()],
    ];
    assert_eq!(actors(&ann, &completed).await, of_customer.concat());

    let draft = ann.draft(&tea, 1).await;
    ann.execute(&draft, "cancel").await.expect(200);
    assert_eq!(actors(&manager, &draft).await, [customer(&ann)]);
    let draft = ann.draft(&tea, 1).await;
    manager.execute(&draft, "cancel").await.expect(200);
    assert_eq!(actors(&manager, &draft).await, [staff(&manager)]);
    assert_eq!(actors(&ann, &draft).await, [json!({"kind": "staff"})]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compensated_order_says_who_did_it_and_why() {
    let app = App::start().await;
    let (admin, manager) = (app.admin().await, app.manager().await);
    let tea = manager.sell("Tea", 100, 9).await;
    let ann = app.customer_with(PLENTY).await;
    let (first, second) = (ann.order(&tea, 1).await, ann.order(&tea, 1).await);
    for order in [&first, &second] {
        ann.wait_for(order, "paid").await;
    }

    let why = json!({"reason": "the van broke down"});
    admin
        .post(&format!("/sagas/{first}/compensate"), &why)
        .await
        .expect(200);
    let internal = format!("/internal/orders/sagas/{second}/compensate");
    app.operate("POST", &internal, &why).await.expect(200);
    for (order, actor) in [
        (&first, staff(&admin)),
        (&second, json!({"kind": "operator"})),
    ] {
        ann.wait_for(order, "canceled").await;
        assert_eq!(actors(&manager, order).await[3], actor);
        let detail = admin.get(&format!("/sagas/{order}")).await.expect(200);
        let actions = detail.json()["actions"].clone();
        assert_eq!(actions.as_array().map(Vec::len), Some(1), "{actions}");
        let action = &actions[0];
        assert_eq!(
            (&action["action"], &action["reason"], &action["actor"]),
            (&json!("saga.compensated"), &why["reason"], &actor)
        );
    }
    assert_eq!(
        actors(&ann, &second).await[3],
        json!({"kind": "operator"}),
        "the customer sees that it was the shop"
    );
    // A dry run changes nothing.
    let third = ann.order(&tea, 1).await;
    ann.wait_for(&third, "paid").await;
    let dry = json!({"reason": "a look", "dry_run": true});
    admin
        .post(&format!("/sagas/{third}/compensate"), &dry)
        .await
        .expect(200);
    let detail = admin.get(&format!("/sagas/{third}")).await.expect(200);
    assert_eq!(detail.json()["actions"], json!([]));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_of_an_item_says_who_made_it() {
    let app = App::start().await;
    let (ann, ben) = (app.manager().await, app.admin().await);
    let tea = ann.sell("Tea", 100, 5).await;
    let path = format!("/items/{tea}");
    let more = json!({"delta": 3, "reason": "delivery"});
    ben.post(&format!("{path}/adjustments"), &more)
        .await
        .expect(200);
    for (who, change) in [
        (&ben, json!({"price": 120, "name": "Green tea"})),
        (&ann, json!({"archived": true})),
        (&ben, json!({"archived": false})),
    ] {
        who.patch(&path, &change).await.expect(200);
    }
    let buyer = app.customer_with(PLENTY).await;
    let order = buyer.order(&tea, 1).await;
    buyer.wait_for(&order, "paid").await;

    let movements = ann.get(&format!("{path}/movements")).await.expect(200);
    let seen: Vec<Value> = movements
        .data()
        .iter()
        .map(|moved| json!([moved["kind"], moved["actor"]]))
        .collect();
    assert_eq!(
        seen,
        [
            json!(["reserve", system()]),
            json!(["adjust", staff(&ben)]),
            json!(["adjust", staff(&ann)]),
        ]
    );
    let changes = ann.get(&format!("{path}/changes")).await.expect(200);
    let seen: Vec<Value> = changes
        .data()
        .iter()
        .map(|change| json!([change["kind"], change["actor"], change["changes"]]))
        .collect();
    let made = json!({"name": [null, "Tea"], "price": [null, 100], "archived": [null, false]});
    assert_eq!(
        seen,
        [
            json!(["restored", staff(&ben), {"archived": [true, false]}]),
            json!(["archived", staff(&ann), {"archived": [false, true]}]),
            json!(["changed", staff(&ben), {"name": ["Tea", "Green tea"], "price": [100, 120]}]),
            json!(["made", staff(&ann), made]),
        ]
    );
    buyer
        .get(&format!("{path}/changes"))
        .await
        .refused(403, "forbidden");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_and_a_profile_say_who_changed_them() {
    let app = App::start().await;
    let (admin, manager) = (app.admin().await, app.manager().await);
    let tea = manager.sell("Tea", 100, 5).await;
    let ann = app.customer_with(PLENTY).await;
    let order = ann.order(&tea, 1).await;
    ann.wait_for(&order, "paid").await;
    let statement = ann.get("/billing/transactions").await.expect(200).data();
    let seen: Vec<Value> = statement
        .iter()
        .map(|moved| json!([moved["kind"], moved["actor"]]))
        .collect();
    assert_eq!(
        seen,
        [
            json!(["charge", system()]),
            json!(["deposit", customer(&ann)]),
        ]
    );

    let path = format!("/users/{}", ann.id);
    let profile = async |who: &Actor| who.get(&path).await.expect(200).json()["updated_by"].clone();
    assert_eq!(profile(&ann).await, Value::Null);
    let own = json!({"first_name": "Ann"});
    ann.patch("/users/me", &own).await.expect(200);
    assert_eq!(profile(&ann).await, customer(&ann));
    let theirs = json!({"first_name": "Anna"});
    admin.patch(&path, &theirs).await.expect(200);
    assert_eq!(profile(&admin).await, staff(&admin));
    assert_eq!(profile(&ann).await, json!({"kind": "staff"}));
    app.finish().await;
}
