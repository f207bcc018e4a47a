//! The pool of instances that serve one component's requests. Wasmtime's handler decides which instance
//! takes which request; here is how an instance is made and how long it lives.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::futures::OwnedNotified;
use tokio::time::Sleep;
use wasmtime::component::GuestTaskId;
use wasmtime::{PoolConcurrencyLimitError, Store, StoreContextMut};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::handler::{
    ExpirationError, HandlerState, Instance, InstantiationError, Proxy, ProxyHandler, ShouldAccept,
    WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::p3::bindings::ServiceIndices;

use super::problem::Problem;
use super::{Request, Response};
use crate::background::Background;
use crate::component::Instances;
use crate::limits::{INSTANCE_CONCURRENCY, INSTANCE_IDLE, INSTANCE_REUSE};
use crate::room::{Idler, NoRoom, Room, Seat};
use crate::state::HostState;

/// Serves requests with instances of one component.
pub(crate) struct HttpPool {
    component: Arc<str>,
    handler: ProxyHandler<Maker>,
    timeout: Duration,
    /// Where the instances run, unless it is where the requests come in.
    background: Option<Arc<Background>>,
}

impl HttpPool {
    /// `None` when the component does not export `wasi:http/handler`.
    pub fn new(
        instances: Arc<Instances>,
        timeout: Duration,
        background: Option<Arc<Background>>,
    ) -> Option<Self> {
        let indices = ServiceIndices::new(&instances.pre).ok()?;
        let component = instances.grants.component.clone();
        let handler = ProxyHandler::new(Maker {
            instances,
            indices,
            timeout,
        });
        Some(Self {
            component,
            handler,
            timeout,
            background,
        })
    }

    async fn handle(&self, request: Request) -> wasmtime::Result<Response> {
        let answer = self.handler.handle((), request);
        match &self.background {
            Some(background) => background.spawning_there(answer).await,
            None => answer.await,
        }
    }

    /// The component's answer, or why there is none. Failures are logged here, once.
    pub async fn serve(&self, request: Request) -> Result<Response, Problem> {
        let begun = Instant::now();
        let path = request.uri().path().to_owned();
        // The pool has the same limit for itself, but it cannot act while a guest runs without a break.
        let answer = tokio::time::timeout(self.timeout, self.handle(request)).await;
        let error = match answer {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) => error,
            Err(_) => ExpirationError.into(),
        };
        let problem = self.problem(&error, begun.elapsed());
        tracing::error!(
            component = &*self.component,
            path,
            status = problem.status().as_u16(),
            error = format!("{error:#}"),
            "request failed"
        );
        Err(problem)
    }

    fn problem(&self, error: &wasmtime::Error, elapsed: Duration) -> Problem {
        let no_room = error
            .downcast_ref::<InstantiationError<()>>()
            .is_some_and(|error| {
                error.error.is::<NoRoom>() || error.error.is::<PoolConcurrencyLimitError>()
            });
        if no_room {
            Problem::Overloaded
        } else if error.is::<ExpirationError>() || elapsed >= self.timeout {
            Problem::Timeout
        } else {
            Problem::ComponentFailed
        }
    }
}

/// Makes the instances.
struct Maker {
    instances: Arc<Instances>,
    indices: ServiceIndices,
    timeout: Duration,
}

impl HandlerState for Maker {
    type StoreData = HostState;
    type WorkerExpiration = Expiry;
    type WorkerState = Life;

    async fn instantiate(&self) -> wasmtime::Result<Instance<HostState, Expiry, Life>> {
        let (mut store, instance, seat) = self.instances.instantiate().await?;
        let service = self.indices.load(&mut store, &instance)?;
        let killed = Box::pin(store.data().calls.killed());
        Ok(Instance {
            store,
            proxy: Proxy::P3(service),
            view: HostState::http,
            expiration: Expiry {
                timeout: self.timeout,
                seen: None,
                sleep: Box::pin(tokio::time::sleep(INSTANCE_IDLE)),
                killed,
                room: self.instances.room.clone(),
                idler: None,
            },
            state: Life {
                component: self.instances.grants.component.clone(),
                timeout: self.timeout,
                _seat: seat,
            },
        })
    }
}

/// When an instance is dropped: after a while without work, or sooner for one that has some; when its work
/// outlasts the timeout, or when a hook says so.
struct Expiry {
    timeout: Duration,
    /// The status that `sleep` is about, and since when.
    seen: Option<(WorkerStatus, Instant)>,
    sleep: Pin<Box<Sleep>>,
    killed: Pin<Box<OwnedNotified>>,
    room: Arc<Room>,
    /// Only while there is no work.
    idler: Option<Idler>,
}

impl WorkerExpiration for Expiry {
    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        status: WorkerStatus,
        since: Instant,
    ) -> Poll<()> {
        if self.killed.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let time = match status {
            WorkerStatus::Idle => {
                let room = self.room.clone();
                let idler = self.idler.get_or_insert_with(|| room.idler());
                if Pin::new(idler).poll(context).is_ready() {
                    return Poll::Ready(());
                }
                INSTANCE_IDLE
            }
            WorkerStatus::Requests | WorkerStatus::PostReturn => {
                self.idler = None;
                self.timeout
            }
        };
        // By tokio's clock, which a test may stop: `since` only tells one spell from the next.
        if self.seen != Some((status, since)) {
            self.seen = Some((status, since));
            self.sleep
                .as_mut()
                .reset(tokio::time::Instant::now() + time);
        }
        self.sleep.as_mut().poll(context)
    }
}

/// How many requests an instance takes.
struct Life {
    component: Arc<str>,
    timeout: Duration,
    /// Left when the handler drops this, after the store.
    _seat: Seat,
}

impl WorkerState for Life {
    type StoreData = HostState;
    type RequestData = ();

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        if total >= INSTANCE_REUSE {
            ShouldAccept::Never
        } else if concurrent >= INSTANCE_CONCURRENCY {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        mut store: StoreContextMut<'_, HostState>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        store.data_mut().busy_ticks = 0;
        Box::pin(tokio::time::sleep(self.timeout))
    }

    fn drop(&self, store: Store<HostState>, result: wasmtime::Result<()>) {
        if let Err(error) = result {
            // The cause alone: the frames in front of it have no names in a stripped component.
            let cause = error.root_cause().to_string();
            // wasmtime says so of every worker that is dropped, also when the runtime ends with it.
            if cause == "worker panicked" && !std::thread::panicking() {
                tracing::debug!(
                    component = &*self.component,
                    "instance dropped with its worker"
                );
            } else {
                tracing::error!(component = &*self.component, cause, "instance ended");
            }
            tracing::debug!(component = &*self.component, "{error:?}");
        }
        drop(store);
    }
}
