//! All kinds of callers of a shop, each with an address of their own.

use crate::harness::{Actor, App, logs, workspace};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use jwt_simple::prelude::{Claims, Duration, HeaderOptions, RS256KeyPair, RSAKeyPairLike};
use serde_json::{Value, json};

/// Kinds of callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person {
    Anonymous,
    /// With something that is not a token.
    Garbage,
    /// With a token like the shop's, but signed with another key.
    Forged,
    /// With a token that was good until a minute ago.
    Expired,
    /// With the token of a session that was ended.
    LoggedOut,
    /// With the token of an account that was disabled.
    Disabled,
    /// With the token of an account that was deleted.
    Deleted,
    /// Without the shared secret, which they guess.
    Impostor,
    /// With the shared secret.
    Machine,
    /// The customer whose things are asked for.
    Owner,
    /// Another customer.
    Other,
    Manager,
    Admin,
}

impl Person {
    pub const ALL: [Person; 13] = [
        Person::Anonymous,
        Person::Garbage,
        Person::Forged,
        Person::Expired,
        Person::LoggedOut,
        Person::Disabled,
        Person::Deleted,
        Person::Impostor,
        Person::Machine,
        Person::Owner,
        Person::Other,
        Person::Manager,
        Person::Admin,
    ];

    pub fn is_logged_in(self) -> bool {
        use Person::{Admin, Manager, Other, Owner};
        matches!(self, Owner | Other | Manager | Admin)
    }

    /// Whether their token is not, or no longer, valid.
    pub fn shows_bad_token(self) -> bool {
        use Person::{Anonymous, Impostor, Machine};
        !self.is_logged_in() && !matches!(self, Anonymous | Impostor | Machine)
    }

    /// The role of this kind of caller.
    fn role(self) -> &'static str {
        match self {
            Person::Manager => "manager",
            Person::Admin => "admin",
            _ => "customer",
        }
    }
}

/// One of each kind, in the order of [`Person::ALL`].
pub struct People {
    all: Vec<Actor>,
    /// The first administrator, who makes all others.
    boss: Actor,
}

impl People {
    /// Makes them all. The shop must trust the proxy that reports their addresses.
    pub async fn gather(app: &App) -> People {
        let boss = app.admin().await;
        let mut people = People { all: vec![], boss };
        for (number, person) in Person::ALL.into_iter().enumerate() {
            let actor = people.make(app, person).await;
            people.all.push(actor.from(&format!("198.51.100.{number}")));
        }
        people
    }

    pub fn get(&self, person: Person) -> &Actor {
        let index = Person::ALL.iter().position(|other| *other == person);
        &self.all[index.expect("a person")]
    }

    pub fn get_mut(&mut self, person: Person) -> &mut Actor {
        let index = Person::ALL.iter().position(|other| *other == person);
        &mut self.all[index.expect("a person")]
    }

    /// A new account of the same kind, logged in.
    pub async fn stand_in(&self, app: &App, person: Person) -> Actor {
        let mut actor = app.customer().await;
        if person.role() != "customer" {
            let path = format!("/auth/users/{}/role", actor.id);
            let role = json!({"role": person.role()});
            self.boss.put(&path, &role).await.expect(200);
            actor.log_in_again().await;
        }
        actor
    }

    async fn make(&self, app: &App, person: Person) -> Actor {
        let mut actor = match person {
            Person::Anonymous | Person::Impostor | Person::Machine | Person::Garbage => {
                app.anonymous()
            }
            _ => self.stand_in(app, person).await,
        };
        match person {
            Person::Garbage => actor.token = Some("garbage".to_owned()),
            Person::Forged => {
                let stranger = RS256KeyPair::generate(2048).expect("a key pair");
                actor.token = Some(signed_anew(&actor, &stranger, json!({})));
            }
            Person::Expired => {
                let shop = workspace::keys().variables()[0].1.to_owned();
                let shop = RS256KeyPair::from_pem(&shop).expect("a key");
                let past = json!({"exp": now() - 120, "iat": now() - 1000, "jti": "expired"});
                actor.token = Some(signed_anew(&actor, &shop, past));
            }
            Person::LoggedOut => {
                use_everywhere(&actor).await;
                let logout = actor.request("POST", "/auth/logout");
                actor.send(logout).await.expect(204);
            }
            Person::Disabled => {
                use_everywhere(&actor).await;
                let path = format!("/auth/users/{}/disable", actor.id);
                let disable = self.boss.request("POST", &path);
                self.boss.send(disable).await.expect(200);
            }
            Person::Deleted => {
                use_everywhere(&actor).await;
                actor.delete("/users/me").await.expect(204);
            }
            _ => {}
        }
        actor
    }
}

/// So that every service knows the token while it is valid.
async fn use_everywhere(actor: &Actor) {
    for path in ["/users/me", "/orders", "/billing/account", "/notifications"] {
        actor.get(path).await.expect(200);
    }
    actor.get("/auth/check").await.expect(200);
}

/// The token of an actor with other members in place of its own, signed with this key under the
/// `kid` of the shop's key.
fn signed_anew(actor: &Actor, key: &RS256KeyPair, members: Value) -> String {
    let token = actor.token.as_deref().expect("a token");
    let part = |index: usize| -> Value {
        let part = token.split('.').nth(index).expect("a part");
        serde_json::from_slice(&BASE64.decode(part).expect("base64url")).expect("JSON")
    };
    let (head, mut claims) = (part(0), part(1));
    for (name, value) in members.as_object().expect("members") {
        claims[name] = value.clone();
    }
    let key = key
        .clone()
        .with_key_id(head["kid"].as_str().expect("a key id"));
    let options = HeaderOptions {
        content_type: None,
        signature_type: Some("at+jwt".to_owned()),
    };
    // The library's own claims would come beside those given: empty ones are left out.
    let mut empty = Claims::with_custom_claims(claims, Duration::from_secs(0));
    (empty.issued_at, empty.expires_at, empty.invalid_before) = (None, None, None);
    let token = key.sign_with_options(empty, &options).expect("a token");
    logs::secret(&token);
    token
}

fn now() -> u64 {
    crate::harness::issuer::now()
}
