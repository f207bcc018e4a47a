//! Serves [Spin](https://spinframework.dev) applications from inside a Rust program.
//!
//! The host reads an application's `spin.toml` and `runtime-config.toml`, checks both, and serves: HTTP,
//! Redis channels, SQLite databases, key-value stores, variables. A component gets what its manifest entry
//! grants and nothing else. What Spin has and this host has not is refused by name before anything is
//! served.
//!
//! ```no_run
//! use wasmart_host::{Host, Redis};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let host = Host::builder()
//!         .manifest("spin.toml")
//!         .runtime_config("runtime-config.toml")
//!         .state_dir(".wasmart")
//!         .env_file(".env")
//!         .variable("greeting", "hello")
//!         .redis(Redis::InProcess)
//!         .listen("127.0.0.1:0".parse()?)
//!         .build()
//!         .await?;
//!     println!("serving http://{}", host.addr());
//!     host.publish("a-channel", "a message").await?;
//!     tokio::signal::ctrl_c().await?;
//!     host.stop().await;
//!     Ok(())
//! }
//! ```
//!
//! The feature `faults`, for tests, adds a hook that every host call and every message passes, clocks that can be
//! set, and simulations that a seed repeats (`Simulation`). Nothing of it is in a host built without.
//!
//! Things are named by how long they live: engine and linker once per host (`engine`), a linked component
//! once per component (`component`), a store once per instance (`state`).

#![deny(missing_docs)]

mod allowed_hosts;
mod app;
mod background;
mod bindings;
mod builder;
mod calls;
mod channels;
mod code;
mod component;
mod compose;
mod engine;
mod fault;
#[cfg(feature = "faults")]
mod faults;
mod free_memory;
mod grants;
mod guest_log;
mod host;
mod http;
mod imports;
mod key_value;
pub mod limits;
mod manifest;
mod open_files;
mod plan;
mod private_files;
mod redis;
mod room;
mod runtime_config;
mod section;
mod sqlite;
mod start;
mod state;
mod stop;
mod template;
mod tick;
mod variable_host;
mod variables;
mod world;

pub use builder::{HostBuilder, Redis, VariableCheck};
pub use fault::StartError;
#[cfg(feature = "faults")]
pub use faults::{CallHook, Clock, Delivery, Fate, HostCall, Simulation, Verdict};
pub use host::Host;

/// A fresh folder for a unit test; the system cleans it up.
#[cfg(test)]
fn test_folder(name: &str) -> std::path::PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("wasmart-{name}-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
    folder
}
