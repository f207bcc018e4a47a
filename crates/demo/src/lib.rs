//! What `cargo xtask up --demo` puts into an empty shop: a catalogue and two users with money, all
//! through the shop's own HTTP API. Doing it again adds what was missed and changes nothing else.

use serde_json::{Value, json};
use thiserror::Error;
use ureq::Agent;
use ureq::http::Response;

/// The first administrator of a demonstration, unless another is named.
pub const ADMIN: User = User {
    email: "admin@example.com",
    password: "demo-admin-password",
};
/// The users: one with enough money for anything, one with enough for little.
pub const USERS: [(User, i64); 2] = [
    (
        User {
            email: "ann@example.com",
            password: "demo-ann-password",
        },
        500_000,
    ),
    (
        User {
            email: "bob@example.com",
            password: "demo-bob-password",
        },
        2_000,
    ),
];
/// Name, description, price in cents, pieces.
const CATALOGUE: [(&str, &str, i64, i64); 6] = [
    ("Teapot", "Stoneware, one litre", 3_490, 40),
    ("Green tea", "Sencha, 100 g", 1_250, 200),
    ("Kettle", "Stainless steel, with a thermometer", 5_900, 15),
    ("Cup", "Porcelain, 200 ml", 890, 120),
    ("Tea tray", "Bamboo", 2_100, 25),
    ("Samovar", "Brass, five litres; the last one", 79_900, 1),
];

/// Somebody who can log in.
pub struct User {
    /// The login.
    pub email: &'static str,
    /// In the clear: this is a demonstration.
    pub password: &'static str,
}

/// Why the shop could not be filled.
#[derive(Debug, Error)]
pub enum DemoError {
    /// No answer.
    #[error("{path}: {source}")]
    Http {
        /// What was asked.
        path: String,
        /// Why there is no answer.
        source: Box<ureq::Error>,
    },
    /// Another answer than the demonstration needs.
    #[error("{path} answered {status}: {body}")]
    Refused {
        /// What was asked.
        path: String,
        /// The answer's status.
        status: u16,
        /// The answer's body.
        body: String,
    },
}

/// Fills the shop at `base` (`http://127.0.0.1:3000`). The administrator must be the one that the
/// shop was started with.
///
/// # Errors
/// [`DemoError`] when the shop does not answer, or not as a shop that may be filled.
pub fn seed(base: &str, admin_email: &str, admin_password: &str) -> Result<(), DemoError> {
    let shop = Shop {
        base: base.trim_end_matches('/').to_owned(),
        agent: agent(),
    };
    let login = json!({"login": admin_email, "password": admin_password});
    let admin = shop.post("/api/v1/auth/login", None, &login, &[200])?;
    let token = admin["access_token"].as_str().unwrap_or_default();
    let there = shop.get("/api/v1/items?limit=1", None)?;
    if there["data"].as_array().is_some_and(Vec::is_empty) {
        for (name, description, price, quantity) in CATALOGUE {
            let item = json!({"name": name, "description": description, "price": price,
                "quantity": quantity});
            shop.post("/api/v1/items", Some(token), &item, &[201])?;
        }
    }
    for (user, money) in USERS {
        let token = shop.token(&user)?;
        // Not with the account: an earlier run may have ended between the two.
        let moved = shop.get("/api/v1/billing/transactions?limit=1", Some(&token))?;
        if moved["data"].as_array().is_some_and(Vec::is_empty) {
            let deposit = json!({"amount": money});
            let path = "/api/v1/billing/account/deposit";
            shop.post(path, Some(&token), &deposit, &[200])?;
        }
    }
    Ok(())
}

/// A client for one's own shop. It uses no proxy, even if the environment names one (`HTTP_PROXY` and so on), and
/// follows no redirect: both would show passwords and the shared secret to somebody else.
pub fn agent() -> Agent {
    let config = Agent::config_builder().http_status_as_error(false);
    Agent::new_with_config(config.proxy(None).max_redirects(0).build())
}

struct Shop {
    base: String,
    agent: Agent,
}

impl Shop {
    fn get(&self, path: &str, token: Option<&str>) -> Result<Value, DemoError> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        read(path, request.call(), &[200])
    }

    /// Registers a user, or logs in one who is registered.
    fn token(&self, user: &User) -> Result<String, DemoError> {
        let account = json!({"email": user.email, "password": user.password});
        let mut answer = self.post("/api/v1/auth/register", None, &account, &[201, 409])?;
        if answer["access_token"].is_null() {
            let login = json!({"login": user.email, "password": user.password});
            answer = self.post("/api/v1/auth/login", None, &login, &[200])?;
        }
        Ok(answer["access_token"]
            .as_str()
            .unwrap_or_default()
            .to_owned())
    }

    fn post(
        &self,
        path: &str,
        token: Option<&str>,
        body: &Value,
        expected: &[u16],
    ) -> Result<Value, DemoError> {
        let mut request = self.agent.post(format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        read(path, request.send_json(body), expected)
    }
}

fn read(
    path: &str,
    answer: Result<Response<ureq::Body>, ureq::Error>,
    expected: &[u16],
) -> Result<Value, DemoError> {
    let failed = |error| DemoError::Http {
        path: path.to_owned(),
        source: Box::new(error),
    };
    let mut answer = answer.map_err(failed)?;
    let status = answer.status().as_u16();
    let body = answer.body_mut().read_to_string().map_err(failed)?;
    if !expected.contains(&status) {
        return Err(DemoError::Refused {
            path: path.to_owned(),
            status,
            body,
        });
    }
    Ok(serde_json::from_str(&body).unwrap_or_default())
}
