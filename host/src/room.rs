//! Room for instances: how many there are at once, in the host and of one component; who waits for room, and
//! who makes some.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::limits::INSTANCE_WAIT;

/// The seats of one component, among those of the host. A component that is called by another always finds
/// some, however many the other has taken.
pub(crate) struct Room {
    own: Arc<Seats>,
    host: Arc<Seats>,
}

/// A number of seats.
pub(crate) struct Seats {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Told once for each one that waits.
    wanted: Arc<Notify>,
}

/// The place of one instance. To be dropped after the instance: until then the memory is taken.
pub(crate) struct Seat {
    _own: OwnedSemaphorePermit,
    _host: OwnedSemaphorePermit,
}

/// There are as many instances as there may be.
#[derive(Debug, thiserror::Error)]
#[error("no room for another instance within {INSTANCE_WAIT:?}")]
pub(crate) struct NoRoom;

impl Room {
    /// So many seats of the host's at most.
    pub fn new(own: u32, host: Arc<Seats>) -> Arc<Self> {
        let own = Seats::new(own);
        Arc::new(Self { own, host })
    }

    /// A seat, as soon as there is one.
    pub async fn enter(&self) -> Result<Seat, NoRoom> {
        let enter = async {
            Some(Seat {
                _own: self.own.take().await?,
                _host: self.host.take().await?,
            })
        };
        let seat = tokio::time::timeout(INSTANCE_WAIT, enter).await;
        seat.ok().flatten().ok_or(NoRoom)
    }

    /// For one instance without work; drop it when there is work again.
    pub fn idler(&self) -> Idler {
        Idler([&self.own, &self.host].map(|seats| Call {
            seats: seats.clone(),
            told: Box::pin(seats.wanted.clone().notified_owned()),
        }))
    }
}

impl Seats {
    pub fn new(count: u32) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(count as usize)),
            waiting: AtomicUsize::new(0),
            wanted: Arc::default(),
        })
    }

    /// Takes one. When there is none, one idle instance is asked to go.
    async fn take(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.free.clone().try_acquire_owned() {
            return Some(permit);
        }
        let _waiting = Waiting::new(&self.waiting);
        self.wanted.notify_one();
        self.free.clone().acquire_owned().await.ok()
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

/// Resolves when somebody waits for a seat and this instance is the one to leave its own.
pub(crate) struct Idler([Call; 2]);

struct Call {
    seats: Arc<Seats>,
    told: Pin<Box<OwnedNotified>>,
}

impl Future for Idler {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut is_called = |call: &mut Call| {
            // Registered before the look at the count: who begins to wait in between tells us.
            call.told.as_mut().poll(context).is_ready()
                || call.seats.waiting.load(Ordering::SeqCst) > 0
        };
        match self.0.iter_mut().any(&mut is_called) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn room(own: u32, host: u32) -> Arc<Room> {
        Room::new(own, Seats::new(host))
    }

    #[tokio::test]
    async fn one_idle_instance_goes_for_each_that_waits() {
        for room in [room(2, 10), room(10, 2)] {
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
    }

    #[tokio::test]
    async fn who_becomes_idle_while_others_wait_goes_at_once() {
        let room = room(1, 1);
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
    async fn one_component_does_not_take_all_the_room_and_nobody_waits_without_end() {
        let host = Seats::new(2);
        let [first, second] = [(); 2].map(|()| Room::new(1, host.clone()));
        let _seat = first.enter().await.unwrap();
        assert!(first.enter().await.is_err());
        let _seat = second.enter().await.unwrap();
        let third = Room::new(1, host);
        assert!(third.enter().await.is_err());
    }
}
