//! What a client must not send: refused with the field at fault, never a 5xx, and nothing changed.

use crate::harness::actor::PLENTY;
use crate::harness::{Actor, Answer, App};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Bytes that a body may have.
const MAX_BODY: usize = 64 * 1024;

/// A shop with one of everything, whose books are compared before and after.
struct Shop {
    app: App,
    admin: Actor,
    customer: Actor,
    item: String,
    draft: String,
}

impl Shop {
    async fn open() -> Shop {
        let app = App::start().await;
        let admin = app.admin().await;
        let customer = app.customer_with(PLENTY).await;
        let item = admin.sell("Tea", 100, 50).await;
        let draft = customer.draft(&item, 1).await;
        app.quiet().await;
        Shop {
            app,
            admin,
            customer,
            item,
            draft,
        }
    }

    /// Runs `attempts`, all of which must be refused, and sees that nothing came of them.
    async fn unchanged(self, attempts: impl AsyncFnOnce(&Shop)) {
        let before = self.app.books().counts();
        attempts(&self).await;
        self.app.quiet().await;
        assert_eq!(self.app.books().counts(), before);
        assert_eq!(self.customer.balance().await, PLENTY);
        assert_eq!(self.customer.item(&self.item).await["available"], 50);
        self.app.finish().await;
    }

    /// Everything that takes a body.
    fn doors(&self) -> Vec<(&Actor, &'static str, String)> {
        let (admin, customer) = (&self.admin, &self.customer);
        vec![
            (customer, "POST", "/auth/register".to_owned()),
            (customer, "POST", "/auth/login".to_owned()),
            (customer, "POST", "/auth/refresh".to_owned()),
            (customer, "POST", "/auth/password".to_owned()),
            (customer, "POST", "/auth/password/forgot".to_owned()),
            (customer, "POST", "/auth/password/reset".to_owned()),
            (admin, "PUT", format!("/auth/users/{}/role", customer.id)),
            (customer, "PATCH", "/users/me".to_owned()),
            (customer, "PUT", format!("/users/{}", customer.id)),
            (admin, "POST", "/items".to_owned()),
            (admin, "PATCH", format!("/items/{}", self.item)),
            (admin, "POST", format!("/items/{}/adjustments", self.item)),
            (customer, "POST", "/billing/account/deposit".to_owned()),
            (customer, "POST", "/billing/account/withdraw".to_owned()),
            (customer, "POST", "/orders".to_owned()),
            (customer, "PATCH", format!("/orders/{}", self.draft)),
            (customer, "POST", format!("/orders/{}/execute", self.draft)),
        ]
    }
}

async fn raw(actor: &Actor, method: &str, path: &str, body: impl Into<Vec<u8>>) -> Answer {
    let request = actor
        .request(method, path)
        .header("content-type", "application/json");
    actor.send(request.body(body.into())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_json_is_refused_at_every_door() {
    let shop = Shop::open().await;
    shop.unchanged(async |shop| {
        for (actor, method, path) in shop.doors() {
            for body in [
                "",
                "{",
                "nonsense",
                "{\"a",
                "{'a':1}",
                "{,}",
                "\u{feff}{}",
                "\0",
            ] {
                // A refresh may come without any body.
                if !(body.is_empty() && path.ends_with("/refresh")) {
                    raw(actor, method, &path, body)
                        .await
                        .refused(400, "malformed-json");
                }
            }
            raw(actor, method, &path, b"{\"\xff\":1}")
                .await
                .refused(400, "malformed-json");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_is_no_object_and_fields_that_are_none_are_named_at_every_door() {
    let shop = Shop::open().await;
    shop.unchanged(async |shop| {
        for (actor, method, path) in shop.doors() {
            for body in ["[]", "7", "null", "\"x\"", "[1,2]", "[[]]"] {
                let refused = raw(actor, method, &path, body)
                    .await
                    .refused(422, "invalid-input");
                assert_eq!(refused.fields(), ["body"], "{path} {body}");
            }
            let unknown = raw(actor, method, &path, r#"{"surprise":1}"#).await;
            assert_eq!(
                unknown.refused(422, "invalid-input").fields(),
                ["surprise"],
                "{path}"
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_another_type_or_past_the_limit_is_refused_at_every_door() {
    let shop = Shop::open().await;
    shop.unchanged(async |shop| {
        let large = format!("{{{}}}", " ".repeat(MAX_BODY));
        for (actor, method, path) in shop.doors() {
            for media in [
                "text/plain",
                "application/x-www-form-urlencoded",
                "multipart/form-data",
                "json",
            ] {
                let request = actor.request(method, &path).header("content-type", media);
                actor
                    .send(request.body("{}"))
                    .await
                    .refused(415, "unsupported-media-type");
            }
            raw(actor, method, &path, large.clone())
                .await
                .refused(413, "body-too-large");
        }
        for (actor, method, path) in shop.doors() {
            // Where a body may be left out, one without a type is taken for none.
            if !path.ends_with("/refresh") {
                let untyped = actor.send(actor.request(method, &path).body("{}")).await;
                untyped.refused(415, "unsupported-media-type");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_holds_for_a_body_that_does_not_announce_its_length() {
    let shop = Shop::open().await;
    shop.unchanged(async |shop| {
        let url = shop.app.address().url();
        let host = url.strip_prefix("http://").expect("http").to_owned();
        let token = shop.customer.token.clone().expect("a token");
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(&host).expect("connected");
            let chunk = format!("{:x}\r\n{}\r\n", 16 * 1024, " ".repeat(16 * 1024));
            let head = format!(
                "POST /api/v1/orders HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
                 content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
            );
            let sent = format!("{head}{}0\r\n\r\n", chunk.repeat(5));
            // The server may close before it has read all of it.
            let _ = stream.write_all(sent.as_bytes());
            let mut answer = vec![0; 4096];
            let read = stream.read(&mut answer).expect("an answer");
            String::from_utf8_lossy(&answer[..read]).into_owned()
        });
        let answer = answer.await.expect("no panic");
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_just_within_the_limit_is_taken() {
    let shop = Shop::open().await;
    let deposit = r#"{"amount":1}"#;
    let padded = format!("{deposit}{}", " ".repeat(MAX_BODY - deposit.len()));
    raw(&shop.customer, "POST", "/billing/account/deposit", padded)
        .await
        .expect(200);
    let media = "application/json; charset=utf-8";
    let request = shop
        .customer
        .request("POST", "/billing/account/deposit")
        .header("content-type", media);
    shop.customer.send(request.body(deposit)).await.expect(200);
    assert_eq!(shop.customer.balance().await, PLENTY + 2);
    shop.app.finish().await;
}

/// Sends each body and expects 422 with the field beside it.
async fn names_the_field(actor: &Actor, method: &str, path: &str, cases: &[(String, &str)]) {
    for (body, field) in cases {
        let shown: String = body.chars().take(200).collect();
        let answer = raw(actor, method, path, body.as_str()).await;
        assert_eq!(answer.status, 422, "{shown}: {answer}");
        assert_eq!(answer.fields(), [*field], "{shown}: {answer}");
        answer.refused(422, "invalid-input");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_cannot_be_are_refused() {
    let shop = Shop::open().await;
    shop.unchanged(async |shop| {
        let item = &shop.item;
        let line = |quantity: &str| {
            format!(r#"{{"lines":[{{"item_id":"{item}","quantity":{quantity}}}]}}"#)
        };
        let with = |name: &str, value: Value| {
            let mut order = json!({"lines": [{"item_id": item, "quantity": 1}]});
            order[name] = value;
            order.to_string()
        };
        let unknown = "00000000-0000-7000-8000-000000000000";
        let many: Vec<Value> = (0..101)
            .map(|n| json!({"item_id": format!("00000000-0000-7000-8000-{n:012}"), "quantity": 1}))
            .collect();
        let twice = json!([{"item_id": item, "quantity": 1}, {"item_id": item.to_uppercase(), "quantity": 1}]);
        let second = json!([{"item_id": item, "quantity": 1}, {"item_id": unknown, "quantity": 1}]);
        let quantity = "lines[0].quantity";
        let cases = [
            (line("0"), quantity),
            (line("-1"), quantity),
            (line("10001"), quantity),
            (line("1.5"), quantity),
            (line("1e400"), quantity),
            (line("\"2\""), quantity),
            (line("null"), quantity),
            (line("true"), quantity),
            (line("99999999999999999999"), quantity),
            (line("[1]"), quantity),
            (json!({"lines": [{"item_id": item}]}).to_string(), quantity),
            (json!({"lines": [{"quantity": 1}]}).to_string(), "lines[0].item_id"),
            (json!({"lines": [{"item_id": unknown, "quantity": 1}]}).to_string(), "lines[0].item_id"),
            (json!({"lines": [{"item_id": "tea", "quantity": 1}]}).to_string(), "lines[0].item_id"),
            (json!({"lines": [{"item_id": 7, "quantity": 1}]}).to_string(), "lines[0].item_id"),
            (json!({"lines": second}).to_string(), "lines[1].item_id"),
            (json!({"lines": twice}).to_string(), "lines[1].item_id"),
            (json!({"lines": [{"item_id": item, "quantity": 1, "price": 1}]}).to_string(), "lines[0].price"),
            (json!({"lines": [{"item_id": item, "quantity": 1, "unit_price": 1}]}).to_string(), "lines[0].unit_price"),
            (json!({"lines": [7]}).to_string(), "lines[0]"),
            (json!({"lines": []}).to_string(), "lines"),
            (json!({"lines": many}).to_string(), "lines"),
            (json!({"lines": null}).to_string(), "lines"),
            (json!({"lines": "tea"}).to_string(), "lines"),
            (json!({"lines": {"item_id": item, "quantity": 1}}).to_string(), "lines"),
            ("{}".to_owned(), "lines"),
            (with("total", json!(1)), "total"),
            (with("status", json!("paid")), "status"),
            (with("user_id", json!(shop.admin.id)), "user_id"),
            (with("draft", json!("yes")), "draft"),
            (with("address", json!(7)), "address"),
            (with("address", json!("x".repeat(501))), "address"),
        ];
        names_the_field(&shop.customer, "POST", "/orders", &cases).await;
        let changes: Vec<(String, &str)> = cases
            .into_iter()
            // All a change needs not name, and what only a new order can be.
            .filter(|(body, field)| body != "{}" && !body.contains("null}") && *field != "draft")
            .collect();
        names_the_field(&shop.customer, "PATCH", &format!("/orders/{}", shop.draft), &changes).await;
        let actions = [
            ("{}".to_owned(), "action"),
            (r#"{"action":"fly"}"#.to_owned(), "action"),
            (r#"{"action":7}"#.to_owned(), "action"),
            (r#"{"action":null}"#.to_owned(), "action"),
        ];
        let execute = format!("/orders/{}/execute", shop.draft);
        names_the_field(&shop.customer, "POST", &execute, &actions).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_that_cannot_be_are_refused() {
    let shop = Shop::open().await;
    shop.unchanged(async |shop| {
        let amount = |amount: &str| (format!(r#"{{"amount":{amount}}}"#), "amount");
        let cases = [
            amount("0"),
            amount("-1"),
            amount("1.5"),
            amount("1000000000000000000"),
            amount("1000000001"),
            amount("99999999999999999999"),
            amount("1e400"),
            amount("\"7\""),
            amount("null"),
            amount("{}"),
            // Deeper than any parser should follow.
            amount(&"[".repeat(20_000)),
            ("{}".to_owned(), "amount"),
            (r#"{"amount":1,"amount":2}"#.to_owned(), "amount"),
            (r#"{"amount":1,"currency":"USD"}"#.to_owned(), "currency"),
            (r#"{"amount":1,"currency":"eur"}"#.to_owned(), "currency"),
            (r#"{"amount":1,"currency":7}"#.to_owned(), "currency"),
            (r#"{"amount":1,"user_id":"x"}"#.to_owned(), "user_id"),
            (r#"{"amount":1,"balance":9}"#.to_owned(), "balance"),
        ];
        for path in ["/billing/account/deposit", "/billing/account/withdraw"] {
            names_the_field(&shop.customer, "POST", path, &cases).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_cannot_be_are_refused() {
    let shop = Shop::open().await;
    shop.unchanged(async |shop| {
        let item = |name: &str, value: Value| {
            let mut item = json!({"name": "Cup", "price": 100});
            item[name] = value;
            item.to_string()
        };
        let price = |price: &str| (format!(r#"{{"name":"Cup","price":{price}}}"#), "price");
        let both = [
            (item("name", json!("")), "name"),
            (item("name", json!("   ")), "name"),
            (item("name", json!("x".repeat(201))), "name"),
            (item("name", json!(7)), "name"),
            (item("description", json!("x".repeat(4_001))), "description"),
            (item("currency", json!("USD")), "currency"),
            (item("id", json!("x")), "id"),
            (item("on_hand", json!(5)), "on_hand"),
            (item("sold", json!(5)), "sold"),
            price("-1"),
            price("1.5"),
            price("\"2\""),
            price("1000000000000000000"),
            price("1e400"),
        ];
        names_the_field(&shop.admin, "POST", "/items", &both).await;
        let path = format!("/items/{}", shop.item);
        names_the_field(&shop.admin, "PATCH", &path, &both).await;
        let new = [
            (r#"{"price":1}"#.to_owned(), "name"),
            (r#"{"name":"Cup"}"#.to_owned(), "price"),
            (item("quantity", json!(-1)), "quantity"),
            (item("quantity", json!(1.5)), "quantity"),
            (item("quantity", json!(i64::MAX)), "quantity"),
        ];
        names_the_field(&shop.admin, "POST", "/items", &new).await;
        let adjustments = [
            (r#"{"delta":0,"reason":"x"}"#.to_owned(), "delta"),
            (r#"{"delta":-51,"reason":"x"}"#.to_owned(), "delta"),
            (r#"{"delta":1.5,"reason":"x"}"#.to_owned(), "delta"),
            (
                r#"{"delta":9223372036854775807,"reason":"x"}"#.to_owned(),
                "delta",
            ),
            (
                r#"{"delta":-9223372036854775808,"reason":"x"}"#.to_owned(),
                "delta",
            ),
            (r#"{"reason":"x"}"#.to_owned(), "delta"),
            (r#"{"delta":1}"#.to_owned(), "reason"),
            (r#"{"delta":1,"reason":" "}"#.to_owned(), "reason"),
            (r#"{"delta":1,"reason":7}"#.to_owned(), "reason"),
        ];
        names_the_field(
            &shop.admin,
            "POST",
            &format!("{path}/adjustments"),
            &adjustments,
        )
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_cannot_be_are_refused() {
    let shop = Shop::open().await;
    shop.unchanged(async |shop| {
        let account = |name: &str, value: Value| {
            let mut account = json!({"email": "new@example.com", "password": "correct horse"});
            account[name] = value;
            (account.to_string(), name.to_owned())
        };
        let cases = [
            account("email", json!("")),
            account("email", json!("nobody")),
            account("email", json!("a@b@example.com")),
            account("email", json!(format!("{}@example.com", "x".repeat(300)))),
            account("email", json!(7)),
            account("email", json!(null)),
            account("password", json!("short")),
            account("password", json!("x".repeat(129))),
            account("password", json!(12_345_678)),
            account("password", json!("password1")),
            account("password", json!("PASSWORD1")),
            account("username", json!("a")),
            account("username", json!("ann@example.com")),
            account("first_name", json!("")),
            account("last_name", json!("x".repeat(101))),
            account("phone", json!("\n")),
            account("role", json!("admin")),
            account("id", json!("x")),
        ];
        for (body, field) in &cases {
            for path in ["/auth/register", "/register", "/users/register"] {
                let case = [(body.clone(), field.as_str())];
                names_the_field(&shop.app.anonymous(), "POST", path, &case).await;
            }
        }
        // All faults at once.
        let bad = json!({"email": "x", "password": "x", "username": "x"});
        let refused = shop.app.anonymous().post("/auth/register", &bad).await;
        assert_eq!(
            refused.refused(422, "invalid-input").fields(),
            ["email", "password", "username"]
        );
        let logins = [
            (r#"{"login":"x"}"#.to_owned(), "password"),
            (r#"{"password":"x"}"#.to_owned(), "login"),
            (r#"{"login":7,"password":"x"}"#.to_owned(), "login"),
        ];
        names_the_field(&shop.app.anonymous(), "POST", "/auth/login", &logins).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_cannot_be_are_refused() {
    let shop = Shop::open().await;
    shop.unchanged(async |shop| {
        for path in [
            "/items",
            "/orders",
            "/billing/transactions",
            "/notifications",
        ] {
            for query in [
                "limit=0",
                "limit=201",
                "limit=-1",
                "limit=x",
                "limit=1.5",
                "limit=99999999999999999999",
            ] {
                shop.customer
                    .get(&format!("{path}?{query}"))
                    .await
                    .refused(422, "invalid-input");
            }
            // A cursor is what the last page gave.
            for cursor in ["'", "x%00y", "%27%20OR%201=1--"] {
                shop.customer
                    .get(&format!("{path}?cursor={cursor}"))
                    .await
                    .refused(422, "invalid-input");
            }
        }
        for path in [
            "/items",
            "/orders",
            "/billing/transactions",
            "/notifications",
        ] {
            shop.customer
                .get(&format!("{path}?surprise=1"))
                .await
                .refused(422, "invalid-input");
        }
    })
    .await;
}
