//! `cargo xtask clean-data`: an empty shop again.

use crate::root;
use anyhow::Context;
use std::io::ErrorKind;
use std::process::ExitCode;

pub fn run() -> anyhow::Result<ExitCode> {
    let data = root().join(".wasmart");
    match std::fs::remove_dir_all(&data) {
        Ok(()) => println!("Removed {}: databases, stores, keys", data.display()),
        Err(error) if error.kind() == ErrorKind::NotFound => println!("There is no data"),
        Err(error) => {
            return Err(error).with_context(|| format!("can't remove {}", data.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}
