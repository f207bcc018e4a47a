//! `cargo xtask test`: everything that CI checks, in the order in which it fails fastest.

use crate::bench::Bench;
use crate::build::{self, TARGET};
use crate::{HostKind, cargo, run, spin};
use clap::Args;
use std::process::ExitCode;

#[derive(Args)]
pub struct Test {
    /// What runs the components in the black-box tests
    #[arg(long, value_enum, default_value_t = HostKind::Embedded)]
    host: HostKind,

    /// Only tests whose name contains this
    filter: Option<String>,
}

impl Test {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if self.host == HostKind::Spin {
            spin::check_version()?;
        }
        step("format");
        run(cargo(&["fmt", "--all", "--check"]))?;
        step("components");
        build::components()?;
        step("clippy, for this machine");
        run(cargo(&["clippy", "--all-targets", "--", "-D", "warnings"]))?;
        step("clippy, for the components");
        let mut clippy = vec!["clippy", "--release", "--target", TARGET];
        clippy.extend(build::packages());
        clippy.extend(["--", "-D", "warnings"]);
        run(cargo(&clippy))?;
        step("tests");
        self.tests()?;
        // A filter asks for some tests, not for everything.
        if self.filter.is_none() && self.host == HostKind::Embedded {
            step("bench, the quick one");
            Bench::quick().run()?;
        }
        println!("\nAll checks and tests passed.");
        Ok(ExitCode::SUCCESS)
    }

    /// nextest where it is there; `cargo test` runs the same tests, one after the other.
    fn tests(&self) -> anyhow::Result<()> {
        let nextest = cargo(&["nextest", "--version"]).output();
        let mut command = match nextest {
            Ok(version) if version.status.success() => cargo(&["nextest", "run", "--no-fail-fast"]),
            _ => cargo(&["test", "--no-fail-fast"]),
        };
        if self.host == HostKind::Spin {
            command.env("WASMART_HOST", "spin");
        }
        command.args(&self.filter);
        run(command)
    }
}

fn step(name: &str) {
    println!("\n── {name}");
}
