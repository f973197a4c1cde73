//! Objects read as files are: from anywhere on, by ranges.

use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore as _};

use super::{S3, wait};
use crate::path::normalize;
use crate::{Error, Result};

/// The first range that is asked for, in bytes: the headers of most packages fit into it.
const FIRST: u64 = 256 << 10;
/// The longest range that is asked for, in bytes.
const MOST: u64 = 8 << 20;
/// How often a range is asked for whose body broke off.
const TRIES: usize = 5;

/// An object that is read in ranges, which grow while one goes straight on.
///
/// All ranges are of one state of the object: if it is replaced meanwhile, reading fails.
#[derive(Debug)]
pub struct Reader {
    volume: S3,
    path: String,
    key: Key,
    size: u64,
    /// What tells this state of the object from others.
    state: State,
    position: u64,
    window: Bytes,
    begin: u64,
    next: u64,
}

/// Not all servers tell the tag with every answer, and some pass over conditions.
#[derive(Debug, PartialEq, Eq)]
struct State {
    etag: Option<String>,
    modified: std::time::SystemTime,
    size: u64,
}

impl State {
    fn of(meta: &ObjectMeta) -> State {
        let ObjectMeta { e_tag, last_modified, size, .. } = meta.clone();
        State { etag: e_tag, modified: last_modified.into(), size }
    }
}

impl S3 {
    /// Opens an object.
    ///
    /// # Errors
    /// When there is none, or the server does not answer.
    pub fn reader(&self, path: &str) -> Result<Reader> {
        let path = normalize(path)?;
        let key = self.key(&path)?;
        let missing = || Error::io(self.shown(&path))(io::ErrorKind::NotFound.into());
        let meta = self.head(&path, &key)?.ok_or_else(missing)?;
        Ok(Reader {
            volume: self.clone(),
            key,
            size: meta.size,
            state: State::of(&meta),
            position: 0,
            window: Bytes::new(),
            begin: 0,
            next: FIRST,
            path,
        })
    }
}

impl Reader {
    /// The length of the object, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// When the object was written.
    pub fn modified(&self) -> std::time::SystemTime {
        self.state.modified
    }

    /// The rest of the window from the position on.
    fn at_hand(&self) -> &[u8] {
        let skip = self.position.checked_sub(self.begin).and_then(|n| usize::try_from(n).ok());
        skip.and_then(|skip| self.window.get(skip..)).unwrap_or_default()
    }

    fn fill(&mut self) -> io::Result<()> {
        let straight = self.position == self.begin + self.window.len() as u64;
        self.next = if straight { (self.next * 2).min(MOST) } else { FIRST };
        if self.window.is_empty() {
            self.next = FIRST;
        }
        let end = (self.position + self.next).min(self.size);
        let (from, wanted) = (self.position, end - self.position);
        let mut last = None;
        for _ in 0..TRIES {
            match self.range(from, end)? {
                Ok((state, _)) if state != self.state => return Err(self.replaced()),
                Ok((_, bytes)) if bytes.len() as u64 == wanted => {
                    (self.begin, self.window) = (from, bytes);
                    return Ok(());
                }
                Ok((_, bytes)) => {
                    let text = format!("{} of {wanted} bytes came", bytes.len());
                    last = Some(io::Error::new(io::ErrorKind::UnexpectedEof, text));
                }
                Err(object_store::Error::Precondition { .. }) => return Err(self.replaced()),
                Err(error @ object_store::Error::NotFound { .. }) => {
                    return Err(io::Error::new(io::ErrorKind::NotFound, error));
                }
                Err(error) => last = Some(io::Error::other(error)),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()))
    }

    fn replaced(&self) -> io::Error {
        io::Error::other(format!("{} was replaced while it was read", self.path))
    }

    fn range(&self, from: u64, end: u64) -> io::Result<object_store::Result<(State, Bytes)>> {
        let (store, key) = (self.volume.store.clone(), self.key.clone());
        let options = GetOptions {
            range: Some(GetRange::Bounded(from..end)),
            if_match: self.state.etag.clone(),
            ..GetOptions::default()
        };
        wait(async move {
            let found = store.get_opts(&key, options).await?;
            Ok((State::of(&found.meta), found.bytes().await?))
        })
    }
}

impl Read for Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.size || out.is_empty() {
            return Ok(0);
        }
        if self.at_hand().is_empty() {
            self.fill()?;
        }
        let piece = self.at_hand();
        let n = piece.len().min(out.len());
        out[..n].copy_from_slice(&piece[..n]);
        self.position += n as u64;
        Ok(n)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "a place before the beginning");
        self.position = position.ok_or_else(wrong)?;
        Ok(self.position)
    }
}
