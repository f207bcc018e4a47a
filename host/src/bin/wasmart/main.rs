//! The `wasmart` command: serves the application, and holds the shop's operator commands. One file each.

mod logging;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "wasmart",
    version,
    about = "Serves a Spin application without Spin"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the application until interrupted
    Up(up::Up),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Up(up) => up.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
