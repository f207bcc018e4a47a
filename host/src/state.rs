//! What one store holds: everything that belongs to a single instance of a component.

use std::sync::Arc;

use wasmtime::component::{HasData, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::calls::Calls;
use crate::engine::memory::MemoryLimit;
use crate::grants::Grants;
use crate::http::outbound::Outbound;
use crate::limits::OPEN_HANDLES;

/// The data of one store.
pub(crate) struct HostState {
    pub grants: Arc<Grants>,
    pub calls: Calls,
    pub table: ResourceTable,
    pub memory: MemoryLimit,
    /// Databases, stores and connections the guest has open.
    pub open_handles: usize,
    /// Interrupts since the last request or message began.
    pub busy_ticks: u32,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
}

impl HostState {
    pub fn new(
        grants: Arc<Grants>,
        calls: Calls,
        memory: MemoryLimit,
        wasi: WasiCtx,
        outbound: Outbound,
    ) -> Self {
        Self {
            grants,
            calls,
            memory,
            wasi,
            outbound,
            table: ResourceTable::new(),
            open_handles: 0,
            busy_ticks: 0,
            http: WasiHttpCtx::new(),
        }
    }

    /// Whether the guest may open one more handle.
    pub fn has_room(&self) -> bool {
        self.open_handles < OPEN_HANDLES
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for HostState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.outbound,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

/// Ties the generated traits to [`HostState`].
pub(crate) struct Spin;

impl HasData for Spin {
    type Data<'a> = &'a mut HostState;
}
