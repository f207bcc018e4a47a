//! Room for instances: how many the host has at once, who waits for one, and who gives way.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::limits::INSTANCE_WAIT;

/// Shared by all components of a host.
pub(crate) struct Room {
    seats: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Told once for each one that waits.
    wanted: Arc<Notify>,
}

/// The place of one instance. To be dropped after the instance: until then the memory is taken.
pub(crate) struct Seat {
    _permit: OwnedSemaphorePermit,
}

/// The host has as many instances as it may.
#[derive(Debug, thiserror::Error)]
#[error("no room for another instance within {INSTANCE_WAIT:?}")]
pub(crate) struct NoRoom;

impl Room {
    pub fn new(seats: u32) -> Arc<Self> {
        Arc::new(Self {
            seats: Arc::new(Semaphore::new(seats as usize)),
            waiting: AtomicUsize::new(0),
            wanted: Arc::new(Notify::new()),
        })
    }

    /// A seat, as soon as there is one. When there is none, one idle instance is asked to go.
    pub async fn enter(&self) -> Result<Seat, NoRoom> {
        if let Ok(permit) = self.seats.clone().try_acquire_owned() {
            return Ok(Seat { _permit: permit });
        }
        let _waiting = Waiting::new(&self.waiting);
        self.wanted.notify_one();
        tokio::time::timeout(INSTANCE_WAIT, self.seats.clone().acquire_owned())
            .await
            .map_err(|_| NoRoom)?
            .map(|permit| Seat { _permit: permit })
            .map_err(|_| NoRoom)
    }

    /// For one instance without work; drop it when there is work again.
    pub fn idler(self: &Arc<Self>) -> Idler {
        Idler {
            room: self.clone(),
            told: Box::pin(self.wanted.clone().notified_owned()),
        }
    }
}

/// Counts one that waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Resolves when somebody waits for room and this instance is the one to make some.
pub(crate) struct Idler {
    room: Arc<Room>,
    told: Pin<Box<OwnedNotified>>,
}

impl Future for Idler {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // Registered before the look at the count: who begins to wait in between tells us.
        if self.told.as_mut().poll(context).is_ready()
            || self.room.waiting.load(Ordering::SeqCst) > 0
        {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_idle_instance_goes_for_each_that_waits() {
        let room = Room::new(2);
        let seats = [room.enter().await.unwrap(), room.enter().await.unwrap()];
        let mut idle = [room.idler(), room.idler()];
        assert!(idle.iter_mut().all(|idle| idle.now_or_never().is_none()));
        let third = tokio::spawn({
            let room = room.clone();
            async move { room.enter().await }
        });
        let [first, second] = &mut idle;
        tokio::select! {
            () = first => {}
            () = second => {}
        }
        drop(seats);
        third.await.unwrap().unwrap();
        let left = [room.idler(), room.idler()];
        assert!(left.into_iter().all(|idle| idle.now_or_never().is_none()));
    }

    #[tokio::test]
    async fn who_becomes_idle_while_others_wait_goes_at_once() {
        let room = Room::new(1);
        let seat = room.enter().await.unwrap();
        let waiting = [room.enter(), room.enter()].map(Box::pin);
        let mut waiting = futures::future::join_all(waiting);
        assert!((&mut waiting).now_or_never().is_none());
        for _ in 0..2 {
            room.idler().now_or_never().expect("somebody waits");
        }
        drop(seat);
        drop(waiting);
        // At most one word is left over from the two that gave up.
        room.idler().now_or_never();
        assert!(room.idler().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_without_end() {
        let room = Room::new(1);
        let _seat = room.enter().await.unwrap();
        assert!(room.enter().await.is_err());
    }
}
