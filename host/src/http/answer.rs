//! Answers on their way to a client: the host takes them from the component at once, up to the
//! client's share, counts them until the socket has them, and sends small ones in one piece.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use wasmtime_wasi_http::{Error, WasiBody};

use super::Response;
use super::client::{Client, Rest, UnderWay};
use crate::limits::{BODY_GATHERING, BODY_GRACE, WHOLE_BODY_BYTES};

/// What is still to be sent.
pub(crate) struct Answer {
    ready: VecDeque<Bytes>,
    /// After `ready`, before `rest`.
    last: Option<Result<Frame<Bytes>, Error>>,
    /// What the component still has.
    rest: Option<(WasiBody, Rest)>,
    request: UnderWay,
    _turn: Option<OwnedSemaphorePermit>,
}

/// Takes as much of the body as is ready within a moment and has room. A small answer then leaves
/// in one packet and with its length; without the wait, the head goes first, and the client may
/// hold back its acknowledgement while the body waits for it. A larger answer no longer occupies
/// its component.
pub(crate) async fn gather(
    response: Response,
    request: UnderWay,
    turn: Option<OwnedSemaphorePermit>,
) -> http::Response<Answer> {
    let (parts, mut body) = response.into_parts();
    let client = request.0.clone();
    let mut taken = Taken {
        ended: body.is_end_stream(),
        ..Taken::default()
    };
    let begun = Instant::now();
    let (end, mut deadline) = (begun + BODY_GATHERING, begun + BODY_GRACE);
    while !taken.ended && client.has_room() {
        let Ok(frame) = timeout_at(deadline, body.frame()).await else {
            break;
        };
        taken.add(frame, &client);
        deadline = end.min(Instant::now() + BODY_GRACE);
    }
    taken.join(&client);
    let rest = (!taken.ended).then(|| (body, client.leave_rest()));
    let answer = Answer {
        ready: taken.ready,
        last: taken.last,
        _turn: turn.filter(|_| rest.is_some()),
        rest,
        request,
    };
    http::Response::from_parts(parts, answer)
}

/// Leaves the answer unchanged, for a request whose answer has no body.
pub(crate) fn untouched(response: Response, request: UnderWay) -> http::Response<Answer> {
    response.map(|body| Answer {
        ready: VecDeque::new(),
        last: None,
        rest: Some((body, request.0.leave_rest())),
        request,
        _turn: None,
    })
}

/// Drops the body of an answer that says its length, and keeps the head. HTTP/2 reads even the body
/// of an answer to HEAD, and would find it shorter than the length that belongs to the GET.
pub(crate) fn head_only(response: Response, request: UnderWay) -> http::Response<Answer> {
    if !response.headers().contains_key(CONTENT_LENGTH) {
        return untouched(response, request);
    }
    response.map(|_| Answer {
        ready: VecDeque::new(),
        last: None,
        rest: None,
        request,
        _turn: None,
    })
}

/// The part of a body that has been taken so far.
#[derive(Default)]
struct Taken {
    ready: VecDeque<Bytes>,
    length: usize,
    last: Option<Result<Frame<Bytes>, Error>>,
    ended: bool,
}

impl Taken {
    fn add(&mut self, frame: Option<Result<Frame<Bytes>, Error>>, client: &Arc<Client>) {
        match frame.map(|frame| frame.map(Frame::into_data)) {
            None => self.ended = true,
            Some(Ok(Ok(bytes))) => {
                self.length += bytes.len();
                self.ready.push_back(client.count(bytes));
            }
            Some(Ok(Err(trailers))) => {
                self.last = Some(Ok(trailers));
                self.ended = true;
            }
            Some(Err(error)) => {
                self.last = Some(Err(error));
                self.ended = true;
            }
        }
    }

    /// Joins many small parts into one.
    fn join(&mut self, client: &Arc<Client>) {
        if self.ready.len() > 1 && self.length <= WHOLE_BODY_BYTES {
            let mut whole = BytesMut::with_capacity(self.length);
            for part in self.ready.drain(..) {
                whole.extend_from_slice(&part);
            }
            self.ready.push_back(client.count(whole.freeze()));
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Some(bytes) = this.ready.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if let Some(last) = this.last.take() {
            return Poll::Ready(Some(last));
        }
        let Some((rest, _)) = &mut this.rest else {
            return Poll::Ready(None);
        };
        let client = &this.request.0;
        Pin::new(rest).poll_frame(context).map(|frame| {
            let frame = frame?.map(|frame| frame.map_data(|bytes| client.count(bytes)));
            Some(frame)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_empty()
            && self.last.is_none()
            && self
                .rest
                .as_ref()
                .is_none_or(|(rest, _)| rest.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let ready: u64 = self.ready.iter().map(|bytes| bytes.len() as u64).sum();
        match (&self.rest, &self.last) {
            (None, None) => SizeHint::with_exact(ready),
            (Some((rest, _)), None) if ready == 0 => rest.size_hint(),
            _ => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::StreamBody;

    use super::*;
    use crate::http::client::{Clients, Next};
    use crate::limits::{BACKLOG_ANSWERS, ClientLimits};

    fn client(limits: ClientLimits) -> Arc<Client> {
        Client::new("10.0.0.1:1".parse().unwrap(), Clients::new(limits))
    }

    /// Parts of two bytes, each after a wait.
    fn response(delays_ms: &'static [u64]) -> Response {
        let frames = futures::stream::unfold(0, move |index| async move {
            tokio::time::sleep(Duration::from_millis(*delays_ms.get(index)?)).await;
            Some((Ok(Frame::data(Bytes::from_static(b"xy"))), index + 1))
        });
        Response::new(StreamBody::new(frames).boxed_unsync())
    }

    async fn gathered(client: &Arc<Client>, response: Response) -> Answer {
        gather(response, client.begin(), None).await.into_body()
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_there_gets_its_length() {
        let client = client(ClientLimits::default());
        let answer = gathered(&client, response(&[0, 0])).await;
        assert_eq!(answer.size_hint().exact(), Some(4));
        assert_eq!(answer.collect().await.unwrap().to_bytes(), "xyxy");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_is_streamed_and_loses_nothing() {
        let client = client(ClientLimits::default());
        let begun = Instant::now();
        let answer = gathered(&client, response(&[0, 100])).await;
        assert!(begun.elapsed() < Duration::from_millis(80));
        assert_eq!(answer.size_hint().exact(), None);
        assert_eq!(answer.collect().await.unwrap().to_bytes(), "xyxy");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_unread_is_counted_and_ends_the_connection_in_time() {
        let limits = ClientLimits::default();
        let client = client(limits);
        let answer = gathered(&client, response(&[0, 0])).await;
        tokio::time::advance(limits.write_timeout - Duration::from_millis(1)).await;
        assert!(matches!(client.next(), Next::Wait(_)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(client.next(), Next::Abort);
        drop(answer);
        assert!(
            matches!(client.next(), Next::Wait(_)),
            "nothing is unread any more"
        );
        tokio::time::advance(limits.header_timeout).await;
        assert_eq!(client.next(), Next::Finish);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_past_the_share_stay_in_the_component_and_are_soon_given_up() {
        let limits = ClientLimits {
            unsent_bytes_each: 3,
            ..ClientLimits::default()
        };
        let client = client(limits);
        let mut answers = vec![gathered(&client, response(&[0, 0, 0])).await];
        assert_eq!(answers[0].ready[0].len(), 4, "the third part found no room");
        for _ in 0..BACKLOG_ANSWERS {
            answers.push(gathered(&client, response(&[0])).await);
            assert!(answers.last().is_some_and(|answer| answer.ready.is_empty()));
        }
        tokio::time::advance(limits.backlog_timeout).await;
        assert_eq!(client.next(), Next::Abort);
        // A client that reads gets everything.
        let first = answers.remove(0);
        assert_eq!(first.collect().await.unwrap().to_bytes(), "xyxyxy");
        assert!(matches!(client.next(), Next::Wait(_)));
        for answer in answers {
            assert_eq!(answer.collect().await.unwrap().to_bytes(), "xy");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_connections_leave_too_much_the_worst_reader_goes() {
        let clients = Clients::new(ClientLimits {
            unsent_bytes: 6,
            ..ClientLimits::default()
        });
        let new = || Client::new("10.0.0.1:1".parse().unwrap(), clients.clone());
        let [bad, worse, third] = [new(), new(), new()];
        let _places = [&bad, &worse, &third]
            .map(|client| clients.connections.enter(client.network, client.clone()));
        let _bad = gathered(&bad, response(&[0])).await;
        let _worse = gathered(&worse, response(&[0, 0])).await;
        tokio::time::advance(Duration::from_millis(250)).await;
        let answer = gathered(&third, response(&[0])).await;
        assert!(answer.ready.is_empty(), "there was no room");
        let ordered = |client: &Client| {
            let context = Context::from_waker(std::task::Waker::noop());
            client.ordered(&context)
        };
        assert_eq!(ordered(&worse), Some(Next::Abort));
        assert_eq!(ordered(&bad), None);
    }
}
