//! `cargo xtask bench`: the figures of `docs/performance.md`, each measured in one run with what limits
//! it. One file for each group of lines; the load generator is `load`, the buyers are `buyers`.

mod books;
mod buyers;
mod figures;
mod growth;
mod guard;
mod host;
mod load;
mod logins;
mod messages;
mod native;
mod orders;
mod outage;
mod plot;
mod reads;
mod redis;
mod report;
mod setting;
mod shop;
mod sizes;
mod start;
mod tokens;
mod watch;
mod windows;

use clap::{Parser, ValueEnum};
use figures::Table;
use setting::{Kind, Setting};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Measures the shop against the limits of this machine, and writes docs/performance.md
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Bench {
    /// Two minutes at most: short measurements, and nothing is written. A smoke test, not figures
    #[arg(long)]
    quick: bool,

    /// What runs the components
    #[arg(long, value_enum, default_value_t = Kind::Embedded)]
    host: Kind,

    /// A Redis server for the channels (redis://host:port); without, the embedded host delivers itself
    #[arg(long, value_name = "URL")]
    redis: Option<String>,

    /// Only these groups of lines; nothing is written then
    #[arg(long, value_enum, value_name = "GROUP")]
    only: Vec<Group>,

    /// Orders to follow from POST to paid, one after the other [default: 300]
    #[arg(long)]
    orders: Option<usize>,

    /// Clients that order at once, instead of 1, 16, 64 and 256; may be repeated; nothing is written then
    #[arg(long, value_name = "COUNT")]
    clients: Vec<usize>,

    /// Keep databases in this folder instead of a temporary one (disks differ in how they sync)
    #[arg(long)]
    folder: Option<PathBuf>,

    /// Measure something else instead: so many orders wait for a Redis that is away (redis-server from PATH)
    #[arg(long, value_name = "ORDERS")]
    redis_outage: Option<usize>,

    /// Measure something else instead: 1, 10 and 100 times so many orders in the databases; takes long
    #[arg(long, value_name = "ORDERS", num_args = 0..=1, default_missing_value = "1000")]
    growth: Option<u64>,

    /// Serve these databases natively; for the bench itself
    #[arg(long, hide = true, value_name = "FOLDER")]
    native_server: Option<PathBuf>,
}

/// A group of lines of the table.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    Start,
    Orders,
    Reads,
    Guard,
    Logins,
    Messages,
    Sizes,
}

fn main() -> ExitCode {
    let bench = Bench::parse();
    let result = tokio::runtime::Runtime::new()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(bench.run()));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Bench {
    async fn run(self) -> anyhow::Result<()> {
        if let Some(databases) = &self.native_server {
            return native::serve(databases).await;
        }
        let own = std::env::temp_dir().join(format!("wasmart-bench-{}", std::process::id()));
        let folder = std::path::absolute(self.folder.as_ref().unwrap_or(&own))?;
        std::fs::create_dir_all(&folder)?;
        let result = self.measure(&folder).await;
        if self.folder.is_none() {
            std::fs::remove_dir_all(&own).ok();
        }
        result
    }

    async fn measure(&self, folder: &Path) -> anyhow::Result<()> {
        let mut table = Table::default();
        // Spin has no channels of its own.
        let needed = self.host == Kind::Spin && self.redis.is_none();
        let own = needed.then(redis::Redis::start).transpose()?;
        let url = self.redis.clone().or(own.as_ref().map(redis::Redis::url));
        let setting = Setting::new(self.host, url, self.quick, folder.to_owned())?;
        if let Some(orders) = self.redis_outage {
            outage::measure(&setting, orders, &mut table).await?;
            return self.write("outage", &table, folder, "");
        }
        if let Some(orders) = self.growth {
            growth::measure(&setting, orders, &mut table).await?;
            let plot = "\n![Orders settled per second over orders already there](growth.svg)\n";
            return self.write("growth", &table, folder, plot);
        }
        self.groups(&setting, &mut table).await?;
        let section = match (self.host, &self.redis) {
            (Kind::Spin, _) => "spin",
            (Kind::Embedded, Some(_)) => "redis",
            (Kind::Embedded, None) => "embedded",
        };
        self.write(section, &table, folder, "")
    }

    async fn groups(&self, setting: &Setting, table: &mut Table) -> anyhow::Result<()> {
        let orders = self.orders.unwrap_or(setting.or_quick(300, 20));
        let is_wanted = |group| self.only.is_empty() || self.only.contains(&group);
        for group in Group::value_variants() {
            if !is_wanted(*group) {
                continue;
            }
            match group {
                Group::Start => start::measure(setting, orders, table).await?,
                Group::Orders => orders::measure(setting, &self.clients, table).await?,
                Group::Reads => reads::measure(setting, table).await?,
                Group::Guard => guard::measure(setting, table).await?,
                Group::Logins => logins::measure(setting, table).await?,
                Group::Messages => messages::measure(setting, table).await?,
                Group::Sizes => sizes::measure(table)?,
            }
        }
        Ok(())
    }

    fn write(
        &self,
        section: &str,
        table: &Table,
        folder: &Path,
        after: &str,
    ) -> anyhow::Result<()> {
        if self.quick || !self.only.is_empty() || !self.clients.is_empty() {
            return Ok(());
        }
        report::write(section, table, folder, after)
    }
}
