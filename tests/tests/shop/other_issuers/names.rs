//! The names in another issuer's token say nothing about who the caller is in this shop. Every
//! answer with a name shows the account's own name, or none.

use super::{bearer, person, start};
use crate::harness::issuer::Issuer;
use crate::harness::{Actor, Answer, App, eventually};
use serde_json::{Value, json};

/// A customer with an account of the shop, with an email and a username.
async fn zoe(app: &App) -> Actor {
    let mut zoe = app.anonymous();
    let body = json!({"email": "zoe@example.com", "username": "zoe", "password": "correct horse"});
    zoe.take_tokens(&zoe.post("/auth/register", &body).await.expect(201));
    zoe
}

fn names(answer: &Answer) -> (&str, &str) {
    let field = |name| answer.header(name).expect("the field is in every 200");
    (field("x-user-email"), field("x-user-name"))
}

/// Waits until auth has made the account.
async fn made(app: &App, id: &str) {
    let sql = format!("SELECT count(*) FROM auth.accounts WHERE id = '{id}'");
    eventually("the account", async || {
        (app.books().number(&sql) == 1).then_some(())
    })
    .await;
}

async fn who(actor: &Actor) -> String {
    let answer = actor.get("/auth/check").await.expect(200);
    answer.header("x-user-id").expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_passes_under_the_name_of_somebody_here() {
    let issuer = Issuer::start().await;
    let app = start(&issuer).await;
    let zoe = zoe(&app).await;
    let claims = [
        json!({"preferred_username": "zoe", "email": "zoe@example.com"}),
        json!({"preferred_username": "ZOE", "email": "Zoe@Example.com"}),
        json!({"preferred_username": "zoe@example.com", "email": null}),
        json!({"preferred_username": null, "email": "boss@example.com", "email_verified": false}),
    ];
    for (number, claims) in claims.into_iter().enumerate() {
        issuer.set().person = merged(person(&format!("thief-{number}"), "x@example.com"), &claims);
        let thief = bearer(&app, issuer.access_token(json!({})));
        let id = who(&thief).await;
        assert_ne!(id, zoe.id);
        let seen = async |what: &str| {
            let answer = thief.get("/auth/check/orders").await.expect(200);
            assert_eq!(names(&answer), ("", ""), "{what}, {claims}");
            let profile = thief.get("/users/me").await.expect(200).json();
            let said = profile.to_string().to_lowercase();
            assert!(
                !said.contains("zoe") && !said.contains("boss"),
                "{what}, {profile}"
            );
        };
        seen("while the account is but a note").await;
        made(&app, &id).await;
        seen("with an account").await;
    }
    let answer = zoe.get("/auth/check").await.expect(200);
    assert_eq!(names(&answer), ("zoe@example.com", "zoe"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_passes_under_its_own_names() {
    let issuer = Issuer::start().await;
    let app = start(&issuer).await;
    let ann = bearer(&app, issuer.access_token(json!({})));
    let id = who(&ann).await;
    made(&app, &id).await;
    let answer = ann.get("/auth/check").await.expect(200);
    assert_eq!(names(&answer), ("ann@example.com", "ann"));
    // The issuer changes her names. Her account keeps its own.
    issuer.set().person = person("u-1", "other@example.com");
    let again = bearer(
        &app,
        issuer.access_token(json!({"preferred_username": "zoe"})),
    );
    let answer = again.get("/auth/check").await.expect(200);
    assert_eq!(names(&answer), ("ann@example.com", "ann"));
    assert_eq!(who(&again).await, id);
    app.finish().await;
}

fn merged(mut one: Value, other: &Value) -> Value {
    for (name, value) in other.as_object().expect("members") {
        one[name] = value.clone();
    }
    one
}
