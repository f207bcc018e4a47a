//! The signal that ends everything: sent once by the host, awaited by each of its tasks.

use tokio::sync::watch;

/// What the host keeps.
pub(crate) struct StopSender(watch::Sender<bool>);

/// What a task keeps.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

pub(crate) fn channel() -> (StopSender, Stop) {
    let (sender, receiver) = watch::channel(false);
    (StopSender(sender), Stop(receiver))
}

impl StopSender {
    pub fn send(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Returns when it is time to stop, at once if it already was.
    pub async fn requested(&mut self) {
        // A host that is gone without a word has stopped, too.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}
