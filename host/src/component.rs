//! A component ready to run: compiled and linked once, instantiated as often as needed.

use std::sync::{Arc, Weak};

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
use crate::limits::{BUSY_TICKS, EPOCH_TICK};
use crate::room::{Room, Seat};
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
    pub room: Arc<Room>,
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

impl Instances {
    fn store(&self) -> Store<HostState> {
        let component = self.grants.component.clone();
        let calls = self.calls.for_instance();
        let state = HostState::new(
            self.grants.clone(),
            calls.clone(),
            MemoryLimit::new(self.memory_bytes, component),
            self.wasi(&calls),
            Outbound::new(self.grants.clone(), calls, self.app.clone()),
        );
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.memory);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| Ok(let_others_run(store.data_mut())));
        store
    }

    /// A new instance, once there is room for it. The seat is to outlive the store.
    pub async fn instantiate(&self) -> wasmtime::Result<(Store<HostState>, Instance, Seat)> {
        let seat = self.room.enter().await?;
        let mut store = self.store();
        let instance = self.pre.instantiate_async(&mut store).await?;
        Ok((store, instance, seat))
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
