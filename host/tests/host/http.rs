//! Routes, headers, chaining, protocols.

use std::time::Duration;

use crate::app::App;
use crate::raw::exchange;

#[tokio::test]
async fn a_component_learns_what_matched_and_a_client_cannot_forge_it() {
    let app = App::new("")
        .component("users", "probe", "/users/:id/...", "")
        .start()
        .await;
    let response = app
        .client
        .get(app.url("/users/7/do/headers?q=1"))
        .header("spin-client-addr", "1.2.3.4:5")
        .header("spin-forged", "x")
        .send()
        .await
        .unwrap();
    let headers: serde_json::Value = response.json().await.unwrap();
    assert_eq!(headers["spin-matched-route"], "/users/:id/...");
    assert_eq!(headers["spin-path-info"], "/do/headers");
    assert_eq!(headers["spin-path-match-id"], "7");
    assert_eq!(headers["spin-full-url"], app.url("/users/7/do/headers?q=1"));
    assert!(
        headers["spin-client-addr"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:")
    );
    assert_eq!(headers.get("spin-forged"), None);
}

#[tokio::test]
async fn a_path_without_route_is_a_problem() {
    let app = App::new("")
        .with("[component.other]\nsource = 'none'")
        .start()
        .await;
    assert_eq!(app.probe("served").await.unwrap(), 1);
    drop(app);
    let app = App::new("");
    let manifest = app.builder();
    drop(manifest);
    let path = app.folder.path().join("spin.toml");
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replace("\"/...\"", "\"/only\"");
    let builder = app.builder();
    std::fs::write(path, text).unwrap();
    let app = app.start_with(builder).await;
    let response = app.client.get(app.url("/elsewhere")).send().await.unwrap();
    assert_eq!(response.status(), 404);
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let problem: serde_json::Value = response.json().await.unwrap();
    assert_eq!(problem["type"], "/problems/no-such-route");
    assert_eq!(
        app.get("/.well-known/spin/health").await,
        (200, "OK".into())
    );
}

#[tokio::test]
async fn private_components_are_reached_only_by_chaining() {
    let app = App::new("allowed_outbound_hosts = ['http://inner.spin.internal']")
        .component("inner", "probe", "private", "")
        .start()
        .await;
    let answer = app
        .probe("fetch?url=http://inner.spin.internal/do/path%3Fa")
        .await
        .unwrap();
    assert_eq!(answer["status"], 200);
    assert_eq!(answer["body"], "\"http://inner.spin.internal/do/path?a\"");
    // From outside, the same name is only a host, and the route leads to the public component.
    let headers = app
        .client
        .get(app.url("/do/headers"))
        .header("host", "inner.spin.internal")
        .send()
        .await
        .unwrap();
    assert_eq!(headers.status(), 400);
    assert!(
        !app.host
            .routes()
            .iter()
            .any(|(_, component)| component == "inner")
    );
}

#[tokio::test]
async fn an_application_may_call_itself_when_allowed() {
    let app = App::new("allowed_outbound_hosts = ['http://self']")
        .start()
        .await;
    let answer = app
        .probe("fetch?url=http://self.alt/do/served")
        .await
        .unwrap();
    assert_eq!(answer["status"], 200);
}

#[tokio::test]
async fn http_2_with_prior_knowledge_is_served_on_the_same_port() {
    let app = App::new("").start().await;
    let client = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let response = client.get(app.url("/do/served")).send().await.unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    assert_eq!(response.status(), 200);
    assert_eq!(app.get("/do/served").await.0, 200);
}

#[tokio::test]
async fn instances_are_reused() {
    let app = App::new("").start().await;
    for expected in 1..=5 {
        assert_eq!(app.probe("served").await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_body_is_streamed_as_it_comes() {
    let app = App::new("").start().await;
    let begun = std::time::Instant::now();
    let mut response = app.client.get(app.url("/do/stream")).send().await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "one ");
    assert!(
        begun.elapsed() < Duration::from_millis(900),
        "the first part came late"
    );
    assert_eq!(response.text().await.unwrap(), "two three");
}

#[tokio::test]
async fn a_small_answer_has_its_length() {
    let app = App::new("").start().await;
    let response = app.client.get(app.url("/do/served")).send().await.unwrap();
    assert_eq!(response.headers()["content-length"], "1");
    let response = app.client.get(app.url("/do/empty")).send().await.unwrap();
    assert_eq!(response.headers()["content-length"], "0");
}

#[tokio::test]
async fn answers_on_a_kept_connection_do_not_stall() {
    let app = App::new("key_value_stores = ['default']").start().await;
    app.probe("kv/set?store=default&key=a&value=b")
        .await
        .unwrap();
    let begun = std::time::Instant::now();
    for _ in 0..200 {
        app.probe("kv/get?store=default&key=a").await.unwrap();
    }
    // A delayed acknowledgement for each would take eight seconds.
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let app = App::new("").start().await;
    let no_host = exchange(
        app.host.addr(),
        b"GET /do/served HTTP/1.1\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(no_host.starts_with("HTTP/1.1 400"), "{no_host}");
    assert!(no_host.contains("/problems/bad-request"));
    let huge = format!(
        "GET / HTTP/1.1\r\nhost: h\r\nx: {}\r\n\r\n",
        "x".repeat(64 * 1024)
    );
    let huge = exchange(app.host.addr(), huge).await;
    assert!(huge.starts_with("HTTP/1.1 431"));
    let long = b"POST /do/echo HTTP/1.1\r\nhost: h\r\ncontent-length: 999999999\r\n\r\n";
    let long = exchange(app.host.addr(), long).await;
    assert!(
        long.starts_with("HTTP/1.1 413") && long.contains("/problems/body-too-large"),
        "{long}"
    );
    assert!(long.contains("\r\nconnection: close\r\n"), "{long}");
    assert_eq!(
        app.probe("served").await.unwrap(),
        1,
        "none of them reached the component"
    );
}

#[tokio::test]
async fn a_component_learns_the_host_that_the_request_is_for() {
    let app = App::new("").start().await;
    let own = app.host.addr().to_string();
    let close = "connection: close\r\n\r\n";
    for (head, host) in [
        (
            "GET /do/path HTTP/1.1\r\nhost: a.example:8\r\n",
            "a.example:8",
        ),
        (
            "GET http://b.example/do/path HTTP/1.1\r\nhost: a.example\r\n",
            "b.example",
        ),
        ("GET http://b.example:9/do/path HTTP/1.0\r\n", "b.example:9"),
        ("GET /do/path HTTP/1.0\r\nhost: a.example\r\n", "a.example"),
        // HAProxy's probes.
        ("GET /do/path HTTP/1.0\r\n", &own),
    ] {
        let answer = exchange(app.host.addr(), format!("{head}{close}")).await;
        assert!(answer.contains(" 200 OK\r\n"), "{head}{answer}");
        let uri = format!("\"http://{host}/do/path\"");
        assert!(answer.ends_with(&uri), "{head}{answer}");
    }
    let health = "OPTIONS /.well-known/spin/health HTTP/1.0\r\n\r\n";
    let health = exchange(app.host.addr(), health).await;
    assert!(health.contains(" 200 OK\r\n"), "{health}");
}

#[tokio::test]
async fn a_request_that_does_not_clearly_say_its_host_is_refused() {
    let app = App::new("").start().await;
    for head in [
        "GET /do/served HTTP/1.1\r\nhost: a\r\nhost: a\r\n",
        "GET /do/served HTTP/1.1\r\nhost: a\r\nhost: b\r\n",
        "GET http://a/do/served HTTP/1.1\r\nhost: a\r\nhost: b\r\n",
        "GET /do/served HTTP/1.0\r\nhost: a\r\nhost: b\r\n",
        "GET /do/served HTTP/1.1\r\nhost:\r\n",
        "GET /do/served HTTP/1.1\r\nhost: a b\r\n",
        "GET /do/served HTTP/1.1\r\nhost: u@a\r\n",
        "GET /do/served HTTP/1.1\r\nhost: a:x\r\n",
        "GET http://a/do/served HTTP/1.1\r\n",
    ] {
        let answer = exchange(app.host.addr(), format!("{head}connection: close\r\n\r\n")).await;
        assert!(answer.contains(" 400 Bad Request\r\n"), "{head}{answer}");
    }
    assert_eq!(
        app.probe("served").await.unwrap(),
        1,
        "none of them reached the component"
    );
}

#[tokio::test]
async fn an_answer_to_head_keeps_its_headers() {
    let app = App::new("").start().await;
    let response = app.client.head(app.url("/do/served")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().await.unwrap(), "");
}
