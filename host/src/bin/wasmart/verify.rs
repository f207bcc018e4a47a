//! `wasmart verify`: do the books add up? Read-only, on a shop that runs or rests.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use wasmart_printable::escape;

/// Between two readings: longer than any message is under way.
const APART: Duration = Duration::from_secs(2);

#[derive(Args)]
pub struct Verify {
    /// The folder that holds the databases
    #[arg(long, default_value = ".wasmart")]
    folder: PathBuf,
}

impl Verify {
    /// Prints the first row that breaks each rule; fails when there is any.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let faults = wasmart_verify::verify(&self.folder, APART)?;
        let mut last = None;
        for fault in &faults {
            if last != Some(fault.rule) {
                println!("BROKEN: {}\n        {}", fault.rule, escape(&fault.row));
                last = Some(fault.rule);
            }
        }
        if faults.is_empty() {
            println!("The books add up.");
            return Ok(ExitCode::SUCCESS);
        }
        println!("{} rows in all break a rule.", faults.len());
        Ok(ExitCode::FAILURE)
    }
}
