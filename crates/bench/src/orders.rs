//! Orders settled per second, beside what SQLite alone takes for the same rows.

use crate::books::{self, Order, Plan, Step};
use crate::buyers::{Settled, settle};
use crate::figures::{Line, Table, grouped, median, ms, per_second};
use crate::host::Start;
use crate::setting::Setting;
use crate::shop::Shop;
use rusqlite::Connection;
use std::path::Path;
use std::time::{Duration, Instant};

/// Clients at once, unless others are asked for.
const CLIENTS: [usize; 4] = [1, 16, 64, 256];

pub async fn measure(
    setting: &Setting,
    clients: &[usize],
    table: &mut Table,
) -> anyhow::Result<()> {
    let usual = setting.or_quick(&CLIENTS[..], &CLIENTS[..3]);
    let clients = if clients.is_empty() { usual } else { clients };
    for synchronous in ["FULL", "NORMAL"] {
        one_promise(setting, table, clients, synchronous).await?;
    }
    Ok(())
}

async fn one_promise(
    setting: &Setting,
    table: &mut Table,
    all: &[usize],
    synchronous: &'static str,
) -> anyhow::Result<()> {
    let folder = setting.folder(&format!("orders-{synchronous}"))?;
    let start = Start::shop(setting, &folder).variable("synchronous", synchronous);
    let most = all.iter().copied().max().unwrap_or(1);
    let shop = Shop::open(setting, start, most).await?;
    for &clients in all {
        let settled = settle(&[&shop.host], &shop.clients, clients, setting.order_pace()).await?;
        let raw = raw(setting, synchronous, clients)?;
        let what = format!("orders settled, `{synchronous}`, {}", counted(clients));
        let rate = settled.measured.rate;
        let line = Line::new(what, shown(&settled)).limit(
            &format!("SQLite, {} a commit", counted_orders(clients)),
            raw,
            &format!(
                "{}, {} commits",
                per_second(raw),
                per_second(raw * 5.0 / clients as f64)
            ),
            rate,
        );
        table.add(line.aim(aim(synchronous, clients)));
        if clients == 256 {
            let memory = format!("{} MB", settled.resident_mb);
            table.add(
                Line::new(
                    format!("most memory meanwhile, `{synchronous}`, 256 clients"),
                    memory,
                )
                .aim("≤ 400 MB"),
            );
        }
    }
    let said = shop.close().await?;
    table.add(Line::new(
        format!("`wasmart verify` after these, `{synchronous}`"),
        said,
    ));
    Ok(())
}

fn aim(synchronous: &str, clients: usize) -> &'static str {
    match (synchronous, clients) {
        ("FULL", 16) => "p50 ≤ 25 ms",
        ("FULL", 64) => "≥ 531/s",
        ("NORMAL", 64) => "≥ 1 000/s",
        _ => "",
    }
}

fn counted(clients: usize) -> String {
    format!("{clients} client{}", if clients == 1 { "" } else { "s" })
}

fn counted_orders(orders: usize) -> String {
    format!("{orders} order{}", if orders == 1 { "" } else { "s" })
}

/// `512/s, p50 1.2 ms, p99 3.4 ms, 2.1 ms of processor each`
pub fn shown(settled: &Settled) -> String {
    let refused = match settled.refused {
        0 => String::new(),
        count => format!(", {} told to come again", grouped(count)),
    };
    let (all, cpu) = (settled.measured.shown(), ms(settled.cpu));
    format!("{all}, {cpu} of processor each{refused}")
}

/// Orders a second that SQLite takes natively: the rows of the five transactions, in the three files,
/// which are written side by side, with so many orders in each commit.
fn raw(setting: &Setting, synchronous: &str, batch: usize) -> anyhow::Result<f64> {
    let time = setting.or_quick(Duration::from_millis(1500), Duration::from_millis(200));
    let repeats = setting.or_quick(3, 1);
    let mut rates = Vec::with_capacity(repeats);
    for repeat in 0..repeats {
        let folder = setting.folder(&format!("raw-{synchronous}-{batch}-{repeat}"))?;
        rates.push(raw_once(
            &folder.join(".wasmart"),
            synchronous,
            batch,
            time,
        )?);
        std::fs::remove_dir_all(folder)?;
    }
    Ok(median(rates))
}

fn raw_once(folder: &Path, synchronous: &str, batch: usize, time: Duration) -> anyhow::Result<f64> {
    let mut plan = Plan::new(batch.max(16), 20);
    let mut databases = [
        books::orders(folder, synchronous)?,
        books::stock(folder, synchronous, &plan)?,
        books::billing(folder, synchronous, &plan)?,
    ];
    let mut done = 0;
    let begun = Instant::now();
    while begun.elapsed() < time {
        // Enough commits for the three files to overlap, few enough to look at the clock.
        let rounds = (256 / batch).max(1);
        let batches: Vec<Vec<Order>> = (0..rounds)
            .map(|_| (0..batch).map(|_| plan.next()).collect())
            .collect();
        write(&mut databases, &batches)?;
        done += rounds * batch;
    }
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}

fn write(databases: &mut [Connection; 3], batches: &[Vec<Order>]) -> anyhow::Result<()> {
    let [orders, stock, billing] = databases;
    std::thread::scope(|scope| {
        let others = [
            scope.spawn(move || commit_all(stock, batches, &[books::reserve])),
            scope.spawn(move || commit_all(billing, batches, &[books::charge])),
        ];
        commit_all(
            orders,
            batches,
            &[books::accept, books::price, books::settle],
        )?;
        for other in others {
            other
                .join()
                .map_err(|_| anyhow::anyhow!("a writer panicked"))??;
        }
        Ok(())
    })
}

/// One commit for each batch and step.
pub fn commit_all(
    database: &mut Connection,
    batches: &[Vec<Order>],
    steps: &[Step],
) -> rusqlite::Result<()> {
    for batch in batches {
        for step in steps {
            let tx =
                database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            for order in batch {
                step(&tx, order)?;
            }
            tx.commit()?;
        }
    }
    Ok(())
}
