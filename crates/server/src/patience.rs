//! How long a connection may keep the server waiting: between requests, and within the head of one.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long clients are waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// What a client may take to send the head of a request, from its first byte.
    pub head: Duration,
    /// A connection that nothing comes over is kept so long: longer than clients keep theirs, so that it is
    /// they who close it, and none sends a request into a closing connection.
    pub idle: Duration,
    /// Connections of HTTP/2 are asked so often whether they are still there.
    pub ping: Duration,
    /// What such a client may take to say so.
    pub pong: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            head: Duration::from_secs(60),
            idle: Duration::from_secs(15 * 60),
            ping: Duration::from_secs(60),
            pong: Duration::from_secs(30),
        }
    }
}

/// How connections of HTTP/2 begin, which have streams and pings instead.
const HTTP2: &[u8] = b"PRI * HTTP/2";

/// What a connection is at.
#[derive(Clone, Default)]
pub(crate) struct Stage(Arc<AtomicU8>);

const BETWEEN: u8 = 0;
const IN_HEAD: u8 = 1;
const ANSWERING: u8 = 2;
const UNWATCHED: u8 = 3;

impl Stage {
    fn now(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, stage: u8) {
        self.0.store(stage, Ordering::Relaxed);
    }

    /// A request of HTTP/1 has come; the connection waits for nothing until it is answered.
    pub(crate) fn begin(&self) {
        self.set(ANSWERING);
    }

    /// Whether the connection is one of HTTP/2.
    pub(crate) fn is_http2(&self) -> bool {
        self.now() == UNWATCHED
    }

    /// That of a connection of HTTP/2.
    #[cfg(test)]
    pub(crate) fn http2() -> Stage {
        Stage(Arc::new(AtomicU8::new(UNWATCHED)))
    }

    /// The answer's body, whose end is the end of the request.
    pub(crate) fn until_sent(&self, body: Body) -> Body {
        Body::new(Answer { body, stage: self.clone() })
    }
}

/// An answer that tells when it is sent.
struct Answer {
    body: Body,
    stage: Stage,
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.stage.set(BETWEEN);
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

/// A connection that is given up when it keeps the server waiting too long.
pub(crate) struct Patient<S> {
    stream: S,
    stage: Stage,
    patience: Patience,
    begun: bool,
    /// What the connection is watched in, and since when.
    watched: Option<(u8, Instant)>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(crate) fn new(stream: S, stage: Stage, patience: Patience) -> Self {
        Patient { stream, stage, patience, begun: false, watched: None, timer: None }
    }

    /// Notes that bytes came.
    fn came(&mut self, bytes: &[u8]) {
        let first = !std::mem::replace(&mut self.begun, true);
        if first && bytes.starts_with(&HTTP2[..bytes.len().min(HTTP2.len())]) {
            self.stage.set(UNWATCHED);
        } else if self.stage.now() == BETWEEN {
            self.stage.set(IN_HEAD);
            self.watched = Some((IN_HEAD, Instant::now()));
        }
    }

    /// Completes when the patience is over.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let stage = self.stage.now();
        let patience = match stage {
            BETWEEN => self.patience.idle,
            IN_HEAD => self.patience.head,
            _ => return Poll::Pending,
        };
        let since = match self.watched {
            Some((of, since)) if of == stage => since,
            _ => {
                let now = Instant::now();
                self.watched = Some((stage, now));
                now
            }
        };
        // Moving a timer costs more than looking at the clock, so it is set for what may come soonest and looks then.
        let end = since + patience;
        let soonest = self.patience.head.min(self.patience.idle);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(soonest)));
        loop {
            ready!(timer.as_mut().poll(cx));
            let now = Instant::now();
            if now >= end {
                return Poll::Ready(());
            }
            timer.as_mut().reset(end.min(now + soonest));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Ready(read) => {
                if buf.filled().len() > before {
                    this.came(&buf.filled()[before..]);
                }
                Poll::Ready(read)
            }
            Poll::Pending => {
                this.poll_end(cx).map(|()| Err(io::Error::from(io::ErrorKind::TimedOut)))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
