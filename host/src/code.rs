//! The code of components: compiled and linked, each distinct one once.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

use crate::engine;
use crate::fault::{Faults, StartError};
use crate::plan::ComponentPlan;
use crate::state::HostState;

/// An engine with everything that it has compiled.
pub(crate) struct Code {
    pub engine: Engine,
    linker: Arc<Linker<HostState>>,
    linked: Mutex<Vec<Linked>>,
}

/// A component's binary and what it was linked to.
type Linked = (Arc<[u8]>, InstancePre<HostState>);
type Compiling = JoinHandle<Result<InstancePre<HostState>, String>>;

impl Code {
    /// Nothing is compiled yet. Compiled code is kept in the folder `cache`.
    pub fn new(cache: &Path, memory_bytes: usize) -> Result<Self, StartError> {
        let fail = |error: wasmtime::Error| StartError::one(format!("{error:#}"));
        wasmart_private::create_folder(cache)
            .map_err(|error| StartError::one(format!("{}: {error}", cache.display())))?;
        let engine = engine::engine(cache, memory_bytes).map_err(fail)?;
        let linker = Arc::new(engine::linker(&engine).map_err(fail)?);
        Ok(Self {
            engine,
            linker,
            linked: Mutex::default(),
        })
    }

    /// The code of each plan, in their order. All that is new is compiled at the same time.
    pub async fn link(
        &self,
        plans: &[ComponentPlan],
    ) -> Result<Vec<InstancePre<HostState>>, StartError> {
        let mut compiling: Vec<(Arc<[u8]>, Compiling)> = Vec::new();
        for plan in plans {
            let under_way = compiling.iter().any(|(wasm, _)| *wasm == plan.wasm);
            if !under_way && self.linked(&plan.wasm).is_none() {
                compiling.push((plan.wasm.clone(), self.compile(plan)));
            }
        }
        let faults = Faults::default();
        for (wasm, task) in compiling {
            let result = task.await.unwrap_or_else(|error| Err(error.to_string()));
            if let Some(linked) = faults.take(result) {
                let mut known = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
                known.push((wasm, linked));
            }
        }
        faults.check()?;
        Ok(plans
            .iter()
            .filter_map(|plan| self.linked(&plan.wasm))
            .collect())
    }

    fn linked(&self, wasm: &Arc<[u8]>) -> Option<InstancePre<HostState>> {
        let known = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |other: &Arc<[u8]>| Arc::ptr_eq(other, wasm) || other == wasm;
        let found = known.iter().find(|(other, _)| same(other));
        found.map(|(_, linked)| linked.clone())
    }

    fn compile(&self, plan: &ComponentPlan) -> Compiling {
        let (engine, linker) = (self.engine.clone(), self.linker.clone());
        let (id, wasm) = (plan.id.clone(), plan.wasm.clone());
        let compile = move || {
            Component::new(&engine, wasm)
                .and_then(|component| linker.instantiate_pre(&component))
                .map_err(|error| format!("component `{id}`: {error:#}"))
        };
        tokio::task::spawn_blocking(compile)
    }
}
