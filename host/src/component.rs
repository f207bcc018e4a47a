//! A component ready to run: compiled and linked once, instantiated as often as needed.

use std::sync::{Arc, Weak};

use tokio::sync::Semaphore;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};

use crate::app::App;
use crate::bindings::exports::spin::redis::inbound_redis;
use crate::calls::Calls;
use crate::engine::memory::MemoryLimit;
use crate::grants::Grants;
use crate::guest_log::GuestLog;
use crate::http::outbound::Outbound;
use crate::http::pool::HttpPool;
use crate::limits::{BUSY_TICKS, EPOCH_TICK, INSTANCE_WAIT};
use crate::state::HostState;

/// One component of the application that some trigger leads to.
pub(crate) struct Component {
    pub id: Arc<str>,
    /// Present when it exports `wasi:http/handler`.
    pub http: Option<HttpPool>,
    /// Present when it exports `spin:redis/inbound-redis`.
    pub redis: Option<inbound_redis::GuestIndices>,
    pub instances: Arc<Instances>,
}

/// Makes instances of one component.
pub(crate) struct Instances {
    pub engine: Engine,
    pub pre: InstancePre<HostState>,
    pub grants: Arc<Grants>,
    pub calls: Calls,
    /// Shared by all components: the instances the host may have at once.
    pub room: Arc<Semaphore>,
    pub memory_bytes: usize,
    /// For calls from one component to another. Weak: the application owns the components.
    pub app: Weak<App>,
}

/// At each interrupt a guest makes way; one that has been busy for long waits a beat as well.
fn let_others_run(state: &mut HostState) -> UpdateDeadline {
    state.busy_ticks = state.busy_ticks.saturating_add(1);
    if state.busy_ticks <= BUSY_TICKS {
        return UpdateDeadline::Yield(1);
    }
    UpdateDeadline::YieldCustom(1, Box::pin(tokio::time::sleep(EPOCH_TICK)))
}

/// The host has as many instances as it may.
#[derive(Debug, thiserror::Error)]
#[error("no room for another instance within {INSTANCE_WAIT:?}")]
pub(crate) struct NoRoom;

impl Instances {
    /// A store for one new instance, once there is room for it.
    pub async fn store(&self) -> wasmtime::Result<Store<HostState>> {
        let permit = tokio::time::timeout(INSTANCE_WAIT, self.room.clone().acquire_owned())
            .await
            .map_err(|_| NoRoom)?
            .map_err(|_| NoRoom)?;
        let component = self.grants.component.clone();
        let calls = self.calls.for_instance();
        let state = HostState::new(
            self.grants.clone(),
            calls.clone(),
            MemoryLimit::new(self.memory_bytes, component),
            self.wasi(&calls),
            Outbound::new(self.grants.clone(), calls, self.app.clone()),
            permit,
        );
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.memory);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| Ok(let_others_run(store.data_mut())));
        Ok(store)
    }

    pub async fn instantiate(&self) -> wasmtime::Result<(Store<HostState>, Instance)> {
        let mut store = self.store().await?;
        let instance = self.pre.instantiate_async(&mut store).await?;
        Ok((store, instance))
    }

    /// No folders, no network, no arguments: only the environment of the manifest, and output to the log.
    fn wasi(&self, calls: &Calls) -> WasiCtx {
        let component = &self.grants.component;
        let mut wasi = WasiCtxBuilder::new();
        for (name, value) in &self.grants.environment {
            wasi.env(name, value);
        }
        wasi.stdout(GuestLog::new(component.clone(), "stdout"));
        wasi.stderr(GuestLog::new(component.clone(), "stderr"));
        calls.world().equip(&mut wasi, calls);
        wasi.build()
    }
}
