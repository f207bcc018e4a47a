//! A hook sees every call of a component into the host and can stop it there.

use std::sync::{Arc, Mutex};

use wasmart_host::{CallHook, HostCall, Verdict};

use crate::app::App;

/// Writes down the calls, and stops the component before or after one of them.
#[derive(Default)]
struct Recorder {
    seen: Mutex<Vec<String>>,
    stop_before: Option<u64>,
    stop_after: Option<u64>,
}

impl CallHook for Recorder {
    fn before(&self, call: &HostCall<'_>) -> Verdict {
        self.seen
            .lock()
            .unwrap()
            .push(format!("{}:{}", call.component, call.name));
        if self.stop_before == Some(call.number) {
            Verdict::Stop
        } else {
            Verdict::Pass
        }
    }

    fn after(&self, call: &HostCall<'_>) -> Verdict {
        if self.stop_after == Some(call.number) {
            Verdict::Stop
        } else {
            Verdict::Pass
        }
    }
}

const GRANT: &str = "sqlite_databases = ['default']";

#[tokio::test]
async fn a_hook_sees_the_calls() {
    let recorder = Arc::new(Recorder::default());
    let app = App::new(GRANT);
    let builder = app.builder().call_hook(recorder.clone());
    let app = app.start_with(builder).await;
    app.sql("default", "SELECT 1").await.unwrap();
    let seen = recorder.seen.lock().unwrap().join(" ");
    let expected = "probe:sqlite.open probe:sqlite.execute probe:sqlite.changes probe:sqlite.last-insert-rowid";
    assert_eq!(seen, expected);
    assert_eq!(app.host.calls("probe"), Some(4));
    assert_eq!(app.host.calls("unknown"), None);
}

#[tokio::test]
async fn a_component_is_stopped_at_a_request_it_sends() {
    for (stop_before, stop_after, served) in [(Some(1), None, 1), (None, Some(1), 2)] {
        let recorder = Recorder {
            stop_before,
            stop_after,
            ..Recorder::default()
        };
        let app = App::new("allowed_outbound_hosts = ['http://other.spin.internal']").component(
            "other",
            "probe",
            "/other/...",
            "",
        );
        let builder = app.builder().call_hook(Arc::new(recorder));
        let app = app.start_with(builder).await;
        let begun = std::time::Instant::now();
        let url = "/do/fetch?url=http://other.spin.internal/do/served";
        assert_eq!(app.get(url).await.0, 500);
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(5),
            "it waited for the timeout"
        );
        assert_eq!(app.get("/other/do/served").await, (200, served.to_string()));
    }
}

#[tokio::test]
async fn a_component_is_stopped_before_or_after_an_effect() {
    for (stop_before, stop_after, rows) in [(Some(3), None, 0), (None, Some(3), 1)] {
        let recorder = Recorder {
            stop_before,
            stop_after,
            ..Recorder::default()
        };
        let app = App::new(GRANT);
        let builder = app.builder().call_hook(Arc::new(recorder));
        let app = app.start_with(builder).await;
        let url = app.url("/do/sql?db=default");
        let body = "CREATE TABLE t (a)\nINSERT INTO t VALUES (1)";
        let response = app.client.post(url).body(body).send().await.unwrap();
        assert_eq!(response.status(), 500);
        let count = app.sql("default", "SELECT count(*) FROM t").await.unwrap();
        assert_eq!(count["rows"][0][0], rows);
    }
}
