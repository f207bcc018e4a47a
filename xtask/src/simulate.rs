//! `cargo xtask simulate`: the shop under faults from seeds, as many as one has time for.

use crate::{build, cargo, run};
use clap::Args;
use std::process::ExitCode;

#[derive(Args)]
pub struct Simulate {
    /// How many seeds
    #[arg(long, default_value_t = 200)]
    seeds: u64,

    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
}

impl Simulate {
    /// Every run ends with the books checked; a run that fails names its seed, which fails again.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        build::components()?;
        let mut command = cargo(&["test", "--test", "shop", "--"]);
        command.args(["--exact", "simulation::seeds::seeds_as_asked_for"]);
        command.args(["--ignored", "--nocapture"]);
        command.env("WASMART_FROM_SEED", self.from.to_string());
        command.env("WASMART_SEEDS", self.seeds.to_string());
        run(command)?;
        Ok(ExitCode::SUCCESS)
    }
}
