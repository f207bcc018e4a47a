//! The project's commands. Each is a file; this one only chooses.

mod bench;
mod build;
mod clean_data;
mod simulate;
mod spin;
mod test;
mod up;

use clap::{Parser, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, run and test the shop")]
enum Xtask {
    #[command(flatten)]
    Run(Run),
}

#[derive(Subcommand)]
enum Run {
    /// Build everything and run the shop
    Up(up::Up),
    /// Check and test everything, as CI does
    Test(test::Test),
    /// Run the shop under faults from seeds, in simulated time
    Simulate(simulate::Simulate),
    /// Measure the figures of docs/performance.md
    Bench(bench::Bench),
    /// Build the components for wasm32-wasip2
    Build,
    /// Remove the shop's databases, stores and keys (.wasmart)
    CleanData,
}

/// What runs the components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum HostKind {
    /// The project's own host; needs nothing installed
    Embedded,
    /// The Spin CLI, 4.1 or newer, from PATH
    Spin,
}

fn main() -> ExitCode {
    let Xtask::Run(command) = Xtask::parse();
    let result = match command {
        Run::Up(up) => up.run(),
        Run::Test(test) => test.run(),
        Run::Simulate(simulate) => simulate.run(),
        Run::Bench(bench) => bench.run(),
        Run::Build => build::components().map(|()| ExitCode::SUCCESS),
        Run::CleanData => clean_data::run(),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// The repository's root: where the manifests are and where all commands run.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// A cargo command at the root, with the cargo that runs this.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    // What `cargo run` says of this very package. Build scripts look at it (ring's does), so the same command typed by
    // hand would compile them, and all behind them, anew.
    for (name, _) in std::env::vars_os() {
        let named = |prefix: &str| name.to_str().is_some_and(|name| name.starts_with(prefix));
        if named("CARGO_PKG_") || named("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command, its output passed through, and makes a failure an error that names it.
fn run(mut command: Command) -> anyhow::Result<()> {
    let shown = format!("{command:?}").replace('"', "");
    let status = command
        .status()
        .map_err(|error| anyhow::anyhow!("{shown}: {error}"))?;
    anyhow::ensure!(status.success(), "{shown} failed ({status})");
    Ok(())
}
