//! The shop in simulation: one thread, a clock that only waiting moves, randomness and faults from a seed.
//! What goes wrong here goes wrong again with the same seed.

mod chaos;
mod client;
mod faults;
mod history;
mod market;
mod sabotage;
mod seeds;
mod shop;
mod sweep;
mod template;
mod watch;

use client::Client;
use shop::Shop;

/// Runs a future on a runtime that is fit for simulations.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(future)
}
