//! Building: the components for WebAssembly, the embedded host for this machine.

use crate::{cargo, root, run};
use anyhow::Context;
use std::path::PathBuf;
use std::process::Command;

/// What the components are built for.
pub const TARGET: &str = "wasm32-wasip2";
/// The packages under `components/`.
pub const COMPONENTS: [&str; 7] = [
    "auth",
    "users",
    "stock",
    "billing",
    "orders",
    "notifications",
    "guard",
];

/// `-p auth -p users …`
pub fn packages() -> Vec<&'static str> {
    COMPONENTS.iter().flat_map(|name| ["-p", name]).collect()
}

/// Builds every component, after adding the target where it is missing.
pub fn components() -> anyhow::Result<()> {
    add_target()?;
    let mut arguments = vec!["build", "--release", "--target", TARGET];
    arguments.extend(packages());
    run(cargo(&arguments))
}

/// Builds the component that does nothing, for the bench.
pub fn empty_component() -> anyhow::Result<()> {
    let package = ["-p", "host-test-empty"];
    run(cargo(
        &[&["build", "--release", "--target", TARGET][..], &package].concat(),
    ))
}

/// Builds the embedded host and gives its path.
pub fn host() -> anyhow::Result<PathBuf> {
    program("wasmart")
}

/// Builds what `cargo xtask bench` runs and gives its path.
pub fn bench() -> anyhow::Result<PathBuf> {
    program("wasmart-bench")
}

fn program(name: &str) -> anyhow::Result<PathBuf> {
    run(cargo(&["build", "--bin", name]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    Ok(root().join(target).join("debug").join(name))
}

/// rustup knows whether the target is there; without rustup, cargo's own error must do.
fn add_target() -> anyhow::Result<()> {
    let Ok(list) = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .current_dir(root())
        .output()
    else {
        return Ok(());
    };
    if String::from_utf8_lossy(&list.stdout)
        .lines()
        .any(|line| line.trim() == TARGET)
    {
        return Ok(());
    }
    println!("Adding the target {TARGET} …");
    let mut add = Command::new("rustup");
    add.args(["target", "add", TARGET]).current_dir(root());
    run(add).context("the components need this target")
}
