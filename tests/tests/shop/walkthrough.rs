//! The walk through the shop in README.md, word for word.

use crate::harness::app::ADMIN;
use crate::harness::{Actor, App, workspace};
use serde_json::json;
use std::process::Command;

const BEGIN: &str = "<!-- walkthrough:begin -->";
const END: &str = "<!-- walkthrough:end -->";
/// Where the shop of the README is.
const SHOP: &str = "http://127.0.0.1:3000";

/// The shell blocks between the marks, one after the other, as one reader runs them.
fn script(readme: &str) -> String {
    let walk = readme
        .split(BEGIN)
        .nth(1)
        .and_then(|rest| rest.split(END).next());
    let blocks = walk
        .expect("README.md has a walk-through")
        .split("```sh\n")
        .skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap_or_default())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_walk_through_in_the_readme_works_word_for_word() {
    let readme = std::fs::read_to_string(workspace::root().join("README.md")).expect("README.md");
    let script = script(&readme);
    assert!(
        script.contains(SHOP) && script.contains("curl"),
        "no walk-through: {script}"
    );

    let app = App::start().await;
    let base = app.address().url();
    let script = script.replace(SHOP, &base);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().to_owned();
    let walked = tokio::task::spawn_blocking(move || {
        wasmart_demo::seed(&base, ADMIN.0, ADMIN.1).unwrap_or_else(|error| panic!("{error}"));
        let mut bash = Command::new("bash");
        bash.current_dir(path)
            .args(["-e", "-u", "-o", "pipefail", "-c", &script]);
        bash.output().expect("bash runs")
    });
    let output = walked.await.expect("no panic");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}\n{said}\n{complaint}",
        output.status
    );
    assert!(
        said.contains(r#""status":"paid""#),
        "the order is not paid:\n{said}"
    );
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("readable")
        .collect();
    assert!(left.is_empty(), "the walk leaves files behind: {left:?}");
    app.finish().await;
}

/// Puts the demonstration in and counts what is there then.
async fn seed(app: &App) -> Vec<(String, i64)> {
    let base = app.address().url();
    let seeded = tokio::task::spawn_blocking(move || wasmart_demo::seed(&base, ADMIN.0, ADMIN.1));
    let seeded = seeded.await.expect("no panic");
    seeded.unwrap_or_else(|error| panic!("{error}"));
    app.quiet().await;
    let mut counts = app.books().counts();
    // Each login leaves tokens and a record behind.
    counts.retain(|(table, _)| !table.ends_with("_tokens") && table != "auth.audit");
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn seeding_a_demonstration_twice_changes_nothing() {
    let app = App::start().await;
    let once = seed(&app).await;
    assert_eq!(seed(&app).await, once);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_that_an_interrupted_seeding_missed_is_made_by_the_next() {
    let app = App::start().await;
    let (user, money) = &wasmart_demo::USERS[0];
    let account = json!({"email": user.email, "password": user.password});
    let anonymous = app.anonymous();
    anonymous.post("/auth/register", &account).await.expect(201);
    seed(&app).await;
    let ann = Actor::log_in(app.address(), user.email, user.password).await;
    assert_eq!(ann.balance().await, *money);
    app.finish().await;
}
