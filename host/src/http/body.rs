//! Bodies: bounding what comes in, and sending a small answer in one piece.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};
use wasmtime_wasi_http::{Error, WasiBody};

use super::Response;
use crate::limits::{BODY_GRACE, WHOLE_BODY_BYTES};

/// A client's body, cut off at `limit` bytes.
pub(crate) fn limited(body: Incoming, limit: usize) -> WasiBody {
    Limited::new(body, limit)
        .map_err(move |error| match error.downcast::<hyper::Error>() {
            Ok(error) => Error::Hyper(*error),
            Err(error) if error.is::<LengthLimitError>() => {
                Error::HttpRequestBodySize(Some(limit as u64))
            }
            Err(error) => Error::InternalError(Some(error.to_string())),
        })
        .boxed_unsync()
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> WasiBody {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Waits a moment for the body, so that a small answer leaves in one packet and with its length. Without,
/// the head goes first, and the client may hold back its acknowledgement while the body waits for it.
pub(crate) async fn settle(response: Response) -> Response {
    let (parts, mut body) = response.into_parts();
    if body.is_end_stream() {
        return Response::from_parts(parts, body);
    }
    let deadline = Instant::now() + BODY_GRACE;
    let mut data = BytesMut::new();
    let mut last = None;
    let ended = loop {
        match timeout_at(deadline, body.frame()).await {
            Ok(None) => break true,
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(bytes) => {
                    data.extend_from_slice(&bytes);
                    if data.len() > WHOLE_BODY_BYTES {
                        break false;
                    }
                }
                Err(trailers) => {
                    last = Some(Ok(trailers));
                    break false;
                }
            },
            Ok(Some(Err(error))) => {
                last = Some(Err(error));
                break false;
            }
            Err(_) => break false,
        }
    };
    let data = data.freeze();
    let body = if ended {
        full(data)
    } else {
        let first = (!data.is_empty()).then(|| Ok(Frame::data(data)));
        Resumed {
            ready: first.into_iter().chain(last).collect(),
            rest: body,
        }
        .boxed_unsync()
    };
    Response::from_parts(parts, body)
}

/// Frames that were taken already, then the rest of the body.
struct Resumed {
    ready: VecDeque<Result<Frame<Bytes>, Error>>,
    rest: WasiBody,
}

impl Body for Resumed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.ready.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
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
    use super::*;
    use http_body_util::StreamBody;
    use std::time::Duration;

    fn response(delays_ms: &'static [u64]) -> Response {
        let frames = futures::stream::unfold(0, move |index| async move {
            tokio::time::sleep(Duration::from_millis(*delays_ms.get(index)?)).await;
            Some((Ok(Frame::data(Bytes::from_static(b"xy"))), index + 1))
        });
        Response::new(StreamBody::new(frames).boxed_unsync())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_there_gets_its_length() {
        let settled = settle(response(&[0, 0])).await.into_body();
        assert_eq!(settled.size_hint().exact(), Some(4));
        assert_eq!(settled.collect().await.unwrap().to_bytes(), "xyxy");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_is_streamed_and_loses_nothing() {
        let begun = Instant::now();
        let settled = settle(response(&[0, 100])).await.into_body();
        assert!(begun.elapsed() < Duration::from_millis(80));
        assert_eq!(settled.size_hint().exact(), None);
        assert_eq!(settled.collect().await.unwrap().to_bytes(), "xyxy");
    }
}
