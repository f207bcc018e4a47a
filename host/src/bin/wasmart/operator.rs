//! How the operator's commands talk to a running shop: over HTTP, with the shared secret.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;
use ureq::Agent;
use wasmart_printable::escape;

/// Elements per page: as many as the shop allows.
const PAGE: usize = 200;

#[derive(Args)]
pub struct Shop {
    /// The running shop
    #[arg(long, global = true, default_value = "http://127.0.0.1:3000")]
    url: String,

    /// The file with the shared secret; SPIN_VARIABLE_INTERNAL_SECRET goes first
    #[arg(long, global = true, default_value = ".wasmart/keys/internal_secret")]
    secret_file: PathBuf,
}

impl Shop {
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.agent().get(format!("{}{path}", self.url));
        answer(
            path,
            request.header("x-internal-secret", self.secret()?).call(),
        )
    }

    /// All elements of a list, page by page.
    pub fn list(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let first = format!("{path}{joint}limit={PAGE}");
        let mut all = Vec::new();
        let mut next = first.clone();
        loop {
            let mut page = self.get(&next)?;
            if let Value::Array(data) = page["data"].take() {
                all.extend(data);
            }
            match page["next_cursor"].as_str() {
                Some(cursor) => next = format!("{first}&cursor={cursor}"),
                None => return Ok(all),
            }
        }
    }

    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.agent().post(format!("{}{path}", self.url));
        answer(
            path,
            request
                .header("x-internal-secret", self.secret()?)
                .send_json(body),
        )
    }

    pub fn delete(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.agent().delete(format!("{}{path}", self.url));
        answer(
            path,
            request.header("x-internal-secret", self.secret()?).call(),
        )
    }

    /// Uses no proxy, even if the environment names one (`HTTP_PROXY` and so on), and follows no redirect: nobody but
    /// the shop may see the shared secret.
    fn agent(&self) -> Agent {
        let config = Agent::config_builder().http_status_as_error(false);
        Agent::new_with_config(config.proxy(None).max_redirects(0).build())
    }

    fn secret(&self) -> anyhow::Result<String> {
        if let Ok(secret) = std::env::var("SPIN_VARIABLE_INTERNAL_SECRET") {
            return Ok(secret);
        }
        let secret = std::fs::read_to_string(&self.secret_file).with_context(|| {
            format!(
                "no shared secret in {}: name it with --secret-file",
                self.secret_file.display()
            )
        })?;
        Ok(secret.trim().to_owned())
    }
}

/// The path with the reason, if there is one.
pub fn with_reason(path: String, reason: Option<&str>) -> String {
    let Some(reason) = reason else { return path };
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("reason", reason)
        .finish();
    format!("{path}?{query}")
}

/// Who made a change, in a word or two.
pub fn actor(actor: &Value) -> String {
    let words = match (actor["kind"].as_str(), actor["id"].as_str()) {
        (Some(kind), Some(id)) => format!("{kind} {id}"),
        (Some(kind), None) => kind.to_owned(),
        _ => "-".to_owned(),
    };
    escape(&words).into_owned()
}

/// One line for what somebody did to a saga or a dead letter.
pub fn action(action: &Value) -> String {
    let text = |name: &str| action[name].as_str().unwrap_or("-");
    let who = actor(&action["actor"]);
    let reason = action["reason"].as_str();
    let why = reason.map_or_else(String::new, |reason| format!(": {reason:?}"));
    let (at, what, subject) = (text("at"), text("action"), text("subject"));
    escape(&format!("{at}  {what}  {subject}  by {who}{why}")).into_owned()
}

fn answer(
    path: &str,
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> anyhow::Result<Value> {
    let mut answer = answer.context("the shop does not answer; is it running there (--url)?")?;
    let status = answer.status();
    let body = answer.body_mut().read_to_string()?;
    let body: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(body);
    }
    let detail = body["detail"]
        .as_str()
        .or(body["title"].as_str())
        .unwrap_or("no reason given");
    anyhow::bail!("{}: {status}: {}", escape(path), escape(detail))
}
