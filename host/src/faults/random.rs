//! Randomness that a seed repeats.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng, TryRng};

use crate::calls::Calls;

/// One sequence of numbers, from which all instances draw in turn.
#[derive(Clone)]
pub(crate) struct Random(Arc<Mutex<StdRng>>);

impl Random {
    pub fn from_seed(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    pub fn number(&self) -> u128 {
        let mut source = self.source();
        u128::from(source.next_u64()) << 64 | u128::from(source.next_u64())
    }

    fn source(&self) -> MutexGuard<'_, StdRng> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// WASI's randomness, behind the hook.
pub(super) struct Watched(Random, Calls);

impl Watched {
    pub fn new(random: Random, calls: Calls) -> Self {
        Self(random, calls)
    }

    fn draw(&self) -> MutexGuard<'_, StdRng> {
        self.1.note("random");
        self.0.source()
    }
}

impl TryRng for Watched {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.draw().next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.draw().next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.draw().fill_bytes(bytes);
        Ok(())
    }
}
