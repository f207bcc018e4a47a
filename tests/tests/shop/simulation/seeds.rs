//! Whole runs from seeds: a fixed set every time, any number with `cargo xtask simulate`.

use super::chaos::{Chaos, Tally};
use super::market::Market;
use super::{Shop, block_on};
use crate::harness::app::databases;
use crate::harness::workspace;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

/// The seeds of every run of the suite, in two halves for two cores.
const FIRST_HALF: std::ops::Range<u64> = 0..60;
const SECOND_HALF: std::ops::Range<u64> = 60..120;

/// What a run came to.
pub struct Run {
    orders: usize,
    tally: Tally,
    history: String,
}

/// One run, in which everything must be right in the end.
///
/// # Errors
/// When it is not: the history so far. What was wrong has been printed.
pub fn simulate(seed: u64, manifest: Option<PathBuf>) -> Result<Run, String> {
    let unfinished = RefCell::new(None);
    let run = || {
        block_on(async {
            let chaos = Arc::new(Chaos::from_seed(seed));
            let folder = super::shop::folder();
            let shop = Shop::start_in(folder, seed, chaos.clone(), manifest).await;
            unfinished.replace(Some(shop.watch.clone()));
            let scenario = async {
                let market = Market::open(&shop, seed).await;
                shop.quiet().await;
                shop.watch.set(true);
                market.trade(seed).await;
                shop.watch.set(false);
                shop.quiet().await;
                shop.check();
                market.check().await
            };
            let orders = shop.supervise(scenario).await;
            let watch = shop.watch.clone();
            let folder = shop.stop().await;
            watch.history.add_databases(&databases(folder.path()));
            Run {
                orders,
                tally: chaos.tally(),
                history: watch.history.text(),
            }
        })
    };
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| {
        let watch = unfinished.take();
        watch.map_or_else(String::new, |watch| watch.history.text())
    })
}

/// Keeps the history of a run that failed, and says where it is and how to see it again.
fn keep(seed: u64, history: &str) -> String {
    let path = workspace::shared("simulation").join(format!("{seed}.txt"));
    std::fs::write(&path, history).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    format!(
        "seed {seed}: see above, and {}. Again: cargo xtask simulate --from {seed} --seeds 1",
        path.display()
    )
}

/// Runs all; says at the end what they came to.
fn simulate_all(seeds: impl IntoIterator<Item = u64>) {
    let (mut count, mut orders, mut failed) = (0, 0, Vec::new());
    for seed in seeds {
        count += 1;
        match simulate(seed, None) {
            Ok(run) => {
                println!("seed {seed}: {} orders, {}", run.orders, run.tally);
                orders += run.orders;
            }
            Err(history) => failed.push(keep(seed, &history)),
        }
    }
    println!("{count} seeds, {orders} orders");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn the_first_half_of_the_fixed_seeds() {
    simulate_all(FIRST_HALF);
}

#[test]
fn the_second_half_of_the_fixed_seeds() {
    simulate_all(SECOND_HALF);
}

#[test]
#[ignore = "for `cargo xtask simulate`"]
fn seeds_as_asked_for() {
    let number = |name: &str| -> u64 {
        let value = std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number"))
    };
    let (from, count) = (number("WASMART_FROM_SEED"), number("WASMART_SEEDS"));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let own = (from..from + count).skip(thread).step_by(threads);
            scope.spawn(|| simulate_all(own));
        }
    });
}

fn history(seed: u64) -> String {
    let run = simulate(seed, None).unwrap_or_else(|_| panic!("seed {seed} failed"));
    run.history
}

#[test]
fn a_seed_repeats_its_run_to_the_byte() {
    // A seed with much of everything.
    let [one, other] = [(), ()].map(|()| history(4));
    assert!(one.lines().count() > 1_000, "hardly anything happened");
    let differ = one.lines().zip(other.lines()).position(|(a, b)| a != b);
    if let Some(line) = differ {
        let around = |text: &str| {
            text.lines()
                .skip(line.saturating_sub(3))
                .take(6)
                .collect::<Vec<_>>()
                .join("\n")
        };
        panic!(
            "line {line} differs:\n{}\n\n{}",
            around(&one),
            around(&other)
        );
    }
    assert!(one == other, "one run is longer");
    let third = history(5);
    assert!(one != third, "another seed is another run");
}
