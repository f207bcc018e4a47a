//! With a real Redis server: channels over a lost connection, the whole interface, stores.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use wasmart_host::Redis;

use crate::app::{App, Running};
use crate::channels::LISTENS;

const PROGRAM: &str = "/usr/bin/redis-server";

/// A server of its own on a free port, ended with the test.
struct Server {
    port: u16,
    process: Child,
}

impl Server {
    /// `None`, said aloud, where there is no Redis; in CI that is a failure.
    fn start() -> Option<Self> {
        if !std::path::Path::new(PROGRAM).exists() {
            assert_ne!(
                std::env::var("CI").as_deref(),
                Ok("true"),
                "{PROGRAM} is missing"
            );
            eprintln!("SKIPPED: {PROGRAM} is missing");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        Some(Self {
            port,
            process: run(port),
        })
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    fn restart(&mut self) {
        self.kill();
        self.process = run(self.port);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn run(port: u16) -> Child {
    let process = Command::new(PROGRAM)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server starts");
    let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    for _ in 0..100 {
        if listens() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    process
}

async fn start(app: App, server: &Server) -> Running {
    let builder = app.builder().redis(Redis::Server(server.url()));
    app.start_with(builder).await
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_through_a_server_and_again_after_it_was_gone() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let app = start(App::new(LISTENS), &server).await;
    app.host.publish("c", "1").await.unwrap();
    let address = server.url();
    app.probe(&format!("redis/publish?address={address}&key=c&value=2"))
        .await
        .unwrap();
    assert_eq!(app.messages(2).await, ["1", "2"]);
    server.kill();
    app.host.publish("c", "lost").await.unwrap_err();
    server.restart();
    // Pub/sub keeps nothing, so repeat until the subscription stands again.
    for _ in 0..100 {
        let _ = app.host.publish("c", "3").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        if app.messages(2).await.len() > 2 {
            break;
        }
    }
    assert_eq!(app.messages(3).await[2], "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_later_is_found() {
    let Some(mut server) = Server::start() else {
        return;
    };
    server.kill();
    let app = start(App::new(LISTENS), &server).await;
    assert_eq!(app.probe("served").await.unwrap(), 1);
    server.restart();
    for _ in 0..100 {
        let _ = app.host.publish("c", "found").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let kept = app.sql("default", "SELECT count(*) FROM messages").await;
        if kept.is_ok_and(|answer| answer["rows"] != json!([[0]])) {
            return;
        }
    }
    panic!("the server was not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_variable_alone_chooses_the_server() {
    let Some(server) = Server::start() else {
        return;
    };
    let app = App::new(LISTENS);
    let builder = app
        .builder()
        .redis(Redis::Auto)
        .variable("redis_url", server.url());
    let app = app.start_with(builder).await;
    let address = server.url();
    app.probe(&format!("redis/set?address={address}&key=k&value=v"))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_interface_works() {
    let Some(server) = Server::start() else {
        return;
    };
    let app = start(App::new(LISTENS), &server).await;
    let call = async |operation: &str, rest: &str| {
        app.probe(&format!(
            "redis/{operation}?address={}&{rest}",
            server.url()
        ))
        .await
    };
    assert_eq!(call("get", "key=k").await.unwrap(), json!(null));
    call("set", "key=k&value=v").await.unwrap();
    assert_eq!(call("get", "key=k").await.unwrap(), json!("v"));
    assert_eq!(call("incr", "key=n").await.unwrap(), json!(1));
    assert_eq!(call("incr", "key=k").await.unwrap_err(), "Error::TypeError");
    assert_eq!(call("sadd", "key=s&value=a").await.unwrap(), json!(1));
    assert_eq!(
        call("sadd", "key=k&value=a").await.unwrap_err(),
        "Error::TypeError"
    );
    assert_eq!(call("smembers", "key=s").await.unwrap(), json!(["a"]));
    assert_eq!(call("srem", "key=s&value=a").await.unwrap(), json!(1));
    assert_eq!(call("del", "key=k").await.unwrap(), json!(1));
    assert!(
        call("execute", "value=PING")
            .await
            .unwrap()
            .as_str()
            .unwrap()
            .contains("PONG")
    );
    let error = call("execute", "value=NONSENSE").await.unwrap_err();
    assert!(error.contains("unknown command"), "{error}");
    let elsewhere = app
        .probe("redis/get?address=redis://127.0.0.2:6379&key=k")
        .await;
    assert_eq!(elsewhere.unwrap_err(), "Error::InvalidAddress");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_may_be_in_redis() {
    let Some(server) = Server::start() else {
        return;
    };
    let app = App::new("key_value_stores = ['shared']")
        .with_runtime_config(&format!(
            "[key_value_store.shared]\ntype = 'redis'\nurl = '{}'",
            server.url()
        ))
        .start()
        .await;
    crate::key_value::check(&app, "shared").await;
}
