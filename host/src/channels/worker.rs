//! Gives one component the messages of one channel, one at a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use wasmtime::Store;

use crate::bindings::exports::spin::redis::inbound_redis::Guest;
use crate::component::Component;
use crate::limits::{INSTANCE_IDLE, INSTANCE_REUSE};
use crate::room::Seat;
use crate::state::HostState;
use crate::stop::Stop;

/// An instance kept for the next message: what a component caches stays warm. Dropped in this order.
struct Warm {
    store: Store<HostState>,
    guest: Guest,
    used: usize,
    _seat: Seat,
}

/// The worker of one queue.
pub(crate) struct Worker {
    component: Arc<Component>,
    channel: String,
    timeout: Duration,
    warm: Option<Warm>,
}

impl Worker {
    pub fn new(component: Arc<Component>, channel: String, timeout: Duration) -> Self {
        Self {
            component,
            channel,
            timeout,
            warm: None,
        }
    }

    /// Runs until told to stop, and then finishes the message in hand.
    pub async fn run(mut self, mut messages: mpsc::Receiver<Bytes>, mut stop: Stop) {
        loop {
            let idle = tokio::time::sleep(INSTANCE_IDLE);
            let room_is_wanted = self.component.instances.room.idler();
            tokio::select! {
                biased;
                () = stop.requested() => return,
                message = messages.recv() => match message {
                    Some(message) => self.handle(message).await,
                    None => return,
                },
                () = idle, if self.warm.is_some() => self.warm = None,
                () = room_is_wanted, if self.warm.is_some() => self.warm = None,
            }
        }
    }

    /// A failure is logged here, once, and the next message proceeds in a new instance.
    async fn handle(&mut self, message: Bytes) {
        let component = &*self.component.id.clone();
        let channel = &*self.channel.clone();
        tracing::debug!(component, channel, bytes = message.len(), "message");
        let outcome = match tokio::time::timeout(self.timeout, self.call(message)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no end after {:?}", self.timeout)),
        };
        if let Err(error) = outcome {
            self.warm = None;
            tracing::error!(component, channel, error, "message handler failed");
        }
    }

    async fn call(&mut self, message: Bytes) -> Result<(), String> {
        // Out of its place while it runs: a call that is cut off takes the instance with it.
        let mut warm = match self.warm.take() {
            Some(warm) => warm,
            None => instantiate(self.component.clone())
                .await
                .map_err(|error| format!("{error:#}"))?,
        };
        let Warm {
            store, guest, used, ..
        } = &mut warm;
        *used += 1;
        store.data_mut().busy_ticks = 0;
        let killed = store.data().calls.killed();
        let run = store.run_concurrent(async |accessor| {
            let answer = guest.call_handle_message(accessor, message.to_vec()).await;
            // What the handler started and did not wait for still belongs to this message.
            std::future::poll_fn(|context| accessor.poll_no_interesting_tasks(context)).await;
            answer
        });
        let answer = tokio::select! {
            biased;
            answer = run => answer.and_then(std::convert::identity),
            () = killed => return Err("stopped by a hook".into()),
        };
        let answer = answer.map_err(|error| error.root_cause().to_string())?;
        if warm.used < INSTANCE_REUSE {
            self.warm = Some(warm);
        }
        answer.map_err(|error| format!("the handler answered {error:?}"))
    }
}

async fn instantiate(component: Arc<Component>) -> wasmtime::Result<Warm> {
    let indices = component.redis.as_ref().expect("checked at start");
    let (mut store, instance, seat) = component.instances.instantiate().await?;
    let guest = indices.load(&mut store, &instance)?;
    Ok(Warm {
        store,
        guest,
        used: 0,
        _seat: seat,
    })
}
