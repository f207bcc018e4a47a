//! Lists in pages, filters, and answers that need not be sent twice.

use crate::harness::actor::PLENTY;
use crate::harness::{Actor, App, surgery};
use futures::future::join_all;
use serde_json::{Value, json};

/// Reads a list page by page.
async fn pages(actor: &Actor, path: &str, limit: usize) -> Vec<Vec<Value>> {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let joint = if path.contains('?') { '&' } else { '?' };
        let answer = actor
            .get(&format!("{path}{joint}limit={limit}{cursor}"))
            .await
            .expect(200);
        pages.push(answer.data());
        match answer.json()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return pages,
        }
    }
}

fn ids(list: &[Value]) -> Vec<String> {
    list.iter()
        .map(|element| element["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_comes_in_pages_newest_first_without_gap_or_repeat() {
    let app = App::start().await;
    let manager = app.manager().await;
    let customer = app.customer().await;
    for n in 1..=5 {
        manager.sell(&format!("Item {n}"), n, 10).await;
        customer.deposit(n).await;
    }
    let item = manager.sell("Item 6", 6, 1).await;
    for n in 1..=4 {
        let adjustment = json!({"delta": n, "reason": "more"});
        manager
            .post(&format!("/items/{item}/adjustments"), &adjustment)
            .await
            .expect(200);
        customer.draft(&item, n).await;
    }
    app.quiet().await;
    let admin = app.admin().await;
    let movements = format!("/items/{item}/movements");
    for (actor, path, count) in [
        (&app.anonymous(), "/items", 6),
        (&manager, &movements, 5),
        (&customer, "/billing/transactions", 5),
        (&customer, "/orders", 4),
        (&customer, "/notifications", 5),
        (&admin, "/auth/users", 3),
    ] {
        let whole = actor.get(path).await.expect(200);
        assert!(whole.json().get("next_cursor").is_none(), "{whole}");
        let whole = ids(&whole.data());
        assert_eq!(whole.len(), count, "{path}");
        assert!(whole.is_sorted_by(|a, b| a > b), "{path}: {whole:?}");
        for limit in [1, 2, count, 200] {
            let pages = pages(actor, path, limit).await;
            assert!(pages.iter().all(|page| page.len() <= limit), "{path}");
            assert_eq!(pages.len(), count.div_ceil(limit), "{path} by {limit}");
            assert_eq!(ids(&pages.concat()), whole, "{path} by {limit}");
        }
        for limit in ["0", "-1", "201", "x", ""] {
            actor
                .get(&format!("{path}?limit={limit}"))
                .await
                .refused(422, "invalid-input");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_listed_by_number_also_after_parallel_orders() {
    let app = App::start().await;
    let tea = app.manager().await.sell("Tea", 1, 1_000).await;
    let customer = app.customer_with(PLENTY).await;
    let lines = json!([{"item_id": tea, "quantity": 1}]);
    let order = async |n: usize| {
        let order = json!({"lines": lines, "draft": n.is_multiple_of(4)});
        customer.post("/orders", &order).await.expect(201);
    };
    join_all((0..40).map(order)).await;
    app.quiet().await;
    let numbers = |list: &[Value]| -> Vec<i64> {
        let number = |order: &Value| order["number"].as_i64().expect("a number");
        list.iter().map(number).collect()
    };
    for (path, count) in [
        ("/orders", 40),
        ("/orders?status=paid", 30),
        ("/orders?status=draft", 10),
        ("/orders?status=pending", 0),
    ] {
        let whole = numbers(&customer.get(path).await.expect(200).data());
        assert_eq!(whole.len(), count, "{path}");
        assert!(whole.is_sorted_by(|a, b| a > b), "{path}: {whole:?}");
        let pages = pages(&customer, path, 7).await;
        assert_eq!(numbers(&pages.concat()), whole, "{path}");
    }
    let first = customer.get("/orders?limit=1").await.expect(200).json();
    let cursor = first["next_cursor"].as_str().expect("a cursor").to_owned();
    assert_eq!(cursor, first["data"][0]["number"].to_string());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_follows_the_ledger_also_when_the_clock_was_set_back() {
    let mut app = App::start().await;
    let customer = app.customer().await;
    let deposit = async |amount: i64| customer.deposit(amount).await;
    join_all((1..=20).map(deposit)).await;
    app.quiet().await;
    // As if the clock had been an hour ahead until now: the next row has a smaller id.
    app.restart_after(|databases| {
        let ahead = "UPDATE transactions SET id = 'f' || substr(id, 2)";
        let billing = surgery::open(databases, "billing");
        assert_eq!(billing.execute(ahead, []).expect("ahead"), 20);
    })
    .await;
    customer.deposit(21).await;
    app.quiet().await;
    let path = "/billing/transactions";
    let whole = customer.get(path).await.expect(200).data();
    let amount = |row: &Value, name: &str| row[name].as_i64().expect("an amount");
    let mut balance = customer.balance().await;
    for row in &whole {
        assert_eq!(amount(row, "balance"), balance, "{whole:#?}");
        balance -= amount(row, "amount");
    }
    assert_eq!((balance, whole.len()), (0, 21));
    let pages = pages(&customer, path, 4).await;
    assert_eq!(ids(&pages.concat()), ids(&whole));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_filtered_by_status() {
    let app = App::start().await;
    let tea = app.manager().await.sell("Tea", 100, 2).await;
    let customer = app.customer_with(PLENTY).await;
    let paid = customer.order(&tea, 2).await;
    customer.wait_for(&paid, "paid").await;
    let canceled = customer.order(&tea, 1).await;
    customer.wait_for(&canceled, "canceled").await;
    let draft = customer.draft(&tea, 1).await;
    for (status, expected) in [
        ("paid", vec![paid]),
        ("canceled", vec![canceled]),
        ("draft", vec![draft]),
        ("pending", vec![]),
        ("completed", vec![]),
    ] {
        let found = customer
            .get(&format!("/orders?status={status}"))
            .await
            .expect(200)
            .data();
        assert_eq!(ids(&found), expected, "{status}");
    }
    let refused = customer
        .get("/orders?status=lost")
        .await
        .refused(422, "invalid-input");
    assert_eq!(refused.fields(), ["status"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_found_by_a_part_of_their_name() {
    let app = App::start().await;
    let manager = app.manager().await;
    for name in ["Green tea", "Black Tea", "Cup", "100%"] {
        manager.sell(name, 1, 1).await;
    }
    for (part, count) in [
        ("tea", 2),
        ("TEA", 2),
        ("cup", 1),
        ("%25", 1),
        ("_", 0),
        ("'", 0),
        ("", 4),
    ] {
        let found = manager
            .get(&format!("/items?q={part}"))
            .await
            .expect(200)
            .data();
        assert_eq!(found.len(), count, "{part}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_is_not_sent_again() {
    let app = App::start().await;
    let manager = app.manager().await;
    let tea = manager.sell("Tea", 100, 5).await;
    let customer = app.customer_with(PLENTY).await;
    let order = customer.draft(&tea, 1).await;
    for path in [
        "/items".to_owned(),
        format!("/items/{tea}"),
        "/orders".to_owned(),
        format!("/orders/{order}"),
        "/billing/account/my".to_owned(),
        "/users/me".to_owned(),
    ] {
        let tag = customer
            .get(&path)
            .await
            .expect(200)
            .header("etag")
            .expect("an ETag")
            .to_owned();
        let ask = async |tags: &str| {
            customer
                .send(customer.request("GET", &path).header("if-none-match", tags))
                .await
        };
        let unchanged = ask(&tag).await.expect(304);
        assert!(
            unchanged.body.is_empty() && unchanged.header("etag") == Some(&tag),
            "{unchanged}"
        );
        ask(&format!("\"other\", {tag}")).await.expect(304);
        ask(&format!("W/{tag}")).await.expect(304);
        ask("\"other\"").await.expect(200);
    }
    let path = format!("/items/{tea}");
    let tag = customer
        .get(&path)
        .await
        .header("etag")
        .expect("an ETag")
        .to_owned();
    manager
        .patch(&path, &json!({"price": 101}))
        .await
        .expect(200);
    let asked = customer.request("GET", &path).header("if-none-match", &tag);
    assert_eq!(customer.send(asked).await.expect(200).json()["price"], 101);
    app.finish().await;
}
