//! Somebody who uses the shop: a client with a name, or without one.

use crate::harness::answer::Answer;
use crate::harness::app::Address;
use crate::harness::logs;
use crate::harness::wait::{PATIENCE, PAUSE, eventually};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Enough for most purchases here: a hundred, in cents.
pub const PLENTY: i64 = 10_000;

/// After this time a client that insists hangs up and tries again.
const A_LONG_WAIT: Duration = Duration::from_secs(10);

/// Somebody with a browser, logged in or not.
#[derive(Clone)]
pub struct Actor {
    client: Client,
    address: Address,
    /// Where a proxy says the requests come from.
    from: Option<String>,
    /// The account's id; empty for [`Actor::anonymous`].
    pub id: String,
    /// The email to log in with.
    pub email: String,
    /// The password to log in with.
    pub password: String,
    /// The access token.
    pub token: Option<String>,
    /// The refresh token.
    pub refresh_token: String,
}

impl Actor {
    /// Nobody in particular.
    pub fn anonymous(address: &Address) -> Actor {
        Actor {
            client: crate::harness::client(),
            address: address.clone(),
            from: None,
            id: String::new(),
            email: String::new(),
            password: String::new(),
            token: None,
            refresh_token: String::new(),
        }
    }

    /// A new account.
    pub async fn register(address: &Address, email: &str) -> Actor {
        let mut actor = Actor::anonymous(address);
        (actor.email, actor.password) = (email.to_owned(), format!("password of {email}"));
        logs::secret(&actor.password);
        let body = json!({"email": actor.email, "password": actor.password});
        let answer = actor.post("/auth/register", &body).await.expect(201);
        actor.take_tokens(&answer);
        actor
    }

    /// An account that is there.
    pub async fn log_in(address: &Address, email: &str, password: &str) -> Actor {
        let mut actor = Actor::anonymous(address);
        (actor.email, actor.password) = (email.to_owned(), password.to_owned());
        actor.log_in_again().await;
        actor
    }

    /// Logs in once more and uses the new tokens.
    pub async fn log_in_again(&mut self) {
        logs::secret(&self.password);
        let body = json!({"login": self.email, "password": self.password});
        let answer = self
            .clone()
            .without_token()
            .post("/auth/login", &body)
            .await
            .expect(200);
        self.take_tokens(&answer);
    }

    /// Uses the tokens of an answer.
    pub fn take_tokens(&mut self, answer: &Answer) {
        let tokens = answer.json();
        let text = |name: &str| {
            tokens[name]
                .as_str()
                .unwrap_or_else(|| panic!("no {name}: {answer}"))
        };
        self.id = text("user_id").to_owned();
        self.token = Some(text("access_token").to_owned());
        self.refresh_token = text("refresh_token").to_owned();
        logs::secret(text("access_token"));
        logs::secret(&self.refresh_token);
    }

    /// The same, without a token.
    pub fn without_token(mut self) -> Actor {
        self.token = None;
        self
    }

    /// A request to be completed and then given to [`Actor::send`]. Paths are below `/api/v1` unless
    /// they name another place.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let elsewhere = ["/api/", "/.", "/internal/", "/nowhere"];
        let base = if elsewhere.iter().any(|p| path.starts_with(p)) {
            ""
        } else {
            "/api/v1"
        };
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = self
            .client
            .request(method, format!("{}{base}{path}", self.address.url()));
        let request = match &self.from {
            Some(from) => request.header("x-forwarded-for", from),
            None => request,
        };
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request and checks what every answer owes.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        self.send_unchecked(request).await.checked()
    }

    /// Sends a request whose answer may be anything.
    pub async fn send_unchecked(&self, request: RequestBuilder) -> Answer {
        self.receive(request)
            .await
            .unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// As [`Actor::send_unchecked`]; none if no whole answer came.
    pub async fn try_send_unchecked(&self, request: RequestBuilder) -> Option<Answer> {
        self.receive(request).await.ok()
    }

    async fn receive(&self, request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        let request = request.build()?;
        let asked = format!("{} {}", request.method(), request.url().path());
        let response = self.client.execute(request).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.text().await?;
        Ok(Answer {
            asked,
            status,
            headers,
            body,
        })
    }

    /// `POST` with a key, again and again until the shop has decided: what a client does that hears
    /// nothing, or that it shall come again.
    pub async fn insist(&self, key: &str, path: &str, body: &Value) -> Answer {
        let begun = Instant::now();
        // Not `eventually`: its closure can't go to another thread, and buyers do.
        while begun.elapsed() < PATIENCE {
            let request = self.request("POST", path);
            let request = request.header("idempotency-key", key).json(body);
            let answer = self.receive(request.timeout(A_LONG_WAIT)).await;
            match answer.map(Answer::well_formed) {
                Ok(answer) if answer.status < 500 => return answer,
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
        panic!("no answer to {path} under {key}");
    }

    /// The same person, at another host of the shop.
    pub fn at(&self, address: &Address) -> Actor {
        Actor {
            address: address.clone(),
            ..self.clone()
        }
    }

    /// The same person behind a proxy, which says that the requests come from this address.
    pub fn from(&self, address: &str) -> Actor {
        Actor {
            from: Some(address.to_owned()),
            ..self.clone()
        }
    }

    /// `GET`
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    /// `POST` with a JSON body
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request("POST", path).json(body)).await
    }

    /// `POST` with a JSON body and an `Idempotency-Key`
    pub async fn post_once(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.send(
            self.request("POST", path)
                .header("idempotency-key", key)
                .json(body),
        )
        .await
    }

    /// `PUT` with a JSON body
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request("PUT", path).json(body)).await
    }

    /// `PATCH` with a JSON body
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request("PATCH", path).json(body)).await
    }

    /// `DELETE`
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request("DELETE", path)).await
    }

    /// Puts money into the wallet.
    pub async fn deposit(&self, amount: i64) {
        self.post("/billing/account/deposit", &json!({"amount": amount}))
            .await
            .expect(200);
    }

    /// What is in the wallet.
    pub async fn balance(&self) -> i64 {
        let account = self.get("/billing/account/my").await.expect(200).json();
        account["balance"].as_i64().expect("a balance")
    }

    /// Puts an item into the catalogue; for those who run the shop.
    pub async fn sell(&self, name: &str, price: i64, quantity: i64) -> String {
        let item = json!({"name": name, "price": price, "quantity": quantity});
        id_of(&self.post("/items", &item).await.expect(201))
    }

    /// An item as it is now.
    pub async fn item(&self, id: &str) -> Value {
        self.get(&format!("/items/{id}")).await.expect(200).json()
    }

    /// Orders so many of one item.
    pub async fn order(&self, item: &str, quantity: i64) -> String {
        self.order_basket(&[(item, quantity)]).await
    }

    /// Orders so many of each of these items.
    pub async fn order_basket(&self, basket: &[(&str, i64)]) -> String {
        id_of(&self.post("/orders", &order_of(basket)).await.expect(201))
    }

    /// Orders one piece under a key, until it is answered.
    pub async fn order_once(&self, key: &str, item: &str) -> String {
        let order = order_of(&[(item, 1)]);
        id_of(&self.insist(key, "/orders", &order).await.expect(201))
    }

    /// Begins an order without confirming it.
    pub async fn draft(&self, item: &str, quantity: i64) -> String {
        let lines = json!([{"item_id": item, "quantity": quantity}]);
        id_of(
            &self
                .post("/orders", &json!({"lines": lines, "draft": true}))
                .await
                .expect(201),
        )
    }

    /// Does something to an order: confirm, cancel, complete.
    pub async fn execute(&self, order: &str, action: &str) -> Answer {
        self.post(
            &format!("/orders/{order}/execute"),
            &json!({"action": action}),
        )
        .await
    }

    /// An order as it is now.
    pub async fn read_order(&self, id: &str) -> Value {
        self.get(&format!("/orders/{id}")).await.expect(200).json()
    }

    /// Waits until an order is what it shall become.
    pub async fn wait_for(&self, order: &str, status: &str) -> Value {
        eventually(&format!("order {order} {status}"), async || {
            let order = self.read_order(order).await;
            (order["status"] == status).then_some(order)
        })
        .await
    }

    /// Waits until an order will not change any more by itself.
    pub async fn wait_for_end(&self, order: &str) -> String {
        eventually(&format!("the end of order {order}"), async || {
            let order = self.read_order(order).await;
            let status = order["status"].as_str().unwrap_or_default().to_owned();
            (status != "pending").then_some(status)
        })
        .await
    }

    /// What an order went through, as `event` of each row.
    pub async fn history(&self, order: &str) -> Vec<String> {
        let rows = self.moves(order).await.into_iter();
        rows.map(|(_, event)| event).collect()
    }

    /// What an order went through: the state it was in, and what happened to it there.
    pub async fn moves(&self, order: &str) -> Vec<(String, String)> {
        let rows = self.get(&format!("/orders/{order}/events")).await;
        let rows = rows.expect(200).data();
        let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        rows.iter()
            .map(|row| (text(row, "from"), text(row, "event")))
            .collect()
    }

    /// Waits until there are so many notifications, and gives their kinds, oldest first.
    pub async fn told(&self, count: usize) -> Vec<String> {
        let list = eventually(&format!("{count} notifications"), async || {
            let list = self.get("/notifications").await.expect(200).data();
            (list.len() >= count).then_some(list)
        })
        .await;
        list.iter()
            .rev()
            .map(|n| n["kind"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

/// The body that orders so many of each of these items.
pub fn order_of(basket: &[(&str, i64)]) -> Value {
    let line = |(item, quantity): &(&str, i64)| json!({"item_id": item, "quantity": quantity});
    json!({"lines": basket.iter().map(line).collect::<Vec<_>>()})
}

/// The `id` of what an answer shows.
#[track_caller]
pub fn id_of(answer: &Answer) -> String {
    let body = answer.json();
    body["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no id: {answer}"))
        .to_owned()
}
