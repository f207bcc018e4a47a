//! Runs that can be repeated: one thread, a clock that only waiting moves, randomness from a seed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use super::Clock;
use super::random::Random;
use crate::code::Code;

/// What the hosts of one simulated run have in common.
///
/// A host with a simulation does one thing at a time: SQL runs in line, requests come by
/// [`Host::request`](crate::Host::request) only and no port is opened, time passes when everything waits, and
/// components draw their randomness from the seed. The same seed and the same requests then make the same
/// calls in the same order.
///
/// It belongs on a runtime of tokio with one thread and its clock paused
/// (`Builder::new_current_thread().start_paused(true)`).
#[derive(Clone)]
pub struct Simulation(Arc<Inner>);

struct Inner {
    clock: Clock,
    random: Random,
}

/// Every simulation begins on the same day, in seconds since the Unix epoch.
const BEGIN: u64 = 1_800_000_000;

impl Simulation {
    /// A run with this seed, whose clock starts now.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Inner {
            clock: Clock::starting_at(UNIX_EPOCH + Duration::from_secs(BEGIN)),
            random: Random::from_seed(seed),
        }))
    }

    /// The clock that components see.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn random(&self) -> Random {
        self.0.random.clone()
    }
}

/// Compiled code of this process, by the folder it is kept in: a run starts many hosts.
static CODE: Mutex<Vec<(PathBuf, Arc<Code>)>> = Mutex::new(Vec::new());

/// The files of a component, and what they were composed to.
type Composed = (Vec<PathBuf>, Arc<[u8]>);

/// Composed code of this process, by the files it was made of.
static COMPOSED: Mutex<Vec<Composed>> = Mutex::new(Vec::new());

/// The code that is kept for that folder, or else what `make` gives.
pub(crate) fn code<E>(
    folder: &Path,
    make: impl FnOnce() -> Result<Code, E>,
) -> Result<Arc<Code>, E> {
    let mut known = CODE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, code)) = known.iter().find(|(known, _)| known == folder) {
        return Ok(code.clone());
    }
    let code = Arc::new(make()?);
    known.push((folder.to_owned(), code.clone()));
    Ok(code)
}

/// The code that those files were composed to, in this order.
pub(crate) fn composed(sources: &[PathBuf]) -> Option<Arc<[u8]>> {
    let known = COMPOSED.lock().unwrap_or_else(PoisonError::into_inner);
    let found = known.iter().find(|(known, _)| known == sources);
    found.map(|(_, code)| code.clone())
}

/// Keeps what those files were composed to.
pub(crate) fn keep_composed(sources: Vec<PathBuf>, code: Arc<[u8]>) {
    let mut known = COMPOSED.lock().unwrap_or_else(PoisonError::into_inner);
    known.push((sources, code));
}
