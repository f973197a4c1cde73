//! What a connection of HTTP/2 writes at a time, sent at a time.
//!
//! HTTP's library sends a message that is not quite short as soon as the next frame is there, so that each answer with trailers takes two system
//! calls and two packets, and each of them wakes the client. Here what is written is kept until the connection has been polled.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::patience::Stage;

/// So much is kept, in bytes; the largest frame of most clients goes out by itself.
const MOST: usize = 16 << 10;
/// Memory up to this size stays with the connection.
const STAYS: usize = 2 << 10;

/// A connection's stream, shared with whoever polls the connection.
pub(crate) struct Gathered<S> {
    inner: Arc<Mutex<Inner<S>>>,
    stage: Stage,
}

struct Inner<S> {
    stream: S,
    /// What is not sent yet, from `sent` on.
    kept: Vec<u8>,
    sent: usize,
    /// What was kept cannot be sent.
    lost: Option<io::ErrorKind>,
}

impl<S> Clone for Gathered<S> {
    fn clone(&self) -> Self {
        Gathered { inner: self.inner.clone(), stage: self.stage.clone() }
    }
}

impl<S> Gathered<S> {
    pub(crate) fn new(stream: S, stage: Stage) -> Self {
        let inner = Inner { stream, kept: Vec::new(), sent: 0, lost: None };
        Gathered { inner: Arc::new(Mutex::new(inner)), stage }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    /// Sends what is kept, as far as the client takes it; whoever polls is woken when it takes more, or when the connection is lost.
    pub(crate) fn poll_send(&self, cx: &mut Context<'_>) {
        let mut inner = self.lock();
        if inner.kept.is_empty() {
            return;
        }
        if let Poll::Ready(Err(error)) = inner.poll_send(cx) {
            inner.lost = Some(error.kind());
            inner.kept.clear();
            cx.waker().wake_by_ref();
        }
    }
}

impl<S: AsyncWrite + Unpin> Inner<S> {
    /// The stream, unless it is lost.
    fn stream(&mut self) -> io::Result<Pin<&mut S>> {
        match self.lost {
            None => Ok(Pin::new(&mut self.stream)),
            Some(kind) => Err(kind.into()),
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.kept.len() {
            let rest = &self.kept[self.sent..];
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        self.sent = 0;
        self.kept.clear();
        self.kept.shrink_to(STAYS);
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.lock().stream()?.poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.lock();
        if !self.stage.is_http2() {
            return inner.stream()?.poll_write_vectored(cx, bufs);
        }
        let length = bufs.iter().map(|buf| buf.len()).sum();
        if inner.kept.len() + length > MOST {
            inner.stream()?;
            ready!(inner.poll_send(cx))?;
            if length > MOST {
                return inner.stream()?.poll_write_vectored(cx, bufs);
            }
        }
        inner.stream()?;
        bufs.iter().for_each(|buf| inner.kept.extend_from_slice(buf));
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        self.lock().stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        if !inner.kept.is_empty() {
            return Poll::Ready(Ok(()));
        }
        inner.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        inner.stream()?;
        ready!(inner.poll_send(cx))?;
        inner.stream()?.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    /// Notes what comes at a time.
    #[derive(Default)]
    struct Wire(Vec<usize>);

    impl AsyncWrite for Wire {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(buf.len());
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncRead for Wire {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    fn cx() -> Context<'static> {
        Context::from_waker(std::task::Waker::noop())
    }

    /// Each is written and flushed, and what is kept is sent at the end.
    async fn written(stage: Stage, lengths: &[usize]) -> Vec<usize> {
        let mut stream = Gathered::new(Wire::default(), stage);
        for length in lengths {
            stream.write_all(&vec![b'x'; *length]).await.unwrap();
            stream.flush().await.unwrap();
        }
        stream.poll_send(&mut cx());
        assert!(stream.lock().kept.capacity() <= STAYS);
        std::mem::take(&mut stream.lock().stream.0)
    }

    #[tokio::test]
    async fn what_is_written_goes_out_together() {
        assert_eq!(written(Stage::http2(), &[100, 700, 30]).await, [830]);
        assert_eq!(written(Stage::http2(), &[100, MOST + 1, 30]).await, [100, MOST + 1, 30]);
        assert_eq!(written(Stage::http2(), &[9_000, 9_000, 30]).await, [9_000, 9_030]);
        assert_eq!(written(Stage::default(), &[100, 700, 30]).await, [100, 700, 30]);
    }

    #[tokio::test]
    async fn a_slow_client_gets_all_of_it() {
        let (ours, mut theirs) = duplex(10);
        let mut stream = Gathered::new(ours, Stage::http2());
        let out = stream.clone();
        let sent: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        let pieces = sent.clone();
        let write = async move {
            for piece in pieces.chunks(777) {
                stream.write_all(piece).await.unwrap();
            }
            stream.shutdown().await.unwrap();
        };
        let mut write = Box::pin(write);
        let writes = std::future::poll_fn(move |cx| {
            let done = write.as_mut().poll(cx);
            out.poll_send(cx);
            done
        });
        let mut came = Vec::new();
        let (_, read) = tokio::join!(writes, theirs.read_to_end(&mut came));
        read.unwrap();
        assert!(came == sent);
    }

    #[tokio::test]
    async fn a_lost_connection_is_told_of_once() {
        let (ours, theirs) = duplex(100);
        let mut stream: Gathered<DuplexStream> = Gathered::new(ours, Stage::http2());
        stream.write_all(b"abc").await.unwrap();
        drop(theirs);
        stream.poll_send(&mut cx());
        assert!(stream.lock().kept.is_empty());
        let read = stream.read_u8().now_or_never().unwrap();
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(stream.write_all(b"abc").await.is_err());
        assert!(stream.shutdown().await.is_err());
    }
}
