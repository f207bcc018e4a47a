//! Bodies that clients send: a small one is read whole before its request takes a place, a larger
//! one is passed on as it comes. Both have limits on time and size.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, timeout_at};
use wasmtime_wasi_http::{Error, WasiBody};

use super::body::full;
use super::client::Client;
use super::places::{Activity, Claim, Holder};
use super::problem::Problem;
use crate::limits::{REQUEST_BODY_BYTES, SMALL_BODY_BYTES};

/// A body that the host waits for.
pub(crate) struct Unfinished {
    since: Instant,
    evicted: Notify,
}

impl Holder for Unfinished {
    fn claim(&self) -> Claim {
        Claim {
            activity: Activity::WaitsForClient,
            since: self.since,
        }
    }

    fn evict(&self) {
        self.evicted.notify_one();
    }
}

/// The progress of a body that is passed on as it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Progress {
    Open,
    Ended,
    /// The next part did not come in time.
    Late,
    TooLarge,
}

/// [`Progress`], for the task that passed the request on.
#[derive(Clone)]
pub(crate) struct Watched(Arc<AtomicU8>);

impl Watched {
    fn new(progress: Progress) -> Self {
        Self(Arc::new(AtomicU8::new(progress as u8)))
    }

    fn set(&self, progress: Progress) {
        self.0.store(progress as u8, Ordering::Relaxed);
    }

    pub fn progress(&self) -> Progress {
        let all = [Progress::Ended, Progress::Late, Progress::TooLarge];
        let now = self.0.load(Ordering::Relaxed);
        all.into_iter()
            .find(|progress| *progress as u8 == now)
            .unwrap_or(Progress::Open)
    }
}

/// The body for the component, once it is whole or its first [`SMALL_BODY_BYTES`] are there.
pub(crate) async fn receive<B>(body: B, client: &Client) -> Result<(WasiBody, Watched), Problem>
where
    B: Body<Data = Bytes, Error = hyper::Error> + Send + Unpin + 'static,
{
    if body.is_end_stream() {
        return Ok((full(Bytes::new()), Watched::new(Progress::Ended)));
    }
    let clients = &client.clients;
    let waiting = Arc::new(Unfinished {
        since: Instant::now(),
        evicted: Notify::new(),
    });
    let deadline = waiting.since + clients.limits.body_timeout;
    let place = clients.unfinished.enter(client.network, waiting.clone());
    let _place = place.ok_or(Problem::Overloaded)?;
    let begin = Beginning::read(body);
    tokio::select! {
        biased;
        begun = timeout_at(deadline, begin) => {
            let begun = begun.map_err(|_| Problem::RequestTimeout)?;
            begun.map(|begun| begun.into_body(clients.limits.body_timeout))
        }
        () = waiting.evicted.notified() => Err(Problem::RequestTimeout),
    }
}

/// The first part of a body.
struct Beginning<B> {
    frames: VecDeque<Frame<Bytes>>,
    length: usize,
    /// Unless that was all.
    rest: Option<B>,
}

impl<B> Beginning<B>
where
    B: Body<Data = Bytes, Error = hyper::Error> + Send + Unpin + 'static,
{
    async fn read(mut body: B) -> Result<Self, Problem> {
        let (mut frames, mut length) = (VecDeque::new(), 0);
        while length <= SMALL_BODY_BYTES {
            let Some(frame) = body.frame().await else {
                return Ok(Self {
                    frames,
                    length,
                    rest: None,
                });
            };
            // The client broke off, or sent something that is not a body.
            let frame = frame.map_err(|_| Problem::BadRequest)?;
            length += frame.data_ref().map_or(0, Bytes::len);
            push(&mut frames, frame);
            if body.is_end_stream() {
                return Ok(Self {
                    frames,
                    length,
                    rest: None,
                });
            }
        }
        Ok(Self {
            frames,
            length,
            rest: Some(body),
        })
    }

    fn into_body(mut self, timeout: Duration) -> (WasiBody, Watched) {
        let Some(rest) = self.rest else {
            let watched = Watched::new(Progress::Ended);
            let only = (self.frames.len() == 1).then(|| self.frames.pop_front());
            return match only.flatten().map(Frame::into_data) {
                Some(Ok(bytes)) => (full(bytes), watched),
                Some(Err(trailers)) => {
                    self.frames.push_back(trailers);
                    (whole(self.frames), watched)
                }
                None => (whole(self.frames), watched),
            };
        };
        let watched = Watched::new(Progress::Open);
        let rest = Paced {
            ready: self.frames,
            rest,
            room: REQUEST_BODY_BYTES.saturating_sub(self.length),
            timeout,
            sleep: Box::pin(tokio::time::sleep(timeout)),
            watched: watched.clone(),
        };
        (rest.boxed_unsync(), watched)
    }
}

/// Adds a frame. Many small ones, as a slow client sends them, become one: each of them would take
/// more memory than its data.
fn push(frames: &mut VecDeque<Frame<Bytes>>, frame: Frame<Bytes>) {
    let frame = match frame.into_data() {
        Ok(bytes) => {
            if let Some(last) = frames.back_mut().and_then(Frame::data_mut) {
                let mut joined = std::mem::take(last)
                    .try_into_mut()
                    .unwrap_or_else(|shared| bytes::BytesMut::from(&shared[..]));
                joined.extend_from_slice(&bytes);
                *last = joined.freeze();
                return;
            }
            Frame::data(bytes)
        }
        Err(trailers) => trailers,
    };
    frames.push_back(frame);
}

fn whole(frames: VecDeque<Frame<Bytes>>) -> WasiBody {
    let frames = futures::stream::iter(frames.into_iter().map(Ok));
    http_body_util::StreamBody::new(frames).boxed_unsync()
}

/// A body whose parts must follow each other in time, up to a size.
struct Paced<B> {
    ready: VecDeque<Frame<Bytes>>,
    rest: B,
    /// Bytes that may still come.
    room: usize,
    timeout: Duration,
    sleep: Pin<Box<Sleep>>,
    watched: Watched,
}

impl<B> Body for Paced<B>
where
    B: Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Some(frame) = this.ready.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let Poll::Ready(frame) = Pin::new(&mut this.rest).poll_frame(context) else {
            if this.sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            this.watched.set(Progress::Late);
            return Poll::Ready(Some(Err(Error::ConnectionReadTimeout)));
        };
        let Some(frame) = frame else {
            this.watched.set(Progress::Ended);
            return Poll::Ready(None);
        };
        let frame = frame.map_err(Error::Hyper);
        if let Ok(frame) = &frame {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(room) = this.room.checked_sub(length) else {
                this.watched.set(Progress::TooLarge);
                let limit = Some(REQUEST_BODY_BYTES as u64);
                return Poll::Ready(Some(Err(Error::HttpRequestBodySize(limit))));
            };
            this.room = room;
            this.sleep.as_mut().reset(Instant::now() + this.timeout);
        }
        if this.rest.is_end_stream() {
            this.watched.set(Progress::Ended);
        }
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::http::client::Clients;
    use crate::limits::{BODY_READ_TIMEOUT, ClientLimits};

    /// Parts of a size, each after a wait of so many seconds.
    fn parts(
        seconds: &'static [u64],
        size: usize,
    ) -> impl Body<Data = Bytes, Error = hyper::Error> + Send + Unpin + 'static {
        let frames = futures::stream::unfold(0, move |index| async move {
            tokio::time::sleep(Duration::from_secs(*seconds.get(index)?)).await;
            let frame = Frame::data(Bytes::from(vec![b'x'; size]));
            Some((Ok::<_, Infallible>(frame), index + 1))
        });
        let body = http_body_util::StreamBody::new(Box::pin(frames));
        body.map_err(|never| match never {})
    }

    fn client() -> Arc<Client> {
        let clients = Clients::new(ClientLimits::default());
        Client::new("10.0.0.1:1".parse().unwrap(), clients)
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_body_is_whole_before_its_request_goes_on() {
        let begun = Instant::now();
        let (body, sent) = receive(parts(&[1, 2, 1], 3), &client()).await.ok().unwrap();
        assert_eq!(begun.elapsed().as_secs(), 4);
        assert_eq!(sent.progress(), Progress::Ended);
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), 9);
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_a_second_is_too_slow() {
        let begun = Instant::now();
        let received = receive(parts(&[1; 60], 1), &client()).await;
        assert_eq!(received.err(), Some(Problem::RequestTimeout));
        assert_eq!(begun.elapsed().as_secs(), BODY_READ_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_goes_on_when_its_beginning_is_there() {
        let (body, sent) = receive(parts(&[0, 9, 9], SMALL_BODY_BYTES + 1), &client())
            .await
            .ok()
            .unwrap();
        assert_eq!(sent.progress(), Progress::Open);
        let whole = body.collect().await.unwrap().to_bytes();
        assert_eq!(whole.len(), 3 * (SMALL_BODY_BYTES + 1));
        assert_eq!(sent.progress(), Progress::Ended);
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_that_stops_coming_is_late() {
        let (body, sent) = receive(parts(&[0, 11], SMALL_BODY_BYTES + 1), &client())
            .await
            .ok()
            .unwrap();
        body.collect().await.unwrap_err();
        assert_eq!(sent.progress(), Progress::Late);
    }

    #[tokio::test]
    async fn a_body_without_end_is_cut_off() {
        let (body, sent) = receive(parts(&[0; 20], 1 << 20), &client())
            .await
            .ok()
            .unwrap();
        body.collect().await.unwrap_err();
        assert_eq!(sent.progress(), Progress::TooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_unfinished_body_makes_room_for_a_new_one() {
        let clients = Clients::new(ClientLimits {
            unfinished_bodies: 2,
            ..ClientLimits::default()
        });
        let client = Client::new("10.0.0.1:1".parse().unwrap(), clients);
        let begun = Instant::now();
        let slow = async {
            let received = receive(parts(&[5], 1), &client).await;
            (received.err(), begun.elapsed().as_secs())
        };
        let later = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            receive(parts(&[2], 1), &client).await.is_ok()
        };
        let last = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            receive(parts(&[0], 1), &client).await.is_ok()
        };
        let (slow, later, last) = tokio::join!(slow, later, last);
        assert_eq!(slow, (Some(Problem::RequestTimeout), 2));
        assert!(later && last);
    }
}
