//! What the shop answers, with the promises that hold for every answer checked on arrival.

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

/// Words of the inside; none of them may reach a client.
const SECRETS: [&str; 16] = [
    "SELECT ",
    "INSERT ",
    "sqlite",
    "disk I/O",
    "database",
    // Not just ".db": a token may have that in it.
    "auth.db",
    "users.db",
    "stock.db",
    "billing.db",
    "orders.db",
    "notifications.db",
    "panicked",
    ".rs:",
    "/root/",
    "BEGIN RSA",
    "argon2id",
];

/// One answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was asked, for messages.
    pub asked: String,
    /// The status code.
    pub status: u16,
    /// The header.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Checks what every answer owes: no 5xx, nothing that a browser could take for more than data, and
    /// [`Answer::well_formed`].
    ///
    /// # Panics
    /// When it does not hold.
    pub fn checked(self) -> Answer {
        assert!(self.status < 500, "{self}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'",
            ),
        ] {
            assert_eq!(self.header(name), Some(value), "{name}: {self}");
        }
        self.well_formed()
    }

    /// Checks what an answer owes even when the shop is at fault: each error is a problem with a stable
    /// type, and tells nothing of the inside.
    ///
    /// # Panics
    /// When it does not hold.
    pub fn well_formed(self) -> Answer {
        for secret in SECRETS {
            assert!(!self.body.contains(secret), "tells {secret:?}: {self}");
        }
        if self.status >= 400 {
            self.check_problem();
        }
        self
    }

    fn check_problem(&self) {
        let media = self.header("content-type").unwrap_or_default();
        assert_eq!(media, "application/problem+json", "{self}");
        let problem = self.json();
        let slug = problem["type"]
            .as_str()
            .and_then(|kind| kind.strip_prefix("/problems/"));
        let stable = |slug: &str| slug.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        assert!(slug.is_some_and(stable), "no stable type: {self}");
        assert_eq!(problem["status"], self.status, "{self}");
        assert!(problem["title"].is_string(), "{self}");
        if self.status == 401 {
            assert!(
                self.header("www-authenticate").is_some(),
                "no challenge: {self}"
            );
        }
        if self.status == 405 {
            assert!(self.header("allow").is_some(), "no Allow: {self}");
        }
    }

    /// The answer, if it has this status.
    ///
    /// # Panics
    /// When it has not.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// As [`Answer::expect`], for a problem with this last segment of its `type`.
    #[track_caller]
    pub fn refused(self, status: u16, slug: &str) -> Answer {
        let answer = self.expect(status);
        assert_eq!(
            answer.json()["type"],
            format!("/problems/{slug}"),
            "{answer}"
        );
        answer
    }

    /// The fields that a 422 names.
    pub fn fields(&self) -> Vec<String> {
        let problem = self.json();
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        let field = |error: &Value| error["field"].as_str().unwrap_or_default().to_owned();
        errors.iter().map(field).collect()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// The elements of a list.
    #[track_caller]
    pub fn data(&self) -> Vec<Value> {
        match &self.json()["data"] {
            Value::Array(data) => data.clone(),
            _ => panic!("no list: {self}"),
        }
    }

    /// A header field, if it is there and readable.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the body says it is JSON.
    pub fn is_json(&self) -> bool {
        self.headers
            .get(CONTENT_TYPE)
            .is_some_and(|media| media == "application/json")
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} → {} {}", self.asked, self.status, self.body)
    }
}
