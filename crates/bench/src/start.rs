//! Starts: of the host, of the shop to its first paid order, of one instance; and what a shop that does
//! nothing takes of memory and disk.

use crate::figures::{Line, Table, grouped, median_time, ms};
use crate::host::Start;
use crate::load::{Connection, get};
use crate::reads::empty_host;
use crate::setting::{self, Kind, Setting};
use crate::shop::{Clients, log_in_as_admin};
use anyhow::{Context, ensure};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

/// Requests that one instance serves in its life, on both hosts.
const LIFE: usize = 128;

pub async fn measure(setting: &Setting, orders: usize, table: &mut Table) -> anyhow::Result<()> {
    if setting.kind == Kind::Embedded {
        // Not `Setting::folder`: that one has the code of all the others.
        let folder = setting.folder("cold")?;
        std::fs::remove_file(folder.join(".wasmart/compiled"))?;
        let begun = Instant::now();
        let host = Start::shop(setting, &folder).run()?;
        table.add(Line::new(
            "host start, no compiled code kept",
            ms(begun.elapsed()),
        ));
        drop(host);
    }
    let folder = setting.folder("start")?;
    drop(Start::shop(setting, &folder).run()?);
    let mut starts = vec![];
    for _ in 0..setting.or_quick(5, 1) {
        let begun = Instant::now();
        let host = Start::shop(setting, &folder).run()?;
        starts.push(begun.elapsed());
        drop(host);
    }
    table.add(Line::new("host start, compiled code kept", ms(median_time(starts))).aim("1 s"));
    first_order(setting, orders, &folder, table).await?;
    instances(setting, &folder, table).await
}

/// From nothing to a paid order, and what the shop takes after that.
async fn first_order(
    setting: &Setting,
    orders: usize,
    folder: &Path,
    table: &mut Table,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let host = Start::shop(setting, folder).run()?;
    table.add(Line::new(
        "resident memory, nothing served yet",
        format!("{} MB", host.resident_mb()),
    ));
    log_in_as_admin(host.at).await?;
    let clients = Clients::new(setting, host.at, folder, 1).await?;
    let mut connection = Connection::new(host.at);
    clients.settle_one(&mut connection).await?;
    table.add(
        Line::new(
            "start of the host to the first paid order (kept code, empty shop)",
            ms(begun.elapsed()),
        )
        .aim("3 s"),
    );
    let memory = format!("{} MB", host.resident_mb());
    table.add(Line::new("resident memory after that", memory).aim("150 MB"));
    table.add(
        Line::new(
            "disk, all databases and stores of a shop with one order",
            kb(folder)?,
        )
        .beside(format!(
            "the compiled code beside it: {}",
            kb(&folder.join(".wasmart/compiled"))?
        )),
    );
    let mut times = Vec::with_capacity(orders);
    for _ in 0..orders {
        times.push(clients.settle_one(&mut connection).await?);
    }
    times.sort();
    let at = |percent: usize| {
        times
            .get(orders * percent / 100)
            .copied()
            .unwrap_or_default()
    };
    table.add(
        Line::new(
            format!("`POST /orders` to `paid`, {orders} one by one, asked every millisecond"),
            format!("p50 {}, p99 {}", ms(at(50)), ms(at(99))),
        )
        .aim("p50 ≤ 25 ms"),
    );
    Ok(())
}

/// What the first request of an instance waits longer, beside the bare instantiation. `users` is one that
/// no tick calls in between.
async fn instances(setting: &Setting, folder: &Path, table: &mut Table) -> anyhow::Result<()> {
    let lives = setting.or_quick(200, 20);
    let (empty, shop) = (empty_host(setting)?, Start::shop(setting, folder).run()?);
    for (name, file, at, path) in [
        ("the empty component", "host_test_empty", empty.at, "/"),
        (
            "users with the guard",
            "users",
            shop.at,
            "/api/v1/users/health",
        ),
    ] {
        let (first, other) = first_and_other(at, lives, path).await?;
        let bare = bare(file).await?;
        let more = first.saturating_sub(other);
        table.add(
            Line::new(
                format!("instance start of {name}: what its first request waits longer"),
                ms(more),
            )
            .beside(format!("the other requests {}", ms(other)))
            .limit(
                "wasmtime's bare instantiation",
                bare.as_secs_f64(),
                &ms(bare),
                more.as_secs_f64(),
            ),
        );
    }
    Ok(())
}

/// The medians of the first requests of instances and of all others. One client that does not pause
/// meets a new instance with every 128th request; which one it is, shows.
async fn first_and_other(
    at: SocketAddr,
    lives: usize,
    path: &str,
) -> anyhow::Result<(Duration, Duration)> {
    let mut connection = Connection::new(at);
    let mut places = vec![vec![]; LIFE];
    for number in 0..lives * LIFE {
        let sent = Instant::now();
        let answer = connection.send(get(path, None)).await?;
        ensure!(answer.status == 200, "status {}", answer.status);
        places[number % LIFE].push(sent.elapsed());
    }
    let mut medians: Vec<Duration> = places.into_iter().map(median_time).collect();
    medians.sort();
    let first = medians.last().copied().unwrap_or_default();
    Ok((first, median_time(medians)))
}

/// Instantiating a component in a new store, from the pool, its imports linked to nothing.
async fn bare(name: &str) -> anyhow::Result<Duration> {
    let failed = |error: wasmtime::Error| anyhow::anyhow!("{name}: {error:#}");
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(8)
        .total_core_instances(128)
        .total_memories(16)
        .total_tables(128)
        .max_memory_size(128 << 20)
        .table_elements(50_000)
        .linear_memory_keep_resident(256 * 1024)
        .table_keep_resident(64 * 1024);
    let mut config = Config::new();
    config
        .wasm_component_model_async(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config).map_err(failed)?;
    let component = Component::from_file(&engine, setting::wasm(name)).map_err(failed)?;
    let mut linker = Linker::<()>::new(&engine);
    linker
        .define_unknown_imports_as_traps(&component)
        .map_err(failed)?;
    let ready = linker.instantiate_pre(&component).map_err(failed)?;
    let mut times = vec![];
    for _ in 0..500 {
        let begun = Instant::now();
        let mut store = Store::new(&engine, ());
        ready.instantiate_async(&mut store).await.map_err(failed)?;
        times.push(begun.elapsed());
    }
    Ok(median_time(times))
}

/// What the files of a folder take, links not followed.
fn kb(folder: &Path) -> anyhow::Result<String> {
    fn bytes(folder: &Path) -> std::io::Result<u64> {
        let mut sum = 0;
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            sum += match kind.is_dir() {
                true => bytes(&entry.path())?,
                false if kind.is_file() => entry.metadata()?.len(),
                false => 0,
            };
        }
        Ok(sum)
    }
    let bytes = bytes(folder).with_context(|| folder.display().to_string())?;
    Ok(format!("{} kB", grouped(bytes / 1000)))
}
