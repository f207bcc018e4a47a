//! New keys for tokens while the shop runs: at no moment is a valid token refused.

use crate::harness::app::ADMIN;
use crate::harness::process::{Process, said};
use crate::harness::wait::within;
use crate::harness::{Actor, workspace};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use wasmart_keys::KeySet;

/// A path of every service that checks tokens.
const GUARDED: [&str; 4] = [
    "/users/me",
    "/orders",
    "/billing/account/my",
    "/notifications",
];

/// How long the next key is only published here. In earnest it is ten minutes.
const AFTER: u64 = 4;

/// `wasmart keys …` on these files.
fn keys(folder: &Path, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(workspace::wasmart());
    command.env_clear().arg("keys").args(words);
    said(command.arg("--folder").arg(folder))
}

fn kid(token: &str) -> String {
    let head = BASE64.decode(token.split('.').next().unwrap_or_default());
    let head: Value = serde_json::from_slice(&head.expect("base64url")).expect("JSON");
    head["kid"].as_str().expect("a kid").to_owned()
}

async fn published(actor: &Actor) -> Vec<String> {
    let set = actor.get("/.well-known/jwks.json").await.expect(200).json();
    let keys = set["keys"].as_array().expect("keys").iter();
    keys.map(|key| {
        assert!(
            key.get("signs_from").is_none(),
            "more than is public: {key}"
        );
        key["kid"].as_str().expect("a kid").to_owned()
    })
    .collect()
}

async fn is_let_in_everywhere(actor: &Actor) {
    for path in GUARDED {
        actor.get(path).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_while_the_shop_runs_and_no_valid_token_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let key_folder = folder.path().join("keys");
    KeySet::load_or_create(&key_folder).expect("made");
    let options = KeySet::changing(&key_folder).map(|(name, path)| {
        [
            "--variable-file".to_owned(),
            format!("{name}={}", path.display()),
        ]
    });
    let options: Vec<&str> = options.iter().flatten().map(String::as_str).collect();
    let shop = Process::start_with(folder.path(), &options);
    let early = Actor::register(shop.address(), "early@example.com").await;
    let unseen = Actor::log_in(shop.address(), ADMIN.0, ADMIN.1).await;
    let old = kid(early.token.as_deref().expect("a token"));
    is_let_in_everywhere(&early).await;
    assert_eq!(published(&early).await, [old.as_str()]);

    let (status, said) = keys(&key_folder, &["rotate", "--after", &AFTER.to_string()]);
    assert_eq!(status, Some(0), "{said}");
    let new = said.split_whitespace().next().expect("a kid").to_owned();
    let (status, said) = keys(&key_folder, &["rotate"]);
    assert_eq!(
        (status, said.contains("on its way")),
        (Some(1), true),
        "{said}"
    );
    // First it is published, and the old one signs on.
    within(Duration::from_secs(3), "two keys", async || {
        (published(&early).await == [old.as_str(), &new]).then_some(())
    })
    .await;
    let before = Actor::register(shop.address(), "before@example.com").await;
    assert_eq!(kid(before.token.as_deref().expect("a token")), old);

    // Then it signs: in each instance of auth within a minute, in a fresh one at once.
    let mut number = 0;
    let after = within(Duration::from_secs(100), "the new key signs", async || {
        number += 1;
        let actor = Actor::register(shop.address(), &format!("a{number}@example.com")).await;
        for known in [&early, &before, &actor] {
            is_let_in_everywhere(known).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        (kid(actor.token.as_deref().expect("a token")) == new).then_some(actor)
    })
    .await;
    // One that no guard has seen yet, from before.
    is_let_in_everywhere(&unseen).await;

    let (status, said) = keys(&key_folder, &["retire"]);
    assert_eq!(
        (status, said.trim()),
        (Some(0), "no key can be retired yet")
    );
    let (status, said) = keys(&key_folder, &["retire", &old]);
    assert_eq!(
        (status, said.contains("--force")),
        (Some(1), true),
        "{said}"
    );
    let (_, said) = keys(&key_folder, &["list"]);
    assert!(
        said.contains(&format!("{old}  old; can be retired in")),
        "{said}"
    );
    assert!(said.contains(&format!("{new}  signs")), "{said}");

    ends_by_force(&key_folder, &old, &before).await;
    is_let_in_everywhere(&after).await;
    assert_eq!(published(&after).await, [new]);
}

/// A key that somebody else has goes at once, and all its tokens go with it, known or not.
async fn ends_by_force(key_folder: &Path, kid: &str, actor: &Actor) {
    let (status, said) = keys(key_folder, &["retire", kid, "--force"]);
    assert_eq!(status, Some(0), "{said}");
    within(Duration::from_secs(100), "the old key's end", async || {
        for path in GUARDED {
            let answer = actor.send(actor.request("GET", path)).await;
            if answer.status == 200 {
                return None;
            }
            answer.refused(401, "invalid-token");
        }
        Some(())
    })
    .await;
}
