//! The queue of those who write to one file. SQLite has none: whoever finds the file locked sleeps and looks
//! again, longer each time, and the one who asked last may come first. With many writers most of them sleep
//! while nobody writes.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::limits::WRITER_WAIT;

/// The writers of one file, in all components of this host. Another host's writers are still met in SQLite.
#[derive(Clone, Default)]
pub(crate) struct Writers(Arc<Mutex<()>>);

/// The right to write, until dropped.
pub(crate) struct Turn(#[allow(dead_code, reason = "held until dropped")] OwnedMutexGuard<()>);

impl Writers {
    /// First come, first served. `None` after the wait that SQLite's users know: they then meet the one who
    /// writes in SQLite, and hear of it as usual.
    pub async fn turn(&self) -> Option<Turn> {
        let turn = tokio::time::timeout(WRITER_WAIT, self.0.clone().lock_owned()).await;
        turn.ok().map(Turn)
    }
}
