//! Growth: the same orders with 1, 10 and 100 times as many in the databases already, on one host with
//! its own channels, and on one and two hosts that share a Redis.

use crate::books::{self, Order, Plan};
use crate::buyers::{Settled, settle};
use crate::figures::{Line, Table, grouped, ms};
use crate::host::{Host, Start};
use crate::orders::{commit_all, shown};
use crate::plot::{Curve, draw};
use crate::redis::Redis;
use crate::setting::{self, Kind, Setting};
use crate::shop::Clients;
use anyhow::ensure;
use std::path::Path;
use std::time::{Duration, Instant};

/// Clients at once.
const CLIENTS: usize = 64;
/// Customers who made the old orders.
const USERS: usize = 200;
const ITEMS: usize = 20;
/// Orders in one commit while filling.
const CHUNK: u64 = 5_000;

/// Where the plot goes.
pub const PLOT: &str = "docs/growth.svg";

/// Hosts, and whether they share a Redis.
const SHAPES: [(&str, usize, bool); 3] = [
    ("one host, own channels", 1, false),
    ("one host on Redis", 1, true),
    ("two hosts on one Redis", 2, true),
];

/// `base` is what 1 × means.
pub async fn measure(setting: &Setting, base: u64, table: &mut Table) -> anyhow::Result<()> {
    let redis = Redis::is_there();
    if !redis {
        table.add(Line::new("hosts on Redis", "no redis-server on PATH"));
    }
    let mut curves: Vec<Curve> = SHAPES.map(|(name, _, _)| Curve::new(name)).into();
    let mut first: Vec<Option<Settled>> = SHAPES.map(|_| None).into();
    for factor in [1, 10, 100] {
        let orders = base * factor;
        let mut said = (String::new(), Duration::ZERO);
        for (index, (name, hosts, on_redis)) in SHAPES.into_iter().enumerate() {
            // Spin has no channels of its own.
            if on_redis && !redis || !on_redis && setting.kind == Kind::Spin {
                continue;
            }
            let folder = setting.folder(&format!("growth-{factor}-{index}"))?;
            fill(&folder.join(".wasmart"), orders)?;
            let settled = settle_on(setting, &folder, hosts, on_redis).await?;
            let begun = Instant::now();
            said = (setting::verify(&folder)?, begun.elapsed().max(said.1));
            std::fs::remove_dir_all(&folder)?;

            let what = format!(
                "{} orders there, {name}, {CLIENTS} clients",
                grouped(orders)
            );
            let mut line = Line::new(what, shown(&settled));
            if let Some(first) = &first[index] {
                let (one, now) = (first.cpu.as_secs_f64(), settled.cpu.as_secs_f64());
                line = line.limit("processor at 1 ×", one, &ms(first.cpu), now);
                line = line.aim("≤ 1.2 ×");
            }
            table.add(line);
            curves[index].add(orders, settled.measured.rate);
            first[index].get_or_insert(settled);
        }
        let what = format!(
            "`wasmart verify` on {} orders and those of a run",
            grouped(orders)
        );
        let (said, longest) = said;
        table.add(Line::new(
            what,
            format!("{said} (in {} at most)", ms(longest)),
        ));
    }
    if !setting.quick {
        curves.retain(|curve| !curve.is_empty());
        draw(&setting::root().join(PLOT), &curves)?;
    }
    Ok(())
}

async fn settle_on(
    setting: &Setting,
    folder: &Path,
    hosts: usize,
    on_redis: bool,
) -> anyhow::Result<Settled> {
    let redis = on_redis.then(Redis::start).transpose()?;
    let start = || {
        let start = Start::shop(setting, folder);
        match &redis {
            Some(redis) => start.redis(&redis.url()),
            None => start,
        }
    };
    let hosts: Result<Vec<Host>, _> = (0..hosts).map(|_| start().run()).collect();
    let hosts = hosts?;
    let clients = Clients::new(setting, hosts[0].at, folder, CLIENTS).await?;
    let all: Vec<&Host> = hosts.iter().collect();
    let settled = settle(&all, &clients, CLIENTS, setting.order_pace()).await?;
    clients.wait_until_settled().await?;
    Ok(settled)
}

/// Databases of a shop that has had so many orders, all of them paid.
fn fill(folder: &Path, orders: u64) -> anyhow::Result<()> {
    let mut plan = Plan::new(USERS, ITEMS);
    // Nothing of this needs to survive the loss of power.
    let mut own = books::orders(folder, "OFF")?;
    let mut stock = books::stock(folder, "OFF", &plan)?;
    let mut billing = books::billing(folder, "OFF", &plan)?;
    let mut notifications = books::notifications(folder, "OFF")?;
    let steps = [
        books::accept,
        books::price,
        books::settle,
        books::acknowledge,
    ];
    let mut left = orders;
    while left > 0 {
        let chunk = left.min(CHUNK);
        left -= chunk;
        let batch: [Vec<Order>; 1] = [(0..chunk).map(|_| plan.next()).collect()];
        std::thread::scope(|scope| {
            let others = [
                scope.spawn(|| commit_all(&mut stock, &batch, &[books::reserve])),
                scope.spawn(|| commit_all(&mut billing, &batch, &[books::charge])),
                scope.spawn(|| commit_all(&mut notifications, &batch, &[books::notify])),
            ];
            commit_all(&mut own, &batch, &steps)?;
            for other in others {
                other
                    .join()
                    .map_err(|_| anyhow::anyhow!("a writer panicked"))??;
            }
            anyhow::Ok(())
        })?;
    }
    let count: i64 = own.query_row("SELECT count(*) FROM orders", [], |row| row.get(0))?;
    ensure!(
        u64::try_from(count) == Ok(orders),
        "{count} orders instead of {orders}"
    );
    Ok(())
}
