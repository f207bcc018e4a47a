//! Proxy variables of the environment: the operator's commands, the ticks and the demonstration ignore them, as they send
//! the shared secret and passwords.

use crate::harness::app::Address;
use crate::harness::process::{operator, said};
use crate::harness::{App, workspace};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The names under which programs look for a proxy.
const NAMES: [&str; 6] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// A listener that records what it receives and always sends this answer.
fn listen(answer: String) -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let heard = Arc::new(Mutex::new(String::new()));
    let ear = heard.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            stream
                .set_read_timeout(Some(Duration::from_millis(200)))
                .ok();
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
                ear.lock().expect("no panic while held").push_str(&text);
            }
            stream.write_all(answer.as_bytes()).ok();
        }
    });
    (address, heard)
}

fn heard(by: &Mutex<String>) -> String {
    by.lock().expect("no panic while held").clone()
}

fn through(command: &mut Command, proxy: &str) {
    for name in NAMES {
        command.env(name, format!("http://{proxy}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shared_secret_goes_through_no_proxy() {
    let app = App::start().await;
    let (proxy, ear) = listen("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n".into());
    for words in [
        ["saga", "list"].as_slice(),
        &["dead", "list", "orders"],
        &["mail", "list"],
    ] {
        let mut command = operator(app.address(), words);
        through(&mut command, &proxy);
        let (status, said) = said(&mut command);
        assert_eq!(
            (status, heard(&ear)),
            (Some(0), String::new()),
            "{words:?}: {said}"
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shared_secret_follows_no_redirect() {
    let (elsewhere, ear) = listen("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".into());
    let moved =
        format!("HTTP/1.1 307 Moved\r\nlocation: http://{elsewhere}/\r\ncontent-length: 0\r\n\r\n");
    let (shop, asked) = listen(moved);
    let shop = Address::new(shop.parse().expect("an address"));
    for words in [
        ["saga", "list"].as_slice(),
        &["dead", "list", "orders"],
        &["mail", "list"],
    ] {
        let (status, said) = said(&mut operator(&shop, words));
        assert_eq!(
            (status, heard(&ear)),
            (Some(1), String::new()),
            "{words:?}: {said}"
        );
    }
    assert!(heard(&asked).contains(workspace::keys().internal_secret()));
}

/// What `cargo xtask up --demo` and its ticks use. In a process of its own, as the environment belongs to all tests.
#[tokio::test(flavor = "multi_thread")]
async fn the_demonstration_and_the_ticks_go_through_no_proxy() {
    let app = App::start().await;
    let (proxy, ear) = listen("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n".into());
    let program = std::env::current_exe().expect("a path");
    let mut command = Command::new(program);
    let name = "proxies::as_the_demonstration_does";
    command.args(["--exact", name, "--ignored", "--nocapture"]);
    command.env("SHOP", format!("{}/api/v1/health", app.address().url()));
    through(&mut command, &proxy);
    let (status, said) = said(&mut command);
    assert_eq!((status, heard(&ear)), (Some(0), String::new()), "{said}");
    assert!(said.contains("1 passed"), "{said}");
    app.finish().await;
}

#[test]
#[ignore = "a part of the test above"]
fn as_the_demonstration_does() {
    let shop = std::env::var("SHOP").expect("set by the test above");
    let answer = wasmart_demo::agent().get(shop).call().expect("an answer");
    assert_eq!(answer.status(), 200);
}
