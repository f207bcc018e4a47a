//! `wasmart up` that can't: one line that says what is wrong and what to do, and no start.

use crate::harness::process::{Process, said, set, up};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// Runs `wasmart up` after `change`, and gives the one line it ends with.
fn fault(change: impl FnOnce(&Path, &mut Command)) -> String {
    fault_with(&[], change)
}

/// As [`fault`], with other options.
fn fault_with(options: &[(&str, &str)], change: impl FnOnce(&Path, &mut Command)) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = up(folder.path(), options);
    change(folder.path(), &mut command);
    let (status, said) = said(&mut command);
    assert_eq!(status, Some(1), "{said}");
    assert!(
        !said.contains("panicked") && !said.contains("backtrace"),
        "{said}"
    );
    let mut errors = said.lines().filter(|line| line.starts_with("error:"));
    let line = errors.next().unwrap_or_else(|| panic!("no error: {said}"));
    assert!(
        errors.next().is_none() && said.ends_with(&format!("{line}\n")),
        "more than a line: {said}"
    );
    line.to_owned()
}

#[track_caller]
fn says(line: &str, words: &[&str]) {
    for word in words {
        assert!(line.contains(word), "not a word of {word}: {line}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let line = fault_with(&[("--listen", &address)], |_, _| {});
    says(&line, &[&address, "in use", "--listen"]);
}

#[test]
fn a_missing_key_is_named() {
    let line = fault(|_, command| {
        command.env_remove("SPIN_VARIABLE_JWT_PRIVATE_KEY");
    });
    says(&line, &["jwt_private_key", "SPIN_VARIABLE_JWT_PRIVATE_KEY"]);
}

#[test]
fn an_issuer_that_would_be_trusted_with_anything_is_named() {
    let line = fault(|_, command| {
        let anyone = r#"[{"issuer":"https://kc.example"}]"#;
        set(command, "trusted_issuers", anyone);
    });
    says(
        &line,
        &[
            "trusted_issuers",
            "https://kc.example",
            "`audience` or `azp`",
        ],
    );
}

#[test]
fn a_broken_provider_is_named_without_its_secret() {
    let line = fault(|_, command| {
        let broken = r#"[{"name":"idp","client_secret":"hush"}]"#;
        set(command, "providers", broken);
    });
    says(&line, &["providers", "line 1"]);
    assert!(!line.contains("hush"), "the secret is told: {line}");
}

#[test]
fn a_file_of_a_variable_that_is_not_there_is_named() {
    let line = fault(|_, command| {
        command.args(["--variable-file", "jwks=nowhere/jwks.json"]);
    });
    says(&line, &["jwks", "nowhere/jwks.json"]);
}

#[test]
fn a_broken_key_is_named() {
    let line = fault(|_, command| set(command, "jwt_private_key", "nonsense"));
    says(&line, &["jwt_private_key"]);
    assert!(!line.contains("nonsense"), "the key is told: {line}");
}

#[test]
fn a_broken_key_set_is_named() {
    let line = fault(|_, command| set(command, "jwks", "nonsense"));
    says(&line, &["jwks"]);
}

#[test]
fn a_key_set_of_another_key_is_named() {
    let other = crate::harness::workspace::other_keys();
    let jwks = other
        .variables()
        .iter()
        .find(|(name, _)| *name == "jwks")
        .map(|(_, value)| *value);
    let line = fault(|_, command| set(command, "jwks", jwks.expect("a key set")));
    says(&line, &["jwks", "jwt_private_key"]);
}

#[test]
fn a_database_that_cannot_be_opened_is_named() {
    let line = fault(|folder, _| {
        std::fs::create_dir_all(folder.join(".wasmart/orders.db")).expect("a folder");
    });
    says(&line, &["orders.db"]);
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let line = fault(|folder, _| {
        std::fs::write(
            folder.join(".wasmart/stock.db"),
            "this is no database, ".repeat(99),
        )
        .expect("a file");
    });
    says(&line, &["stock.db"]);
}

#[test]
fn a_missing_manifest_is_named() {
    let line = fault_with(&[("--from", "/nowhere/none.toml")], |_, _| {});
    says(&line, &["none.toml"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_out_of_reach_is_named_and_waited_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = crate::harness::redis::free_port();
    let url = format!("redis://127.0.0.1:{port}");
    let mut shop = Process::start_with(folder.path(), &["--redis", &url]);
    // It may come at any time, so the shop serves what it can.
    let ann = crate::harness::Actor::register(shop.address(), "ann@example.com").await;
    ann.deposit(5).await;
    assert_eq!(ann.balance().await, 5);
    shop.kill();
    let log = shop.log();
    let line = log.lines().find(|line| line.contains(&url));
    let line = line.unwrap_or_else(|| panic!("not a word of {url}: {log}"));
    says(line, &["Redis", "not reachable"]);
    let line = line.to_lowercase();
    assert!(
        line.contains("start") || line.contains("--redis"),
        "not what to do: {line}"
    );
}
