//! What the host knows of one client connection: whether it is at work, how much it has left unread, and when it
//! must end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use futures::task::AtomicWaker;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::places::{Activity, Claim, Holder, Network, Places};
use super::receive::Unfinished;
use crate::limits::{BACKLOG_ANSWERS, ClientLimits, HTTP2_REQUESTS, INSTANCE_WAIT};

/// What all connections share.
pub(crate) struct Clients {
    pub limits: ClientLimits,
    pub connections: Arc<Places<Client>>,
    pub unfinished: Arc<Places<Unfinished>>,
    /// Bytes that clients have not taken yet.
    unsent: AtomicUsize,
}

impl Clients {
    pub fn new(limits: ClientLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            connections: Places::new(limits.connections),
            unfinished: Places::new(limits.unfinished_bodies),
            unsent: AtomicUsize::new(0),
        })
    }

    /// Ends the connection with the most unread bytes among those that have not read for a moment.
    fn relieve(&self) {
        let mut worst: Option<(usize, Arc<Client>)> = None;
        self.connections.for_each(|client| {
            let unsent = client.unsent.load(Ordering::Relaxed);
            let is_worse = worst.as_ref().is_none_or(|(most, _)| unsent > *most);
            if unsent > 0 && is_worse && client.at(&client.taken).elapsed() >= UNREAD {
                worst = Some((unsent, client.clone()));
            }
        });
        if let Some((_, client)) = worst {
            client.evict();
        }
    }
}

/// A client that has read nothing for this long may have to go when memory is short.
const UNREAD: Duration = Duration::from_millis(250);

/// Orders to the task of a connection.
const ABORT: u8 = 1;
const FINISH: u8 = 2;
const LOOK: u8 = 4;

/// One connection.
pub(crate) struct Client {
    pub address: SocketAddr,
    pub network: Network,
    pub clients: Arc<Clients>,
    begun: Instant,
    /// Requests whose answers are not handed over yet, and how many of them are in components.
    requests: AtomicUsize,
    working: AtomicUsize,
    /// Bytes of answers that the socket has not taken, and answers that are not yet complete in the
    /// host.
    unsent: AtomicUsize,
    backlog: AtomicUsize,
    /// In milliseconds since `begun`: when the last request ended, when the first of those that run began, and when
    /// the client took the last part of an answer or was first offered one.
    idle: AtomicU64,
    busy: AtomicU64,
    taken: AtomicU64,
    /// Data in the system's buffers for this client may be dropped.
    is_aborted: AtomicBool,
    orders: AtomicU8,
    waker: AtomicWaker,
    turns: Arc<Semaphore>,
}

/// What a connection's task must do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Wait(Instant),
    /// The connection is idle: end it politely.
    Finish,
    Abort,
}

impl Client {
    pub fn new(address: SocketAddr, clients: Arc<Clients>) -> Arc<Self> {
        Arc::new(Self {
            address,
            network: address.ip().into(),
            clients,
            begun: Instant::now(),
            requests: AtomicUsize::new(0),
            working: AtomicUsize::new(0),
            unsent: AtomicUsize::new(0),
            backlog: AtomicUsize::new(0),
            idle: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            is_aborted: AtomicBool::new(false),
            orders: AtomicU8::new(0),
            waker: AtomicWaker::new(),
            turns: Arc::new(Semaphore::new(HTTP2_REQUESTS)),
        })
    }

    fn now(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }

    fn at(&self, mark: &AtomicU64) -> Instant {
        self.begun + Duration::from_millis(mark.load(Ordering::Relaxed))
    }

    /// A request has begun.
    pub fn begin(self: &Arc<Self>) -> UnderWay {
        if self.requests.fetch_add(1, Ordering::AcqRel) == 0 {
            self.busy.store(self.now(), Ordering::Relaxed);
        }
        UnderWay(self.clone())
    }

    /// While this lives, the client waits for us.
    pub fn work(&self) -> Working<'_> {
        self.working.fetch_add(1, Ordering::Relaxed);
        Working(self)
    }

    /// A turn for one of many requests on one connection; `None` if its turn did not come in time.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let turn = self.turns.clone().acquire_owned();
        let turn = tokio::time::timeout(INSTANCE_WAIT, turn).await;
        turn.ok()?.ok()
    }

    /// Whether more of an answer may be taken from its component.
    pub fn has_room(&self) -> bool {
        let limits = &self.clients.limits;
        self.unsent.load(Ordering::Relaxed) < limits.unsent_bytes_each
            && self.clients.unsent.load(Ordering::Relaxed) < limits.unsent_bytes
    }

    /// The same bytes, counted until they are dropped: hyper drops them when the socket has taken
    /// them.
    pub fn count(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        let length = bytes.len();
        if length == 0 {
            return bytes;
        }
        if self.unsent.fetch_add(length, Ordering::AcqRel) == 0 {
            self.taken.store(self.now(), Ordering::Relaxed);
        }
        self.clients.unsent.fetch_add(length, Ordering::AcqRel);
        Bytes::from_owner(Unsent {
            bytes,
            client: self.clone(),
        })
    }

    /// A component has more of an answer than the host could take.
    pub fn leave_rest(self: &Arc<Self>) -> Rest {
        if self.backlog.fetch_add(1, Ordering::AcqRel) == BACKLOG_ANSWERS {
            self.order(LOOK);
        }
        if self.clients.unsent.load(Ordering::Relaxed) >= self.clients.limits.unsent_bytes {
            self.clients.relieve();
        }
        Rest(self.clone())
    }

    /// The connection ends at once, even if data is on its way.
    pub fn abort(&self) {
        self.is_aborted.store(true, Ordering::Relaxed);
    }

    pub fn is_aborted(&self) -> bool {
        self.is_aborted.load(Ordering::Relaxed)
    }

    /// Ends the connection after its running requests.
    pub fn finish(&self) {
        self.order(FINISH);
    }

    fn order(&self, order: u8) {
        self.orders.fetch_or(order, Ordering::AcqRel);
        self.waker.wake();
    }

    /// The orders since the last call. If there are none, the next order wakes the task.
    pub fn ordered(&self, context: &Context<'_>) -> Option<Next> {
        self.waker.register(context.waker());
        match self.orders.swap(0, Ordering::AcqRel) {
            0 => None,
            orders if orders & ABORT != 0 => Some(Next::Abort),
            orders if orders & FINISH != 0 => Some(Next::Finish),
            _ => Some(self.next()),
        }
    }

    /// Whether no request is running and every answer was taken.
    pub fn is_idle(&self) -> bool {
        self.unsent.load(Ordering::Acquire) == 0 && self.requests.load(Ordering::Acquire) == 0
    }

    /// Whether the client's time is over, or when it will be at the earliest.
    pub fn next(&self) -> Next {
        let (limits, now) = (&self.clients.limits, Instant::now());
        let (due, over) = if self.unsent.load(Ordering::Acquire) > 0 {
            let time = match self.backlog.load(Ordering::Acquire) {
                0..=BACKLOG_ANSWERS => limits.write_timeout,
                _ => limits.backlog_timeout,
            };
            (self.at(&self.taken) + time, Next::Abort)
        } else if self.requests.load(Ordering::Acquire) > 0 {
            // Requests have limits of their own.
            return Next::Wait(now + limits.header_timeout.min(limits.write_timeout));
        } else {
            let last = self.at(&self.idle).max(self.at(&self.taken));
            (last + limits.header_timeout, Next::Finish)
        };
        // Another of the limits may begin to count while this one runs, and end before it.
        let again = due.min(now + limits.write_timeout);
        if now >= due { over } else { Next::Wait(again) }
    }
}

impl Holder for Client {
    fn claim(&self) -> Claim {
        let is_working = self.working.load(Ordering::Relaxed) > 0;
        let is_unread = self.unsent.load(Ordering::Relaxed) > 0;
        let (activity, since) = if is_working {
            (Activity::Working, &self.busy)
        } else if is_unread {
            (Activity::WaitsForClient, &self.taken)
        } else if self.requests.load(Ordering::Relaxed) > 0 {
            (Activity::WaitsForClient, &self.busy)
        } else {
            (Activity::Idle, &self.idle)
        };
        Claim {
            activity,
            since: self.at(since),
        }
    }

    fn evict(&self) {
        self.order(ABORT);
    }
}

/// A request that is under way.
pub(crate) struct UnderWay(pub Arc<Client>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let client = &self.0;
        client.idle.store(client.now(), Ordering::Relaxed);
        client.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

/// See [`Client::work`].
pub(crate) struct Working<'a>(&'a Client);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.working.fetch_sub(1, Ordering::Relaxed);
    }
}

/// See [`Client::leave_rest`].
pub(crate) struct Rest(Arc<Client>);

impl Drop for Rest {
    fn drop(&mut self) {
        self.0.backlog.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Bytes on their way to the socket.
struct Unsent {
    bytes: Bytes,
    client: Arc<Client>,
}

impl AsRef<[u8]> for Unsent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        let (client, length) = (&self.client, self.bytes.len());
        client.taken.store(client.now(), Ordering::Relaxed);
        client.unsent.fetch_sub(length, Ordering::AcqRel);
        client.clients.unsent.fetch_sub(length, Ordering::AcqRel);
    }
}
