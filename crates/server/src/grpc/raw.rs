//! Streams of messages as their bytes: what they mean is the business of `toji_proto::hub`.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use axum::http::HeaderMap;
use bytes::{Buf as _, Bytes, BytesMut};
use hyper::body::Frame;
use toji_proto::tonic::codec::{CompressionEncoding, DecodeBuf, Decoder};
use toji_proto::tonic::{Code, Status, Streaming};
use tokio::sync::mpsc;

/// Messages that are ready go out together, up to about so many bytes.
const TOGETHER: usize = 32 << 10;

/// Hands messages on as they are.
struct Raw;

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(bytes.copy_to_bytes(bytes.remaining())))
    }
}

/// The messages of a request, and whether all of it has come.
pub(super) struct Messages {
    stream: Streaming<Bytes>,
    whole: Arc<AtomicBool>,
}

/// The messages of a request; `limit` holds for each as it is sent and as it is unpacked.
pub(super) fn messages(body: Body, packed: bool, limit: usize) -> Messages {
    let encoding = packed.then_some(CompressionEncoding::Gzip);
    let whole = Arc::new(AtomicBool::new(false));
    let body = Watched { body, whole: whole.clone() };
    Messages { stream: Streaming::new_request(Raw, body, encoding, Some(limit)), whole }
}

impl Messages {
    /// The next one; nothing at the end that the client has set.
    ///
    /// # Errors
    /// When the stream is wrong, or breaks off: tonic takes a stream that its client cancels for one that has ended.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        match self.stream.message().await? {
            None if !self.whole.load(Ordering::Relaxed) => {
                Err(Status::cancelled("the stream broke off"))
            }
            message => Ok(message),
        }
    }
}

/// A body that notes its end.
struct Watched {
    body: Body,
    whole: Arc<AtomicBool>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let ends = match &frame {
            None => true,
            Some(Ok(frame)) => frame.is_trailers(),
            Some(Err(_)) => false,
        };
        self.whole.fetch_or(ends, Ordering::Relaxed);
        Poll::Ready(frame)
    }
}

/// The messages of an answer, with their prefixes, and the status at their end.
pub(super) struct Answers {
    messages: mpsc::Receiver<Result<Bytes, Status>>,
    status: Option<Status>,
    ended: bool,
}

impl Answers {
    pub(super) fn new(messages: mpsc::Receiver<Result<Bytes, Status>>) -> Self {
        Answers { messages, status: None, ended: false }
    }
}

impl HttpBody for Answers {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let mut together = BytesMut::new();
        while self.status.is_none() && together.len() < TOGETHER {
            let next = match self.messages.poll_recv(cx) {
                Poll::Pending if !together.is_empty() => break,
                next => ready!(next),
            };
            match next {
                Some(Ok(message)) if together.is_empty() && message.len() >= TOGETHER => {
                    return Poll::Ready(Some(Ok(Frame::data(message))));
                }
                Some(Ok(message)) => together.extend_from_slice(&message),
                Some(Err(status)) => self.status = Some(status),
                None => self.status = Some(Status::new(Code::Ok, "")),
            }
        }
        if !together.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(together.freeze()))));
        }
        self.ended = true;
        let mut trailers = HeaderMap::new();
        if let Some(status) = self.status.take()
            && status.add_header(&mut trailers).is_err()
        {
            tracing::error!(%status, "a status cannot be sent");
        }
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_that_breaks_off_has_not_ended() {
        let sent = || Ok::<_, Status>(Bytes::from_static(b"\0\0\0\0\x01x"));
        let whole = Body::from_stream(futures::stream::iter([sent(), sent()]));
        let mut messages = super::messages(whole, false, 10);
        assert_eq!(messages.next().await.unwrap().as_deref(), Some(&b"x"[..]));
        assert_eq!(messages.next().await.unwrap().as_deref(), Some(&b"x"[..]));
        assert_eq!(messages.next().await.unwrap(), None);
        let broken = [sent(), Err(Status::cancelled("the client has gone"))];
        let mut messages =
            super::messages(Body::from_stream(futures::stream::iter(broken)), false, 10);
        assert_eq!(messages.next().await.unwrap().as_deref(), Some(&b"x"[..]));
        assert!(messages.next().await.is_err());
    }
}
