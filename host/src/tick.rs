//! Periodic calls into components: Spin has no timer, so the host knocks.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Mutex;

use crate::app::App;
use crate::http::body::full;
use crate::stop::Stop;

/// One entry of `[application.tool.wasmart]`, resolved.
#[derive(Debug, Clone)]
pub(crate) struct TickPlan {
    pub component: String,
    pub path: String,
    pub every: Duration,
    pub headers: HeaderMap,
}

/// Knocks at one component.
pub(crate) struct Ticker {
    plan: TickPlan,
    app: Arc<App>,
    /// Never two at once, whoever asks.
    running: Mutex<()>,
}

impl Ticker {
    pub fn new(plan: TickPlan, app: Arc<App>) -> Self {
        Self {
            plan,
            app,
            running: Mutex::new(()),
        }
    }

    /// One call. Failures are logged; the next period is the retry.
    pub async fn once(&self) {
        let _running = self.running.lock().await;
        let TickPlan {
            component,
            path,
            headers,
            ..
        } = &self.plan;
        let mut request = http::Request::new(full(""));
        *request.method_mut() = http::Method::POST;
        *request.headers_mut() = headers.clone();
        // Checked at start.
        let Ok(uri) = format!("http://{component}.spin.internal{path}").parse() else {
            return;
        };
        *request.uri_mut() = uri;
        match self.app.call(component, request).await {
            Some(answer) if answer.status().is_success() => {
                // The work may go on while the body is written; the call ends with the body.
                let _ = http_body_util::BodyExt::collect(answer.into_body()).await;
            }
            Some(answer) => {
                tracing::warn!(
                    component,
                    path,
                    status = answer.status().as_u16(),
                    "tick was refused"
                );
            }
            None => tracing::warn!(component, path, "no such component to tick"),
        }
    }

    /// Calls at the period until told to stop. The first call comes after one period.
    pub async fn run(self: Arc<Self>, mut stop: Stop) {
        loop {
            tokio::select! {
                biased;
                () = stop.requested() => return,
                () = tokio::time::sleep(self.plan.every) => self.once().await,
            }
        }
    }
}

/// Header fields of a tick, checked.
pub(crate) fn headers<'a>(
    fields: impl Iterator<Item = (&'a str, String)>,
) -> Result<HeaderMap, String> {
    fields
        .map(|(name, value)| {
            let name: HeaderName = name
                .parse()
                .map_err(|_| format!("`{name}` is no header field"))?;
            let mut value = HeaderValue::from_str(&value)
                .map_err(|_| format!("the value of `{name}` cannot be sent in a header"))?;
            // Often a shared secret: keep it out of any log.
            value.set_sensitive(true);
            Ok((name, value))
        })
        .collect()
}
