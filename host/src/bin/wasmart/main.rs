//! The `wasmart` command: serves the application, and holds the shop's operator commands. One file each.

mod dead;
mod keys;
mod logging;
mod mail;
mod operator;
mod saga;
mod up;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rustix::fs::Mode;

#[derive(Parser)]
#[command(
    name = "wasmart",
    version,
    about = "Serves the shop without Spin, and looks after it"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the application until interrupted
    Up(up::Up),
    /// Check every invariant over all databases; fails when one is broken
    Verify(verify::Verify),
    /// Look into sagas and move them
    Saga(saga::Saga),
    /// Look into dead letters and move them
    Dead(dead::Dead),
    /// Show mails that wait to be delivered
    Mail(mail::Mail),
    /// Look at the keys that sign tokens, bring new ones in and take old ones out
    Keys(keys::Keys),
}

fn main() -> ExitCode {
    // Only the user may read what a command writes, above all keys.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let done = |result: anyhow::Result<()>| result.map(|()| ExitCode::SUCCESS);
    let result = match Arguments::parse().command {
        Command::Up(up) => done(up.run()),
        Command::Verify(verify) => verify.run(),
        Command::Saga(saga) => done(saga.run()),
        Command::Dead(dead) => done(dead.run()),
        Command::Mail(mail) => done(mail.run()),
        Command::Keys(keys) => done(keys.run()),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
