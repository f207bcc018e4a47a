//! The query string of a list: it accepts a cursor that the list gave and a limit within bounds,
//! and no unknown parameters.

use crate::harness::actor::PLENTY;
use crate::harness::workspace;
use crate::harness::{Actor, Answer, App};
use serde_json::json;

/// Reads a list; those below `/internal` with the shared secret.
async fn read(actor: &Actor, path: &str, query: &str) -> Answer {
    let joint = if path.contains('?') { '&' } else { '?' };
    let request = actor.request("GET", &format!("{path}{joint}{query}"));
    let request = match path.starts_with("/internal/") {
        true => request.header("x-internal-secret", workspace::keys().internal_secret()),
        false => request,
    };
    actor.send(request).await
}

/// Every list of the shop has two elements at least: then all of their paths, and who reads them.
async fn lists<'a>(
    app: &App,
    (admin, customer, nobody): (&'a Actor, &'a Actor, &'a Actor),
) -> Vec<(&'a Actor, String)> {
    let item = admin.sell("Tea", 100, 1).await;
    admin.sell("Cup", 50, 5).await;
    let adjustment = json!({"delta": 1, "reason": "more"});
    let adjustments = format!("/items/{item}/adjustments");
    admin.post(&adjustments, &adjustment).await.expect(200);
    let path = format!("/items/{item}");
    admin.patch(&path, &json!({"price": 101})).await.expect(200);
    customer.deposit(1).await;
    customer.draft(&item, 1).await;
    let order = customer.order(&item, 1).await;
    for path in ["/auth/password/forgot", "/auth/password/forgot"] {
        let forgotten = json!({"email": customer.email});
        app.anonymous().post(path, &forgotten).await.expect(202);
    }
    for id in ["half an event", "half another"] {
        let half = json!([{"id": id}]).to_string();
        app.publish("payments", half).await;
    }
    app.expect_dead_letters(2);
    app.tick("auth").await;
    app.quiet().await;
    let events = format!("/orders/{order}/events");
    let movements = format!("/items/{item}/movements");
    vec![
        (nobody, "/items".to_owned()),
        (admin, movements),
        (admin, format!("{path}/changes")),
        (customer, "/billing/transactions".to_owned()),
        (customer, "/orders".to_owned()),
        (customer, events),
        (customer, "/notifications".to_owned()),
        (admin, "/auth/users".to_owned()),
        (admin, "/auth/audit".to_owned()),
        (nobody, "/internal/notifications/mails".to_owned()),
        (nobody, "/internal/billing/dead-letters".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_cursor_that_the_list_gave_is_taken() {
    let app = App::start().await;
    let admin = app.admin().await;
    let (customer, nobody) = (app.customer_with(PLENTY).await, app.anonymous());
    for (actor, path) in lists(&app, (&admin, &customer, &nobody)).await {
        let first = read(actor, &path, "limit=1").await.expect(200);
        assert_eq!(first.data().len(), 1, "{first}");
        for empty in ["limit=1&cursor=", "cursor=&limit=1"] {
            let same = read(actor, &path, empty).await.expect(200);
            assert_eq!(same.json(), first.json(), "{path}");
        }
        let next = first.json()["next_cursor"].as_str().map(str::to_owned);
        let next = next.unwrap_or_else(|| panic!("only one element: {first}"));
        let second = format!("limit=1&cursor={next}");
        let second = read(actor, &path, &second).await.expect(200);
        assert_ne!(second.data(), first.data(), "{path}");
        let shouted = format!("limit=1&cursor={}", next.to_uppercase());
        let shouted = read(actor, &path, &shouted).await.expect(200);
        assert_eq!(shouted.json(), second.json(), "{path}");
        for bad in [
            "zzz",
            "~",
            "%27",
            "x%00y",
            "%00",
            "%ff",
            "%20",
            "-1",
            "1e3",
            "null",
            "*",
            "%27%20OR%201=1--",
            "0196f0a0",
            &next[1..],
            &format!("%20{next}"),
            &format!("{next}0"),
            &format!("%7B{next}%7D"),
        ] {
            let refused = read(actor, &path, &format!("cursor={bad}")).await;
            // A number without its first digit is still a number.
            if refused.status == 200 && next.bytes().all(|byte| byte.is_ascii_digit()) {
                assert!(
                    bad.bytes().all(|byte| byte.is_ascii_digit()),
                    "{path}: {bad}"
                );
                continue;
            }
            assert_eq!(refused.status, 422, "{path} {bad}: {refused}");
            assert_eq!(refused.fields(), ["cursor"], "{path} {bad}");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_list_does_not_know_is_refused_by_name() {
    let app = App::start().await;
    let admin = app.admin().await;
    let (customer, nobody) = (app.customer_with(PLENTY).await, app.anonymous());
    let mut lists = lists(&app, (&admin, &customer, &nobody)).await;
    lists.push((&admin, "/sagas".to_owned()));
    lists.push((&nobody, "/internal/orders/sagas".to_owned()));
    for (actor, path) in lists {
        for (query, field) in [
            ("limit=", "limit"),
            ("limit", "limit"),
            ("limit=0", "limit"),
            ("limit=-1", "limit"),
            ("limit=201", "limit"),
            ("limit=10000", "limit"),
            ("limit=10_000", "limit"),
            ("limit=1e3", "limit"),
            ("limit=1.0", "limit"),
            ("limit=0x1", "limit"),
            ("limit=%201", "limit"),
            ("limit=99999999999999999999", "limit"),
            ("limit=1&limit=2", "limit"),
            ("limit=1&limit=1", "limit"),
            ("cursor=&cursor=", "cursor"),
            ("surprise=1", "surprise"),
            ("surprise", "surprise"),
            ("Limit=1", "Limit"),
            ("offset=1", "offset"),
            ("limit[]=1", "limit[]"),
        ] {
            let refused = read(actor, &path, query).await;
            assert_eq!(refused.status, 422, "{path}?{query}: {refused}");
            assert_eq!(refused.fields(), [field], "{path}?{query}: {refused}");
        }
        read(actor, &path, "limit=200").await.expect(200);
        read(actor, &path, "&limit=1&").await.expect(200);
    }
    for (actor, query, field) in [
        (&admin, "/sagas?idle_s=-1", "idle_s"),
        (&admin, "/sagas?idle_s=99999999999999", "idle_s"),
        (&admin, "/sagas?stuck=maybe", "stuck"),
        (&admin, "/sagas?stuck=", "stuck"),
        (&admin, "/sagas?cursor=zzz", "cursor"),
        (&admin, "/auth/users?status=lost", "status"),
        (&admin, "/auth/users?role=", "role"),
        (&customer, "/notifications?unread=1", "unread"),
        (&nobody, "/items?archived=1", "archived"),
        (&nobody, "/items?q=a&q=b", "q"),
    ] {
        let refused = actor.get(query).await.refused(422, "invalid-input");
        assert_eq!(refused.fields(), [field], "{query}");
    }
    admin.get("/sagas?cursor=").await.expect(200);
    app.finish().await;
}
