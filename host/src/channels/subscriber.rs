//! Listens to the channels of one Redis server, through any number of lost connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::watch;

use super::Channels;
use crate::limits::{REDIS_BACKOFF_MAX, REDIS_BACKOFF_MIN, REDIS_TIMEOUT};
use crate::redis::for_log;
use crate::stop::Stop;

/// A connection that lasted this long was a good one: the next attempt starts with the short wait again.
const STABLE: Duration = Duration::from_secs(10);

/// Runs until told to stop. `settled` learns how the first attempt went, well or not.
pub(crate) async fn run(
    address: String,
    channels: Arc<Channels>,
    mut stop: Stop,
    settled: watch::Sender<bool>,
) {
    let mut wait = REDIS_BACKOFF_MIN;
    loop {
        let begun = Instant::now();
        let lost = tokio::select! {
            biased;
            () = stop.requested() => return,
            lost = listen(&address, &channels, &settled) => lost,
        };
        settled.send_replace(true);
        if begun.elapsed() > STABLE {
            wait = REDIS_BACKOFF_MIN;
        }
        let pause = with_jitter(wait);
        tracing::warn!(
            address = for_log(&address),
            error = lost,
            retry_in_ms = pause.as_millis() as u64,
            "Redis is not reachable: start it, or name another (--redis, redis_url); until then messages \
             wait with their senders"
        );
        tokio::select! {
            biased;
            () = stop.requested() => return,
            () = tokio::time::sleep(pause) => {}
        }
        wait = (wait * 2).min(REDIS_BACKOFF_MAX);
    }
}

/// One connection, until it is lost; the answer says why.
async fn listen(address: &str, channels: &Channels, settled: &watch::Sender<bool>) -> String {
    match subscribe(address, channels).await {
        Err(error) => error,
        Ok(mut messages) => {
            tracing::info!(address = for_log(address), "subscribed to Redis");
            settled.send_replace(true);
            while let Some(message) = messages.next().await {
                let payload = Bytes::copy_from_slice(message.get_payload_bytes());
                channels.deliver(message.get_channel_name(), &payload);
            }
            "connection lost".into()
        }
    }
}

async fn subscribe(address: &str, channels: &Channels) -> Result<redis::aio::PubSubStream, String> {
    let subscribe = async {
        let client = crate::redis::client(address)?;
        let (mut sink, messages) = client.get_async_pubsub().await?.split();
        for channel in channels.names() {
            sink.subscribe(channel).await?;
        }
        Ok(messages)
    };
    match tokio::time::timeout(REDIS_TIMEOUT, subscribe).await {
        Ok(result) => result.map_err(|error: redis::RedisError| error.to_string()),
        Err(_) => Err(format!("no answer within {REDIS_TIMEOUT:?}")),
    }
}

/// Between half of the wait and all of it, so that many hosts do not come back at the same moment.
fn with_jitter(wait: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    // The standard library's only source of randomness, and enough for this.
    let random = RandomState::new().hash_one(0) % 1000;
    wait / 2 + wait.mul_f64(random as f64 / 2000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_and_bounded() {
        for _ in 0..100 {
            let wait = with_jitter(Duration::from_millis(100));
            assert!((Duration::from_millis(50)..=Duration::from_millis(100)).contains(&wait));
        }
    }
}
