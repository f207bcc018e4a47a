//! What the host takes from the world around it: time, randomness and threads. A host that serves takes
//! them as they are; with the feature `faults` a test may put its own in their place.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;
use wasmtime_wasi::WasiCtxBuilder;

use crate::calls::Calls;
#[cfg(feature = "faults")]
use crate::faults::{Clock, Simulation};

/// The world of one host.
#[derive(Clone, Default)]
pub(crate) struct World {
    /// Where the host was started.
    pub main: Option<Handle>,
    #[cfg(feature = "faults")]
    pub clock: Option<Clock>,
    #[cfg(feature = "faults")]
    pub simulation: Option<Simulation>,
}

/// Work that was handed to another thread and is lost with it.
#[derive(Debug, thiserror::Error)]
#[error("the work was cut off")]
pub(crate) struct CutOff;

impl World {
    /// Whether one thing is done after the other, on one thread, so that a run can be repeated.
    pub fn is_simulated(&self) -> bool {
        #[cfg(feature = "faults")]
        return self.simulation.is_some();
        #[cfg(not(feature = "faults"))]
        false
    }

    /// Does work that blocks: on a thread of its own, or right here in a simulation.
    pub async fn blocking<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, CutOff> {
        if self.is_simulated() {
            return Ok(work());
        }
        let block = || tokio::task::spawn_blocking(work);
        match &self.main {
            // A thread inherits the priority of the one that starts it, and this work holds locks that others wait for.
            Some(main) if main.id() != Handle::current().id() => {
                let done = main.spawn(async { block().await }).await;
                done.map_err(|_| CutOff)?.map_err(|_| CutOff)
            }
            _ => block().await.map_err(|_| CutOff),
        }
    }

    /// Gives an instance its clocks and its randomness.
    pub fn equip(&self, wasi: &mut WasiCtxBuilder, calls: &Calls) {
        #[cfg(feature = "faults")]
        crate::faults::equip(self, wasi, calls);
        #[cfg(not(feature = "faults"))]
        let _ = (wasi, calls);
    }

    /// The code that those files were composed to, if this world remembers.
    pub fn composed(&self, sources: &[PathBuf]) -> Option<Arc<[u8]>> {
        #[cfg(feature = "faults")]
        if self.is_simulated() {
            return crate::faults::composed(sources);
        }
        let _ = sources;
        None
    }

    /// Remembers what those files were composed to, where there is a use for it.
    pub fn keep_composed(&self, sources: Vec<PathBuf>, code: &Arc<[u8]>) {
        #[cfg(feature = "faults")]
        if self.is_simulated() {
            return crate::faults::keep_composed(sources, code.clone());
        }
        let _ = (sources, code);
    }
}
