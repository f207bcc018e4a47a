//! What all measurements share: where things are, what runs the components, how long to measure.

use crate::tokens::Mint;
use crate::windows::Pace;
use anyhow::{Context, ensure};
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use wasmart_keys::KeySet;

/// What runs the components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The project's own host
    Embedded,
    /// The Spin CLI, 4.1 or newer, from PATH
    Spin,
}

/// What all measurements share.
pub struct Setting {
    pub kind: Kind,
    /// A Redis server for the channels, where the shop is to use one.
    pub redis: Option<String>,
    pub quick: bool,
    pub keys: KeySet,
    pub mint: Mint,
    folder: PathBuf,
}

impl Setting {
    pub fn new(
        kind: Kind,
        redis: Option<String>,
        quick: bool,
        folder: PathBuf,
    ) -> anyhow::Result<Setting> {
        let keys = KeySet::load_or_create(&folder.join("keys"))?;
        Ok(Setting {
            kind,
            redis,
            quick,
            mint: Mint::new(&keys)?,
            keys,
            folder,
        })
    }

    /// A folder of its own for a measurement. Compiled code is shared by all.
    pub fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join(name);
        std::fs::create_dir_all(folder.join(".wasmart"))?;
        let (own, all) = (
            folder.join(".wasmart/compiled"),
            self.folder.join("compiled"),
        );
        std::fs::create_dir_all(&all)?;
        if !own.exists() {
            std::os::unix::fs::symlink(&all, own)?;
        }
        Ok(folder)
    }

    /// How long a measurement of requests takes.
    pub fn pace(&self) -> Pace {
        if self.quick {
            return Pace {
                warm: Duration::from_millis(200),
                window: Duration::from_millis(500),
                windows: 1,
            };
        }
        Pace {
            warm: Duration::from_secs(1),
            window: Duration::from_secs(2),
            windows: 3,
        }
    }

    /// The same for orders, whose databases have a rhythm of their own.
    pub fn order_pace(&self) -> Pace {
        let pace = self.pace();
        Pace {
            window: pace.window * 2,
            ..pace
        }
    }

    /// One of two numbers, the second for a quick run.
    pub fn or_quick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// The repository's root.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_owned()
}

/// A program that was built beside this one.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(path.exists(), "{} is not built", path.display());
    Ok(path)
}

/// A built component.
pub fn wasm(name: &str) -> PathBuf {
    root().join(format!("target/wasm32-wasip2/release/{name}.wasm"))
}

/// `wasmart verify` on a folder's databases; what it says when it finds nothing, an error when it does.
pub fn verify(folder: &Path) -> anyhow::Result<String> {
    let output = Command::new(program("wasmart")?)
        .current_dir(folder)
        .arg("verify")
        .output()
        .context("can't run wasmart verify")?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "wasmart verify: {said} {errors}");
    Ok(said)
}
