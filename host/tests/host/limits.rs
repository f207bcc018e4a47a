//! A component that misbehaves harms itself and nobody else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::app::App;

const TIMEOUT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_loop_ends_in_a_timeout_and_others_go_on() {
    let app = App::new("").component("other", "probe", "/other/...", "");
    let builder = app.builder().request_timeout(TIMEOUT);
    let app = app.start_with(builder).await;
    let begun = Instant::now();
    let endless = app.client.get(app.url("/do/loop")).send();
    let others = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        for path in ["/do/served", "/other/do/served"] {
            assert_eq!(app.get(path).await.0, 200);
        }
        begun.elapsed()
    };
    let (endless, others) = tokio::join!(endless, others);
    let endless = endless.unwrap();
    assert_eq!(endless.status(), 504);
    let problem: serde_json::Value = endless.json().await.unwrap();
    assert_eq!(problem["type"], "/problems/timeout");
    assert!(others < TIMEOUT, "the others waited {others:?}");
    assert!(begun.elapsed() < TIMEOUT * 2, "{:?}", begun.elapsed());
    assert_eq!(app.get("/do/served").await.0, 200);
}

#[tokio::test]
async fn a_component_that_waits_too_long_ends_in_a_timeout() {
    let app = App::new("");
    let builder = app.builder().request_timeout(TIMEOUT);
    let app = app.start_with(builder).await;
    assert_eq!(app.get("/do/sleep?ms=5000").await.0, 504);
}

#[tokio::test]
async fn a_trap_is_a_500_and_others_go_on() {
    let app = App::new("").start().await;
    let (status, body) = app.get("/do/trap").await;
    assert_eq!(status, 500);
    assert!(body.contains("/problems/component-failed"), "{body}");
    assert_eq!(app.get("/do/served").await, (200, "1".into()));
}

#[tokio::test]
async fn an_instance_has_no_more_memory_than_it_may() {
    let app = App::new("");
    let builder = app.builder().instance_memory(32 << 20);
    let app = app.start_with(builder).await;
    assert_eq!(app.probe("hog?mib=16").await.unwrap(), 16 << 20);
    assert_eq!(app.get("/do/hog?mib=64").await.0, 500);
    assert_eq!(app.get("/do/served").await.0, 200);
}

#[tokio::test]
async fn many_requests_at_once_share_instances() {
    let app = App::new("").start().await;
    let begun = Instant::now();
    let requests = (0..64).map(|_| app.get("/do/sleep?ms=200"));
    for (status, _) in futures::future::join_all(requests).await {
        assert_eq!(status, 200);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
}

/// More at once than there may be instances, in a call that holds each: they take turns.
#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn a_burst_is_answered_to_the_last_request() {
    const BURST: usize = 7 * wasmart_host::limits::INSTANCES as usize;
    let app = App::new("sqlite_databases = ['default']").start().await;
    let requests = (0..BURST).map(|_| {
        let request = http::Request::post("http://test/do/sql?db=default").body(Bytes::from(
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 9999) SELECT max(x) FROM c",
        ));
        app.host.request(request.expect("a request"))
    });
    let mut statuses = BTreeMap::new();
    for answer in futures::future::join_all(requests).await {
        let status = answer.expect("a whole answer").status().as_u16();
        *statuses.entry(status).or_insert(0) += 1;
    }
    assert_eq!(statuses, BTreeMap::from([(200, BURST)]));
}

#[tokio::test]
async fn open_handles_are_limited() {
    let app = App::new("sqlite_databases = ['default']").start().await;
    let answer = app.probe("handles?db=default").await.unwrap();
    assert_eq!(answer["open"], wasmart_host::limits::OPEN_HANDLES);
    // The instance lives on without them.
    assert_eq!(
        app.probe("handles?db=default").await.unwrap()["open"],
        answer["open"]
    );
}
