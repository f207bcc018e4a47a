//! `cargo xtask bench`: builds what is measured, and what measures it (`crates/bench`).

use crate::{build, run, spin};
use clap::Args;
use std::process::{Command, ExitCode};

#[derive(Args)]
#[command(disable_help_flag = true)]
pub struct Bench {
    /// Options of the bench; --help lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

impl Bench {
    /// The smoke test: every line once, without figures worth keeping.
    pub fn quick() -> Bench {
        Bench {
            options: vec!["--quick".to_owned()],
        }
    }

    pub fn run(self) -> anyhow::Result<ExitCode> {
        if self
            .options
            .iter()
            .any(|o| o == "spin" || o == "--host=spin")
        {
            spin::check_version()?;
        }
        build::components()?;
        build::empty_component()?;
        build::host()?;
        let mut bench = Command::new(build::bench()?);
        bench.args(self.options);
        run(bench)?;
        Ok(ExitCode::SUCCESS)
    }
}
