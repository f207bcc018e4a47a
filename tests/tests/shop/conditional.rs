//! `If-Match`: nobody can change a thing that has changed since they read it. HEAD gives the same
//! tags as GET.

use crate::harness::actor::{PLENTY, id_of};
use crate::harness::{Actor, Answer, App};
use futures::future::join_all;
use serde_json::{Value, json};

/// A change of something that can be read.
struct Change<'a> {
    by: &'a Actor,
    read: String,
    method: &'static str,
    path: String,
    body: Value,
}

impl Change<'_> {
    async fn tag(&self) -> String {
        let answer = self.by.get(&self.read).await.expect(200);
        answer.header("etag").expect("an ETag").to_owned()
    }

    async fn send(&self, field: &str, value: &str) -> Answer {
        let request = self.by.request(self.method, &self.path);
        let request = match &self.body {
            Value::Null => request,
            body => request.json(body),
        };
        self.by.send(request.header(field, value)).await
    }
}

/// One of each: to be made in this order.
fn changes<'a>(
    (admin, customer, other): (&'a Actor, &'a Actor, &'a Actor),
    item: &str,
    draft: &str,
) -> Vec<Change<'a>> {
    let change = |by: &'a Actor, read: &str, method, path: &str, body| Change {
        by,
        read: read.to_owned(),
        method,
        path: path.to_owned(),
        body,
    };
    let item = format!("/items/{item}");
    let adjustments = format!("{item}/adjustments");
    let order = format!("/orders/{draft}");
    let execute = format!("{order}/execute");
    let wallet = "/billing/account";
    let me = "/users/me";
    let by_id = format!("/users/{}", customer.id);
    let profile = format!("/profiles/{}", customer.id);
    let account = format!("/auth/users/{}", other.id);
    let role = format!("{account}/role");
    let (disable, enable) = (format!("{account}/disable"), format!("{account}/enable"));
    let gone = format!("/users/{}", other.id);
    vec![
        change(admin, &item, "PATCH", &item, json!({"price": 101})),
        change(
            admin,
            &item,
            "POST",
            &adjustments,
            json!({"delta": 1, "reason": "more"}),
        ),
        change(
            customer,
            &order,
            "PATCH",
            &order,
            json!({"address": "1 Tea Lane"}),
        ),
        change(
            customer,
            &order,
            "POST",
            &execute,
            json!({"action": "cancel"}),
        ),
        change(
            customer,
            wallet,
            "POST",
            "/billing/account/deposit",
            json!({"amount": 7}),
        ),
        change(
            customer,
            wallet,
            "POST",
            "/billing/account/withdraw",
            json!({"amount": 7}),
        ),
        change(customer, wallet, "POST", wallet, Value::Null),
        change(customer, me, "PATCH", me, json!({"language": "en"})),
        change(customer, &by_id, "PATCH", &by_id, json!({"language": "de"})),
        change(customer, &by_id, "PUT", &by_id, json!({"language": "fr"})),
        change(admin, &by_id, "PATCH", &by_id, json!({"language": "it"})),
        change(
            customer,
            &profile,
            "PATCH",
            &profile,
            json!({"language": "es"}),
        ),
        change(
            customer,
            &profile,
            "POST",
            "/profiles",
            json!({"language": "pt"}),
        ),
        change(admin, &account, "PUT", &role, json!({"role": "manager"})),
        change(admin, &account, "POST", &disable, Value::Null),
        change(admin, &account, "POST", &enable, Value::Null),
        change(admin, &gone, "DELETE", &gone, Value::Null),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_changes_is_changed_under_its_own_tag_only() {
    let app = App::start().await;
    let admin = app.admin().await;
    let customer = app.customer_with(PLENTY).await;
    let other = app.customer().await;
    let item = admin.sell("Tea", 100, 50).await;
    let draft = customer.draft(&item, 1).await;
    for change in changes((&admin, &customer, &other), &item, &draft) {
        app.quiet().await;
        let tag = change.tag().await;
        let bare = tag.trim_matches('"').to_owned();
        for stale in [
            "\"stale\"".to_owned(),
            "\"stale\", \"0\"".to_owned(),
            format!("W/{tag}"),
            bare.clone(),
            format!("\"x,{bare}\""),
            String::new(),
        ] {
            let refused = change.send("if-match", &stale).await;
            refused.refused(412, "precondition-failed");
        }
        for known in ["*", &tag, &format!("W/{tag}")] {
            let refused = change.send("if-none-match", known).await;
            refused.refused(412, "precondition-failed");
        }
        assert_eq!(change.tag().await, tag, "{} changed", change.path);
        let listed = format!("\"other\", {tag}");
        let made = change.send("if-match", &listed).await;
        assert!((200..300).contains(&made.status), "{made}");
        if change.method == "DELETE" {
            change.by.get(&change.read).await.expect(404);
            change.send("if-match", &tag).await.expect(404);
            continue;
        }
        // The answer to the change shows the new state, with its tag.
        let now = change.by.get(&change.read).await.expect(200);
        assert_eq!(made.json(), now.json(), "{made}");
        assert_eq!(made.header("etag"), now.header("etag"), "{made}");
        let any = change.send("if-match", "*").await;
        assert!(any.status < 300 || any.status == 409, "{any}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_found_whatever_is_known_of_it() {
    let app = App::start().await;
    let admin = app.admin().await;
    let none = "00000000-0000-7000-8000-000000000000";
    for (method, path, body) in [
        ("PATCH", format!("/items/{none}"), json!({"price": 1})),
        ("PATCH", format!("/orders/{none}"), json!({"address": "x"})),
        (
            "POST",
            format!("/orders/{none}/execute"),
            json!({"action": "cancel"}),
        ),
        ("PATCH", format!("/users/{none}"), json!({"language": "en"})),
        (
            "PUT",
            format!("/auth/users/{none}/role"),
            json!({"role": "admin"}),
        ),
    ] {
        for tag in ["\"x\"", "*"] {
            let request = admin.request(method, &path).header("if-match", tag);
            admin.send(request.json(&body)).await.expect(404);
        }
    }
    // Nor does anybody learn of things that are not theirs.
    let item = admin.sell("Tea", 1, 1).await;
    let draft = app.customer().await.draft(&item, 1).await;
    let stranger = app.customer().await;
    let path = format!("/orders/{draft}");
    let request = stranger.request("PATCH", &path).header("if-match", "\"x\"");
    stranger.send(request.json(&json!({}))).await.expect(404);
    app.finish().await;
}

/// Sends changes at once, all with the current tag; exactly one may be made.
async fn race(actor: &Actor, read: &str, method: &str, path: &str, bodies: &[Value]) {
    let tag = actor.get(read).await.expect(200);
    let tag = tag.header("etag").expect("an ETag");
    let sent = bodies.iter().map(|body| {
        let request = actor.request(method, path).header("if-match", tag);
        actor.send(request.json(body))
    });
    let answers = join_all(sent).await;
    let made = answers.iter().filter(|answer| answer.status == 200);
    assert_eq!(made.count(), 1, "{path}: {answers:?}");
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        answer.refused(412, "precondition-failed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_changes_at_once_under_one_tag_exactly_one_is_made() {
    let app = App::start().await;
    let admin = app.admin().await;
    let customer = app.customer_with(PLENTY).await;
    let item = admin.sell("Tea", 100, 50).await;
    let draft = customer.draft(&item, 1).await;
    app.quiet().await;
    let path = format!("/items/{item}");
    let prices: Vec<Value> = (0..8).map(|n| json!({"price": 200 + n})).collect();
    race(&admin, &path, "PATCH", &path, &prices).await;
    let adjustments = format!("{path}/adjustments");
    let more: Vec<Value> = (0..8)
        .map(|_| json!({"delta": 1, "reason": "more"}))
        .collect();
    race(&admin, &path, "POST", &adjustments, &more).await;
    assert_eq!(admin.item(&item).await["available"], 51);
    let path = format!("/orders/{draft}");
    let lanes: Vec<Value> = (0..8)
        .map(|n| json!({"address": format!("{n} Tea Lane")}))
        .collect();
    race(&customer, &path, "PATCH", &path, &lanes).await;
    let phones: Vec<Value> = (0..8)
        .map(|n| json!({"phone": format!("12345{n}")}))
        .collect();
    race(&customer, "/users/me", "PATCH", "/users/me", &phones).await;
    let amounts: Vec<Value> = (0..8).map(|n| json!({"amount": 1 + n})).collect();
    let wallet = "/billing/account";
    race(
        &customer,
        wallet,
        "POST",
        "/billing/account/withdraw",
        &amounts,
    )
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_answer_is_given_again_although_the_tag_is_old() {
    let app = App::start().await;
    let customer = app.customer().await;
    let tag = customer.get("/billing/account").await.expect(200);
    let tag = tag.header("etag").expect("an ETag").to_owned();
    let deposit = async || {
        let request = customer.request("POST", "/billing/account/deposit");
        let request = request
            .header("idempotency-key", "one")
            .header("if-match", &tag);
        customer
            .send(request.json(&json!({"amount": 5})))
            .await
            .expect(200)
    };
    assert!(deposit().await.header("etag").is_some());
    // It shows the state at that time.
    assert_eq!(deposit().await.header("etag"), None);
    assert_eq!(customer.balance().await, 5);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_can_be_changed_without_reading_it_first() {
    let app = App::start().await;
    let admin = app.admin().await;
    let made = admin
        .post("/items", &json!({"name": "Cup", "price": 5}))
        .await
        .expect(201);
    let path = format!("/items/{}", id_of(&made));
    let tag = made.header("etag").expect("an ETag").to_owned();
    let change = admin.request("PATCH", &path).header("if-match", &tag);
    let changed = admin
        .send(change.json(&json!({"price": 6})))
        .await
        .expect(200);
    assert_ne!(changed.header("etag"), Some(tag.as_str()), "{changed}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn head_has_the_tags_of_get() {
    let app = App::start().await;
    let admin = app.admin().await;
    let item = admin.sell("Tea", 100, 5).await;
    for path in [
        "/items".to_owned(),
        format!("/items/{item}"),
        "/users/me".to_owned(),
    ] {
        let read = admin.get(&path).await.expect(200);
        let tag = read.header("etag").expect("an ETag").to_owned();
        let ask = async |field: &str, tag: &str| {
            let request = admin.request("HEAD", &path).header(field, tag);
            admin.send_unchecked(request).await
        };
        let head = ask("accept", "*/*").await.expect(200);
        for name in ["etag", "cache-control", "content-type"] {
            assert_eq!(head.header(name), read.header(name), "{name}: {head}");
        }
        assert_eq!(head.body, "");
        let unchanged = ask("if-none-match", &tag).await.expect(304);
        assert_eq!(unchanged.header("etag"), Some(tag.as_str()), "{unchanged}");
        ask("if-none-match", "\"other\"").await.expect(200);
        ask("if-match", &tag).await.expect(200);
        ask("if-match", "\"other\"").await.expect(412);
        let read = admin.request("GET", &path).header("if-match", "\"other\"");
        admin.send(read).await.refused(412, "precondition-failed");
    }
    app.finish().await;
}
