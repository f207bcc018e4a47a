//! How the operator's commands talk to a running shop: over HTTP, with the shared secret.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;
use ureq::Agent;

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

    /// Directly, whatever the environment says of proxies (`HTTP_PROXY` and the like), and to no other place:
    /// neither a proxy nor the target of a redirect may see the shared secret.
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
    anyhow::bail!("{path}: {status}: {detail}")
}
