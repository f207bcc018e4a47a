//! The fault injector: a hook that every host call and every message passes, clocks that can be set, and
//! simulations, which can be repeated to the byte. Only with the feature `faults`, which is for tests.

mod clock;
mod hook;
mod random;
mod simulation;

pub use clock::Clock;
pub use hook::{CallHook, Delivery, Fate, HostCall, Verdict};
pub use simulation::Simulation;
pub(crate) use simulation::{code, composed, keep_composed};

use wasmtime_wasi::WasiCtxBuilder;

use crate::calls::Calls;
use crate::world::World;

/// Puts the clocks and the randomness of a test into an instance, each behind the hook.
pub(crate) fn equip(world: &World, wasi: &mut WasiCtxBuilder, calls: &Calls) {
    if let Some(clock) = &world.clock {
        wasi.wall_clock(clock::WallClock::new(clock.clone(), calls.clone()));
        wasi.monotonic_clock(clock::MonotonicClock::new(clock.clone(), calls.clone()));
    }
    if let Some(simulation) = &world.simulation {
        let source = || random::Watched::new(simulation.random(), calls.clone());
        wasi.secure_random(source());
        wasi.insecure_random(source());
        wasi.insecure_random_seed(simulation.random().number());
    }
}
