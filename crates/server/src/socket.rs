//! A connection's socket, to which the system sends parts of files itself (`sendfile(2)`).
//!
//! HTTP's library writes bytes that are in memory. So an answer's body holds places instead: slices of one block that is
//! never sent. Where such a slice comes to be written, the next part of a file goes out in its stead. That needs a
//! library that hands slices on uncopied, as it does for HTTP/1 in the clear.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustix::net::sockopt::set_tcp_cork;
use rustix::net::{SendAncillaryBuffer, SendFlags};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use crate::strangers::Moving;

/// The most that one place stands for, in bytes: about as much as the system takes at a time for a fast reader.
pub(crate) const PLACE: usize = 4 << 20;

/// Parts up to this length are not worth two more calls of the system, in bytes.
const SHORT: usize = 64 << 10;

/// Stands for bytes of files; only its address matters. Nobody writes to it, so it takes no memory.
static BLOCK: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(vec![0; PLACE]));

/// The parts of files that a connection sends next.
#[derive(Clone, Default)]
pub(crate) struct Parts(Arc<Mutex<VecDeque<Part>>>);

struct Part {
    file: Arc<File>,
    offset: u64,
    left: usize,
}

impl Parts {
    /// Takes up a part of at most [`PLACE`] bytes, and returns what must be the next of the answer's body.
    pub(crate) fn push(&self, file: &Arc<File>, offset: u64, length: usize) -> Bytes {
        let length = length.min(PLACE);
        let mut parts = self.lock();
        match parts.back_mut() {
            Some(last) if Arc::ptr_eq(&last.file, file) && last.end() == offset => {
                last.left += length;
            }
            _ => parts.push_back(Part { file: file.clone(), offset, left: length }),
        }
        BLOCK.slice(..length)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Part>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    fn end(&self) -> u64 {
        self.offset + self.left as u64
    }
}

/// A connection in the clear.
pub(crate) struct Socket {
    stream: Moving,
    parts: Parts,
    /// Whether the system keeps what fills no packet.
    corked: bool,
}

impl Socket {
    pub(crate) fn new(stream: Moving, parts: Parts) -> Self {
        Socket { stream, parts, corked: false }
    }

    /// Sends the next part of a file, at most so many bytes.
    fn poll_send(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        let stream = &*self.stream.get()?;
        let mut parts = self.parts.lock();
        let lost = || io::Error::other("an answer has a place and no file for it");
        let Some(part) = parts.front_mut() else { return Poll::Ready(Err(lost())) };
        if !self.corked && part.left > SHORT {
            // Pages go out as they come from the file, and no packet is cut at their ends.
            self.corked = set_tcp_cork(stream, true).is_ok();
        }
        loop {
            ready!(stream.poll_write_ready(cx))?;
            let mut offset = part.offset;
            let send = || {
                let length = wanted.min(part.left);
                Ok(rustix::fs::sendfile(stream, &part.file, Some(&mut offset), length)?)
            };
            match stream.try_io(Interest::WRITABLE, send) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(sent) => {
                    part.offset += sent as u64;
                    part.left -= sent;
                    if part.left == 0 {
                        parts.pop_front();
                    }
                    if self.corked && parts.is_empty() {
                        set_tcp_cork(stream, false)?;
                        self.corked = false;
                    }
                    return Poll::Ready(Ok(sent));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Socket {
    /// Sends bytes after which a part of a file comes: the system waits for it and sends both together.
    fn poll_announce(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = &*self.stream.get()?;
        loop {
            ready!(stream.poll_write_ready(cx))?;
            let send = || {
                let mut control = SendAncillaryBuffer::default();
                let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
                Ok(rustix::net::sendmsg(stream, bufs, &mut control, flags)?)
            };
            match stream.try_io(Interest::WRITABLE, send) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return Poll::Ready(sent),
            }
        }
    }
}

/// Whether a slice is a place.
fn stands_for_file(slice: &[u8]) -> bool {
    !slice.is_empty() && BLOCK.as_ptr_range().contains(&slice.as_ptr())
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
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
        let this = self.get_mut();
        let plain = bufs.iter().take_while(|buf| !stands_for_file(buf)).count();
        if plain == bufs.len() {
            return Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        }
        if bufs[..plain].iter().all(|buf| buf.is_empty()) {
            let places = bufs[plain..].iter().take_while(|buf| stands_for_file(buf));
            return this.poll_send(cx, places.map(|buf| buf.len()).sum());
        }
        this.poll_announce(cx, &bufs[..plain])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
