//! Threads of lower priority for components whose work is long and can wait, hashing above all: with every core busy
//! they get what the others leave.

use std::future::poll_fn;
use std::pin::pin;

use tokio::runtime::{Builder, Runtime};

/// What the kernel takes off: the most. Beside a busy thread of usual priority, one of these has about a sixtieth of a core.
const NICENESS: i32 = 19;

/// The threads, one for each core; they end, with what runs on them, when this is dropped.
pub(crate) struct Background {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Background {
    pub fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name("wasmart-low")
            .on_thread_start(step_back)
            .enable_all()
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
        })
    }

    /// Polls the future here; what it spawns, it spawns there.
    pub async fn spawning_there<R>(&self, future: impl Future<Output = R>) -> R {
        let mut future = pin!(future);
        poll_fn(|context| {
            let _there = self.runtime.as_ref().map(Runtime::enter);
            future.as_mut().poll(context)
        })
        .await
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Lowers the priority of this thread. Only Linux has one for each thread; elsewhere the work merely has threads of
/// its own.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "a background thread has the priority of all");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_is_spawned_runs_there_with_less_priority() {
        let background = Background::start().unwrap();
        let look = async || {
            let look = || {
                let name = std::thread::current().name().map(str::to_owned);
                let niceness = rustix::process::getpriority_process(None).unwrap();
                (name, niceness)
            };
            tokio::spawn(async move { look() }).await.unwrap()
        };
        let (name, niceness) = background.spawning_there(look()).await;
        assert_eq!((name.as_deref(), niceness), (Some("wasmart-low"), NICENESS));
        let (name, niceness) = look().await;
        assert_ne!(name.as_deref(), Some("wasmart-low"));
        assert_ne!(niceness, NICENESS);
    }
}
