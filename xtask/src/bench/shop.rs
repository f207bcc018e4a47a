//! A client of the shop that is measured.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use ureq::Agent;
use wasmart_demo::ADMIN;

/// A customer with money enough, who is the administrator too, and an item with pieces enough.
#[derive(Clone)]
pub struct Shop {
    agent: Agent,
    base: String,
    token: String,
    item: String,
}

impl Shop {
    /// Logs in, puts the item in, and fills the wallet.
    pub fn open(base: String) -> anyhow::Result<Shop> {
        let agent =
            Agent::new_with_config(Agent::config_builder().http_status_as_error(true).build());
        let mut shop = Shop {
            agent,
            base,
            token: String::new(),
            item: String::new(),
        };
        let login = json!({"login": ADMIN.email, "password": ADMIN.password});
        shop.token = text(&shop.post("/auth/login", &login)?, "access_token")?;
        let item = json!({"name": "Thing", "price": 100, "quantity": 1_000_000});
        shop.item = text(&shop.post("/items", &item)?, "id")?;
        shop.post(
            "/billing/account/deposit",
            &json!({"amount": 1_000_000_000}),
        )?;
        Ok(shop)
    }

    /// Orders one piece and asks until it is paid; gives the time from the POST's first byte.
    pub fn settle_one(&self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let order = self.order()?;
        loop {
            let status = self.status(&order)?;
            if status == "paid" {
                return Ok(begun.elapsed());
            }
            ensure!(status == "pending", "the order is {status}");
            ensure!(
                begun.elapsed() < Duration::from_secs(30),
                "the order is not paid after 30 s"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Orders one piece.
    pub fn order(&self) -> anyhow::Result<String> {
        let lines = json!({"lines": [{"item_id": self.item, "quantity": 1}]});
        text(&self.post("/orders", &lines)?, "id")
    }

    /// Whether an order is pending, paid, …
    pub fn status(&self, order: &str) -> anyhow::Result<String> {
        text(&self.get(&format!("/orders/{order}"))?, "status")
    }

    /// Whether no order waits for anything.
    pub fn is_settled(&self) -> anyhow::Result<bool> {
        let sagas = self.get("/sagas?limit=1")?;
        Ok(sagas["data"].as_array().is_some_and(Vec::is_empty))
    }

    fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.agent.get(format!("{}/api/v1{path}", self.base));
        let request = request.header("authorization", format!("Bearer {}", self.token));
        Ok(request.call()?.body_mut().read_json()?)
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.agent.post(format!("{}/api/v1{path}", self.base));
        let request = request.header("authorization", format!("Bearer {}", self.token));
        Ok(request.send_json(body)?.body_mut().read_json()?)
    }
}

fn text(value: &Value, field: &str) -> anyhow::Result<String> {
    value[field]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("no {field} in {value}"))
}
