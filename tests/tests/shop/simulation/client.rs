//! Somebody who uses a simulated shop and insists: what is not answered is asked again.

use super::Shop;
use crate::harness::logs;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::time::Duration;
use tokio::time::sleep;

/// Before asking again.
const PAUSE: Duration = Duration::from_millis(150);
/// Asked so often, a shop must have answered: an hour and more, should every request time out.
const TRIES: u32 = 400;

/// An answer: its status and its body, `null` where that is no JSON.
pub type Answer = (u16, Value);

/// Somebody with an account.
pub struct Client<'a> {
    shop: &'a Shop,
    pub id: String,
    email: String,
    password: String,
    token: RefCell<String>,
}

/// Who somebody is, without a shop.
pub struct Credentials {
    id: String,
    email: String,
    password: String,
    token: String,
}

impl<'a> Client<'a> {
    /// A new account.
    pub async fn register(shop: &'a Shop, email: &str) -> Client<'a> {
        let client = Client::new(shop, email, &format!("password of {email}"));
        let body = json!({"email": email, "password": client.password});
        let (status, _) = client
            .insist("POST", "/auth/register", None, Some(&body))
            .await;
        // An earlier try may have gone through unheard.
        assert!([201, 409].contains(&status), "{email}: {status}");
        client.logged_in().await
    }

    /// An account that is there.
    pub async fn log_in(shop: &'a Shop, email: &str, password: &str) -> Client<'a> {
        Client::new(shop, email, password).logged_in().await
    }

    /// Somebody who was here before, in a shop of which `shop` is a copy. No password needs checking then.
    pub fn back(shop: &'a Shop, known: &Credentials) -> Client<'a> {
        let client = Client::new(shop, &known.email, &known.password);
        client.token.replace(known.token.clone());
        Client {
            id: known.id.clone(),
            ..client
        }
    }

    /// What [`Client::back`] needs.
    pub fn credentials(&self) -> Credentials {
        Credentials {
            id: self.id.clone(),
            email: self.email.clone(),
            password: self.password.clone(),
            token: self.token.borrow().clone(),
        }
    }

    fn new(shop: &'a Shop, email: &str, password: &str) -> Client<'a> {
        logs::secret(password);
        Client {
            shop,
            id: String::new(),
            email: email.to_owned(),
            password: password.to_owned(),
            token: RefCell::default(),
        }
    }

    async fn logged_in(mut self) -> Client<'a> {
        self.id = self.log_in_again().await;
        self
    }

    /// Gets a new token; the old one may have expired when the clock was set. Gives the account's id.
    pub async fn log_in_again(&self) -> String {
        let body = json!({"login": self.email, "password": self.password});
        let (status, answer) = self.insist("POST", "/auth/login", None, Some(&body)).await;
        assert_eq!(status, 200, "{}: {answer}", self.email);
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        self.token.replace(text("access_token"));
        text("user_id")
    }

    /// Asks once; none if no answer came.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Option<Answer> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("http://shop/api/v1{path}"))
            .header("host", "shop")
            .header("content-type", "application/json");
        if !path.starts_with("/auth/") {
            request = request.header("authorization", format!("Bearer {}", self.token.borrow()));
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(body.into()).expect("a request");
        let answer = self.shop.request(request).await?;
        let status = answer.status().as_u16();
        let body = serde_json::from_slice(answer.body()).unwrap_or_default();
        self.shop
            .watch
            .history
            .add(format_args!("{} {method} {path}: {status}", self.email));
        Some((status, body))
    }

    /// Asks until there is an answer that is not the shop's own failure.
    pub async fn insist(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        for _ in 0..TRIES {
            match self.ask(method, path, key, body).await {
                Some((401, _)) if !path.starts_with("/auth/") => {
                    Box::pin(self.log_in_again()).await;
                }
                Some((status, answer)) if status < 500 && status != 429 => return (status, answer),
                _ => sleep(PAUSE).await,
            }
        }
        panic!("{} {method} {path}: never answered", self.email);
    }

    /// Puts money into the wallet, once for each key.
    pub async fn deposit(&self, key: &str, amount: i64) {
        let body = json!({"amount": amount});
        let path = "/billing/account/deposit";
        let (status, answer) = self.insist("POST", path, Some(key), Some(&body)).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// What is in the wallet.
    pub async fn balance(&self) -> i64 {
        let (status, account) = self.insist("GET", "/billing/account/my", None, None).await;
        assert_eq!(status, 200, "{account}");
        account["balance"].as_i64().expect("a balance")
    }

    /// Puts an item into the catalogue, once for each key.
    pub async fn sell(&self, key: &str, price: i64, quantity: i64) -> String {
        let item = json!({"name": key, "price": price, "quantity": quantity});
        let (status, answer) = self.insist("POST", "/items", Some(key), Some(&item)).await;
        assert_eq!(status, 201, "{answer}");
        id(&answer)
    }

    /// An item as it is now.
    pub async fn item(&self, item: &str) -> Value {
        let (status, answer) = self
            .insist("GET", &format!("/items/{item}"), None, None)
            .await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Orders a basket, once for each key.
    pub async fn order(&self, key: &str, basket: &[(&str, i64)]) -> String {
        let line = |(item, quantity): &(&str, i64)| json!({"item_id": item, "quantity": quantity});
        let lines: Vec<_> = basket.iter().map(line).collect();
        let order = json!({"lines": lines});
        let (status, answer) = self
            .insist("POST", "/orders", Some(key), Some(&order))
            .await;
        assert_eq!(status, 201, "{answer}");
        id(&answer)
    }

    /// Does something to an order: cancel, complete. Gives the status; 409 is a refusal.
    pub async fn execute(&self, order: &str, action: &str) -> u16 {
        let path = format!("/orders/{order}/execute");
        let body = json!({"action": action});
        self.insist("POST", &path, None, Some(&body)).await.0
    }

    /// An order as it is now.
    pub async fn read_order(&self, order: &str) -> Value {
        let (status, answer) = self
            .insist("GET", &format!("/orders/{order}"), None, None)
            .await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Waits until an order will not change any more by itself; gives its status.
    pub async fn wait_for_end(&self, order: &str) -> String {
        for number in 0..TRIES {
            let order = self.read_order(order).await;
            let status = order["status"].as_str().unwrap_or_default();
            if status != "pending" {
                return status.to_owned();
            }
            // What was sent in vain is sent again after a minute and more.
            sleep(if number < 50 { PAUSE } else { 10 * PAUSE }).await;
        }
        panic!("order {order} has no end");
    }
}

fn id(answer: &Value) -> String {
    answer["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no id: {answer}"))
        .to_owned()
}
