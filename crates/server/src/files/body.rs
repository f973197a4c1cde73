//! Bodies of answers that come from files: read, unpacked, or sent by the system.

use std::collections::VecDeque;
use std::fs::File;
use std::future::Future as _;
use std::io::{self, IoSliceMut, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use rustix::io::ReadWriteFlags;
use toji_store::packed::Content;
use toji_store::s3::Reader;
use tokio::task::JoinHandle;

use crate::socket::{PLACE, Parts};

/// Parts up to this length are read at once and go out with what is around them, in bytes: that costs less than another call
/// of the system.
const SMALL: u64 = 4 << 10;
/// What is so near to a byte that is in memory is there, too, most likely, in bytes.
const NEAR: usize = 512 << 10;
/// What the system reads ahead at least, in bytes.
const AHEAD: usize = 32 << 10;
/// The most that is read at a time, in bytes.
const PIECE: usize = 128 << 10;

/// Where bytes come from.
#[derive(Clone)]
pub(crate) enum Source {
    /// A file as it is.
    Plain(Arc<File>),
    /// A file that is compressed on the disk.
    Packed(Arc<Mutex<Content>>),
    /// An object of an object store.
    Far(Arc<Mutex<Reader>>),
}

impl Source {
    /// Reads so many bytes from an offset on; fewer are an error.
    fn read(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let mut piece = vec![0; length];
        match self {
            Source::Plain(file) => file.read_exact_at(&mut piece, offset)?,
            Source::Packed(content) => {
                let mut content = content.lock().unwrap_or_else(PoisonError::into_inner);
                content.seek(SeekFrom::Start(offset))?;
                content.read_exact(&mut piece)?;
            }
            Source::Far(reader) => {
                let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
                reader.seek(SeekFrom::Start(offset))?;
                reader.read_exact(&mut piece)?;
            }
        }
        Ok(piece.into())
    }

    /// The same without waiting for a disk; nothing where that cannot be told, or would be needed.
    fn read_now(&self, offset: u64, length: usize) -> Option<Bytes> {
        let Source::Plain(file) = self else { return None };
        let mut piece = vec![0; length];
        let mut parts = [IoSliceMut::new(&mut piece)];
        let read = rustix::io::preadv2(file, &mut parts, offset, ReadWriteFlags::NOWAIT).ok()?;
        (read == length).then(|| piece.into())
    }

    /// How much of a part is in the memory of the system, most likely: of each piece its ends are looked at.
    fn near(&self, offset: u64, length: usize) -> usize {
        let Source::Plain(file) = self else { return 0 };
        let at = |offset| {
            let mut byte = [0];
            let mut parts = [IoSliceMut::new(&mut byte)];
            rustix::io::preadv2(file, &mut parts, offset, ReadWriteFlags::NOWAIT) == Ok(1)
        };
        let mut near = 0;
        while near < length {
            let piece = NEAR.min(length - near);
            let one = piece <= AHEAD;
            let (first, last) = (offset + near as u64, offset + (near + piece) as u64 - 1);
            if !(at(last) && (one || at(first))) {
                break;
            }
            near += piece;
        }
        near
    }
}

/// A part of a body.
pub(crate) enum Segment {
    /// These bytes.
    Text(Bytes),
    /// So many bytes of the source, from an offset on.
    Part(u64, u64),
}

/// A body of texts and parts of one source.
pub(crate) struct Pieces {
    source: Source,
    segments: VecDeque<Segment>,
    left: u64,
    /// The connection, if it sends parts of files itself.
    parts: Option<Parts>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Pieces {
    /// The body, and where it is small and at hand, its bytes.
    pub(crate) fn body(
        source: Source,
        segments: Vec<Segment>,
        parts: Option<Parts>,
    ) -> axum::body::Body {
        if let [Segment::Part(offset, length @ ..=SMALL)] = segments[..]
            && let Some(bytes) = source.read_now(offset, usize::try_from(length).unwrap_or(0))
        {
            return bytes.into();
        }
        let parts = parts.filter(|_| matches!(source, Source::Plain(_)));
        let left = total(&segments);
        let segments = segments.into();
        axum::body::Body::new(Pieces { source, segments, left, parts, reading: None })
    }
}

/// The length of a body, in bytes.
pub(crate) fn total(segments: &[Segment]) -> u64 {
    let length = |segment: &Segment| match segment {
        Segment::Text(text) => text.len() as u64,
        Segment::Part(_, length) => *length,
    };
    segments.iter().map(length).sum()
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        loop {
            let (offset, length) = match this.segments.front() {
                None => return Poll::Ready(None),
                Some(Segment::Text(text)) => {
                    let text = text.clone();
                    this.segments.pop_front();
                    this.left -= text.len() as u64;
                    return Poll::Ready(Some(Ok(Frame::data(text))));
                }
                Some(Segment::Part(offset, 0)) => {
                    let _ = offset;
                    this.segments.pop_front();
                    continue;
                }
                Some(Segment::Part(offset, length)) => (*offset, *length),
            };
            let most = if this.parts.is_some() { PLACE } else { PIECE };
            let length = usize::try_from(length).unwrap_or(most).min(most);
            let piece = match ready!(this.piece(cx, offset, length)) {
                Ok(piece) => piece,
                Err(error) => {
                    this.segments.clear();
                    return Poll::Ready(Some(Err(error)));
                }
            };
            // Less than was wanted, if it had to be read.
            let length = piece.len() as u64;
            if let Some(Segment::Part(offset, left)) = this.segments.front_mut() {
                *offset += length;
                *left -= length;
            }
            this.left -= length;
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl Pieces {
    /// The next piece: read, or a place for it. What is not in memory is read by a thread that may wait.
    fn piece(
        &mut self,
        cx: &mut Context<'_>,
        offset: u64,
        length: usize,
    ) -> Poll<io::Result<Bytes>> {
        if self.reading.is_none() {
            match (&self.parts, &self.source) {
                // Small parts go out with what is around them.
                (Some(parts), Source::Plain(file)) if length as u64 > SMALL => {
                    let near = self.source.near(offset, length);
                    if near > 0 {
                        return Poll::Ready(Ok(parts.push(file, offset, near)));
                    }
                }
                (_, source) => {
                    if let Some(piece) = source.read_now(offset, length) {
                        return Poll::Ready(Ok(piece));
                    }
                }
            }
        }
        let length = length.min(PIECE);
        let source = &self.source;
        let reading = self.reading.get_or_insert_with(|| {
            let source = source.clone();
            tokio::task::spawn_blocking(move || source.read(offset, length))
        });
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        Poll::Ready(read.unwrap_or_else(|error| Err(io::Error::other(error))))
    }
}
