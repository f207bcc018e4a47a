//! Redis channels: who listens to which, and the queue in front of each listener.
//!
//! ```text
//!   guest publishes ──► in process ─┐
//!                                   ├──► deliver ──► queue (channel, component) ──► worker ──► guest
//!   Redis server ─────► subscriber ─┘
//! ```

pub(crate) mod subscriber;
pub(crate) mod worker;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::calls::Gate;
use crate::limits::CHANNEL_QUEUE;

/// The listeners of one address. Filled once, when the components are ready.
pub(crate) struct Channels {
    #[cfg(feature = "faults")]
    gate: Arc<Gate>,
    listeners: OnceLock<HashMap<String, Vec<Listener>>>,
}

/// One component listening to one channel.
#[derive(Clone)]
pub(crate) struct Listener {
    component: Arc<str>,
    queue: mpsc::Sender<Bytes>,
}

impl Listener {
    /// A listener and the end of its queue that its worker reads.
    pub fn new(component: Arc<str>) -> (Self, mpsc::Receiver<Bytes>) {
        let (queue, messages) = mpsc::channel(CHANNEL_QUEUE);
        (Self { component, queue }, messages)
    }
}

impl Channels {
    /// Nobody listens yet.
    pub fn new(gate: Arc<Gate>) -> Self {
        #[cfg(not(feature = "faults"))]
        drop(gate);
        Self {
            #[cfg(feature = "faults")]
            gate,
            listeners: OnceLock::new(),
        }
    }

    pub fn fill(&self, listeners: HashMap<String, Vec<Listener>>) {
        // A second filling would be a mistake of the host, without effect on the first.
        let _ = self.listeners.set(listeners);
    }

    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self
            .listeners
            .get()
            .into_iter()
            .flat_map(HashMap::keys)
            .cloned()
            .collect();
        names.sort();
        names
    }

    /// Puts a message into the queue of everyone who listens. Never waits: a full queue loses the message,
    /// as pub/sub may.
    pub fn deliver(&self, channel: &str, payload: &Bytes) {
        let listeners = self
            .listeners
            .get()
            .and_then(|listeners| listeners.get(channel));
        for listener in listeners.into_iter().flatten() {
            #[cfg(feature = "faults")]
            if let Some(delays) = self.copies(listener, channel, payload) {
                for delay in delays {
                    listener.clone().queue_after(delay, channel, payload);
                }
                continue;
            }
            listener.queue(channel, payload);
        }
    }

    /// What a hook makes of a message; `None` for what would happen without it.
    #[cfg(feature = "faults")]
    fn copies(
        &self,
        listener: &Listener,
        channel: &str,
        payload: &Bytes,
    ) -> Option<Vec<std::time::Duration>> {
        use crate::faults::{Delivery, Fate};
        let delivery = Delivery {
            component: &listener.component,
            channel,
            payload,
        };
        match self.gate.hook.as_ref()?.deliver(&delivery) {
            Fate::Deliver => None,
            Fate::Copies(delays) => Some(delays),
        }
    }
}

impl Listener {
    fn queue(&self, channel: &str, payload: &Bytes) {
        let component = &*self.component;
        match self.queue.try_send(payload.clone()) {
            Ok(()) => tracing::trace!(component, channel, "message queued"),
            Err(TrySendError::Full(_)) => {
                tracing::warn!(
                    component,
                    channel,
                    limit = CHANNEL_QUEUE,
                    "queue full, message dropped"
                );
            }
            Err(TrySendError::Closed(_)) => {
                tracing::debug!(component, channel, "stopping, message dropped");
            }
        }
    }

    #[cfg(feature = "faults")]
    fn queue_after(self, delay: std::time::Duration, channel: &str, payload: &Bytes) {
        if delay.is_zero() {
            return self.queue(channel, payload);
        }
        let (channel, payload) = (channel.to_owned(), payload.clone());
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            self.queue(&channel, &payload);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_keep_their_order_and_overflow_is_dropped() {
        let channels = Channels::new(Arc::default());
        let (one, mut first) = Listener::new("one".into());
        let (two, mut second) = Listener::new("two".into());
        channels.fill(HashMap::from([("c".to_owned(), vec![one, two])]));
        for number in 0..CHANNEL_QUEUE + 5 {
            channels.deliver("c", &Bytes::from(number.to_string()));
        }
        channels.deliver("nobody", &Bytes::new());
        for messages in [&mut first, &mut second] {
            assert_eq!(messages.len(), CHANNEL_QUEUE);
            for number in 0..CHANNEL_QUEUE {
                assert_eq!(messages.recv().await.unwrap(), number.to_string());
            }
        }
    }
}
