//! `cargo xtask bench`: the figures of `docs/performance.md`, measured on this machine in one run.

mod host;
mod outage;
mod shop;

use crate::{build, root};
use clap::Args;
use host::Host;
use shop::Shop;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use wasmart_keys::KeySet;

#[derive(Args)]
pub struct Bench {
    /// Orders to follow from POST to paid, one after the other
    #[arg(long, default_value_t = 300)]
    orders: usize,

    /// Keep databases in this folder instead of a temporary one (disks differ in how they sync)
    #[arg(long)]
    folder: Option<PathBuf>,

    /// Measure something else instead: so many orders wait for a Redis that is away (redis-server from PATH)
    #[arg(long, value_name = "ORDERS")]
    redis_outage: Option<usize>,
}

impl Bench {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        build::components()?;
        let binary = build::host()?;
        let folder = self.folder.clone().unwrap_or_else(|| {
            std::env::temp_dir().join(format!("wasmart-bench-{}", std::process::id()))
        });
        std::fs::create_dir_all(&folder)?;
        let keys = KeySet::load_or_create(&folder.join("keys"))?;

        println!("| what | figure |\n|---|---|");
        match self.redis_outage {
            Some(orders) => outage::measure(&binary, &folder, &keys, orders)?,
            None => self.measure(&binary, &folder, &keys)?,
        }
        if self.folder.is_none() {
            std::fs::remove_dir_all(&folder).ok();
        }
        Ok(ExitCode::SUCCESS)
    }

    fn measure(&self, binary: &Path, folder: &Path, keys: &KeySet) -> anyhow::Result<()> {
        let (cold, host) = Host::start(binary, folder, keys, &[])?;
        row("host start, no compiled code kept", &ms(cold));
        drop(host);
        let begun = Instant::now();
        let (warm, host) = Host::start(binary, folder, keys, &[])?;
        row("host start, compiled code kept", &ms(warm));
        let shop = Shop::open(host.base.clone())?;
        shop.settle_one()?;
        row(
            "start of the host to the first paid order (kept code, empty shop)",
            &ms(begun.elapsed()),
        );
        row(
            "resident memory after that",
            &format!("{} MB", host.resident_mb()?),
        );
        let mut times = Vec::with_capacity(self.orders);
        for _ in 0..self.orders {
            times.push(shop.settle_one()?);
        }
        times.sort();
        row(
            &format!("POST /orders to paid, p50 of {} one by one", times.len()),
            &ms(at(&times, 50)),
        );
        row("the same, p99", &ms(at(&times, 99)));
        drop(host);
        for name in build::COMPONENTS {
            let path = root().join("target").join(build::TARGET).join("release");
            let bytes = std::fs::metadata(path.join(format!("{name}.wasm")))?.len();
            row(&format!("{name}.wasm"), &format!("{} kB", bytes / 1000));
        }
        Ok(())
    }
}

fn row(what: &str, figure: &str) {
    println!("| {what} | {figure} |");
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

fn at(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}
