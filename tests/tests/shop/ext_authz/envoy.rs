//! A real Envoy in front of a service, with the configuration that `deploy/envoy/` has. Skipped where
//! there is no `envoy` on the PATH; what the configuration must say is looked for in any case.

use crate::harness::app::Address;
use crate::harness::redis::free_port;
use crate::harness::wait::within;
use crate::harness::{Actor, App, workspace};
use axum::extract::{Request, State};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

/// The published configuration.
fn sample() -> String {
    let path = workspace::root().join("deploy/envoy/envoy.yaml");
    std::fs::read_to_string(path).expect("the configuration")
}

/// The more deeply indented lines that follow the line `name`, without comments.
fn below<'a>(config: &'a str, name: &str) -> Vec<&'a str> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let lines = config
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let mut lines = lines.skip_while(|line| line.trim_start() != name);
    let first = lines.next().unwrap_or_else(|| panic!("no {name}"));
    let inner = lines.take_while(|line| depth(line) > depth(first));
    inner.map(str::trim_start).collect()
}

#[test]
fn the_sample_leaves_no_way_to_send_an_identity_along() {
    let config = sample();
    let manager = below(
        &config,
        "- name: envoy.filters.network.http_connection_manager",
    );
    for says in [
        "headers_with_underscores_action: REJECT_REQUEST",
        "normalize_path: true",
        "merge_slashes: true",
        "path_with_escaped_slashes_action: REJECT_REQUEST",
        "use_remote_address: true",
    ] {
        let count = manager.iter().filter(|line| **line == says).count();
        assert_eq!(count, 1, "{says}");
    }
    let options = below(&config, "common_http_protocol_options:");
    assert_eq!(options, ["headers_with_underscores_action: REJECT_REQUEST"]);
    let removed = below(&config, "early_header_mutation_extensions:");
    let replaced = below(&config, "allowed_upstream_headers:");
    for field in ["x-user-id", "x-user-roles", "x-user-email", "x-user-name"] {
        assert!(removed.contains(&&*format!("- remove: {field}")), "{field}");
        assert!(replaced.contains(&&*format!("- exact: {field}")), "{field}");
    }
    assert!(removed.contains(&"- remove: x-internal-secret"));
    let filter = below(&config, "- name: envoy.filters.http.ext_authz");
    assert!(filter.contains(&"failure_mode_allow: false"));
    // After ext_authz, these would remove or extend the shop's own fields.
    for late in [
        "request_headers_to_remove",
        "request_headers_to_add",
        "allowed_upstream_headers_to_append",
    ] {
        assert!(!manager.iter().any(|line| line.starts_with(late)), "{late}");
    }
}

/// A running Envoy.
struct Envoy {
    child: Child,
    address: SocketAddr,
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Envoy {
    /// None, said aloud, where there is no Envoy.
    async fn start(folder: &Path, shop: u16, service: u16) -> Option<Envoy> {
        let known = Command::new("envoy").arg("--version").output();
        if !known.is_ok_and(|output| output.status.success()) {
            println!("SKIPPED: {}: no envoy on the PATH", module_path!());
            return None;
        }
        let mut config = sample();
        let port = free_port();
        for (usual, own) in [(8080, port), (3000, shop), (9000, service)] {
            let usual = format!("port_value: {usual} ");
            assert_eq!(config.matches(&usual).count(), 1, "{usual}");
            config = config.replace(&usual, &format!("port_value: {own} "));
        }
        let file = folder.join("envoy.yaml");
        std::fs::write(&file, config).expect("written");
        let child = Command::new("envoy")
            .arg("--config-path")
            .arg(&file)
            .args([
                "--disable-hot-restart",
                "--concurrency",
                "1",
                "--log-level",
                "error",
            ])
            .stdout(Stdio::null())
            .spawn()
            .expect("it runs");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut envoy = Envoy { child, address };
        within(Duration::from_secs(60), "Envoy", async || {
            assert!(
                matches!(envoy.child.try_wait(), Ok(None)),
                "Envoy has ended"
            );
            let connected = tokio::net::TcpStream::connect(address).await;
            connected.ok().map(drop)
        })
        .await;
        Some(envoy)
    }
}

/// A service that says what it was asked, and counts.
async fn echo() -> (u16, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let answer = async |State(count): State<Arc<AtomicUsize>>, request: Request| {
        count.fetch_add(1, Ordering::Relaxed);
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1_000_000).await.expect("a body");
        let mut fields = json!({});
        for name in parts.headers.keys() {
            let values = parts.headers.get_all(name).iter();
            let values: Vec<_> = values
                .map(|v| String::from_utf8_lossy(v.as_bytes()))
                .collect();
            fields[name.as_str()] = json!(values);
        }
        Json(json!({
            "method": parts.method.as_str(), "path": parts.uri.to_string(), "fields": fields,
            "body": String::from_utf8_lossy(&body),
        }))
    };
    let router = Router::new().fallback(answer).with_state(count.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (port, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_envoy_lets_pass_who_the_shop_knows() {
    let app = App::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (service, count) = echo().await;
    let shop = app.address().socket().port();
    let Some(envoy) = Envoy::start(folder.path(), shop, service).await else {
        return app.finish().await;
    };
    let ann = app.manager().await;
    let behind = |actor: &Actor| actor.at(&Address::new(envoy.address));
    let nobody = behind(&app.anonymous());
    let ann_there = behind(&ann);

    // Nobody: the shop's own answer reaches the client, and the service hears nothing.
    for token in [
        None,
        Some("x"),
        Some("a.b.c"),
        Some(ann.refresh_token.as_str()),
    ] {
        for method in ["GET", "POST", "DELETE", "OPTIONS"] {
            let mut request = nobody.request(method, "/nowhere/x?y=1");
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let slug = if token.is_some() {
                "invalid-token"
            } else {
                "unauthorized"
            };
            nobody
                .send(request.header("x-user-id", ann.id.as_str()))
                .await
                .refused(401, slug);
        }
    }
    assert_eq!(count.load(Ordering::Relaxed), 0);

    for (method, path) in [
        ("GET", "/nowhere/deep/path?limit=5&cursor=%2F"),
        ("POST", "/nowhere"),
        ("PATCH", "/nowhere/%D1%87%D0%B0%D0%B9"),
        ("DELETE", "/nowhere/x"),
    ] {
        let mut request = ann_there.request(method, path).body("the body");
        for field in ["x-user-id", "x-user-roles", "x-user-email", "x-user-name"] {
            request = request.header(field, "forged").header(field, "admin");
        }
        let seen: Value = ann_there.send(request).await.expect(200).json();
        assert_eq!(
            (&seen["method"], &seen["path"]),
            (&json!(method), &json!(path))
        );
        assert_eq!(seen["body"], "the body");
        for (field, value) in [
            ("x-user-id", ann.id.as_str()),
            ("x-user-roles", "manager"),
            ("x-user-email", &ann.email),
            ("x-user-name", ""),
        ] {
            assert_eq!(seen["fields"][field], json!([value]), "{field}: {seen}");
        }
    }
    let before = count.load(Ordering::Relaxed);
    for field in ["x_user_id", "x_user-roles", "X_User_Id"] {
        let request = ann_there.request("GET", "/nowhere").header(field, "admin");
        let answer = ann_there.send_unchecked(request).await;
        assert_eq!(answer.status, 400, "{field}: {answer}");
    }
    assert_eq!(count.load(Ordering::Relaxed), before);
    ann.send(ann.request("POST", "/auth/logout"))
        .await
        .expect(204);
    let before = count.load(Ordering::Relaxed);
    let request = ann_there.request("GET", "/nowhere");
    ann_there.send(request).await.refused(401, "revoked-token");
    assert_eq!(count.load(Ordering::Relaxed), before);
    drop(envoy);
    app.finish().await;
}
