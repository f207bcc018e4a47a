//! The engine and the linker: once per host. Compilation settings, instance pool, code cache, interrupts.

pub(crate) mod memory;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::component::Linker;
use wasmtime::{
    Cache, CacheConfig, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
};

use crate::bindings::spin;
use crate::limits;
use crate::state::{HostState, Spin};

/// Builds the engine. Compiled code is kept in `cache` and used again when nothing changed.
pub(crate) fn engine(cache: &Path, memory_bytes: usize) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    config.epoch_interruption(true);
    config.memory_init_cow(true);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(memory_bytes)));
    let mut cache_config = CacheConfig::new();
    // Wasmtime wants an absolute path.
    cache_config.with_directory(std::path::absolute(cache)?);
    config.cache(Some(Cache::new(cache_config)?));
    Engine::new(&config)
}

fn pool(memory_bytes: usize) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(limits::INSTANCES)
        .total_core_instances(limits::POOL_CORE_INSTANCES)
        .total_memories(limits::POOL_MEMORIES)
        .total_tables(limits::POOL_TABLES)
        .total_stacks(limits::POOL_STACKS)
        .max_memory_size(memory_bytes)
        .table_elements(limits::TABLE_ELEMENTS)
        // Pages an instance used are cleared on the spot, which is cheaper than giving them back and
        // faulting them in again for the next one.
        .linear_memory_keep_resident(256 * 1024)
        .table_keep_resident(64 * 1024);
    pool
}

/// Everything that a component may import.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    spin::key_value::key_value::add_to_linker::<_, Spin>(&mut linker, |state| state)?;
    spin::redis::redis::add_to_linker::<_, Spin>(&mut linker, |state| state)?;
    spin::sqlite::sqlite::add_to_linker::<_, Spin>(&mut linker, |state| state)?;
    spin::variables::variables::add_to_linker::<_, Spin>(&mut linker, |state| state)?;
    Ok(linker)
}

/// Interrupts running guest code at a steady beat, so that a loop without end neither starves other work
/// nor outlives its timeout. Ends when dropped.
pub(crate) struct Heartbeat {
    stopped: Arc<AtomicBool>,
}

impl Heartbeat {
    pub fn start(engine: &Engine) -> std::io::Result<Self> {
        let stopped = Arc::new(AtomicBool::new(false));
        let (engine, stop) = (engine.weak(), stopped.clone());
        // A thread of its own: the async runtime may be busy with the very code to interrupt.
        std::thread::Builder::new()
            .name("wasmart-epoch".into())
            .spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(limits::EPOCH_TICK);
                    let Some(engine) = engine.upgrade() else {
                        return;
                    };
                    engine.increment_epoch();
                }
            })?;
        Ok(Self { stopped })
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}
