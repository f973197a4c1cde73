//! The compressed members of an old file, by the content that each holds, so that they can be taken over.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;

use sha2::{Digest, Sha256};
use toji_repodata::Compression;

/// Longer content is not from a writer that makes members.
const LONGEST: u64 = 64 << 20;

/// Where members are, by the SHA-256 of their content.
pub(crate) struct Members {
    file: Option<File>,
    suffix: &'static str,
    places: HashMap<[u8; 32], (u64, u32)>,
}

/// Members that are still being read.
pub(crate) struct Reading(Rc<RefCell<Members>>);

impl Members {
    /// Notes members while the content is read; `None` for a compression that has no members.
    pub(crate) fn of(path: &Path, name: &str) -> io::Result<(Reading, Option<impl Read + use<>>)> {
        let suffix = [".gz", ".zst"].into_iter().find(|suffix| name.ends_with(suffix));
        let none = Self { file: None, suffix: "", places: HashMap::new() };
        let Some(suffix) = suffix else {
            return Ok((Reading(Rc::new(RefCell::new(none))), None));
        };
        let file = File::open(path)?;
        let members = Self { file: Some(file.try_clone()?), suffix, ..none };
        let members = Rc::new(RefCell::new(members));
        let place = Counted { source: BufReader::with_capacity(128 << 10, file), at: 0 };
        let content = Content {
            state: State::Between(place),
            members: Rc::clone(&members),
            start: 0,
            hash: Sha256::new(),
            len: 0,
        };
        Ok((Reading(members), Some(content)))
    }

    /// The member with this content.
    pub(crate) fn find(&self, compression: Compression, open: &[u8]) -> Option<Vec<u8>> {
        if compression.suffix() != self.suffix {
            return None;
        }
        let key: [u8; 32] = Sha256::digest(open).into();
        let (start, len) = self.places.get(&key)?;
        let mut packed = vec![0; *len as usize];
        self.file.as_ref()?.read_exact_at(&mut packed, *start).ok()?;
        Some(packed)
    }
}

impl Reading {
    /// All that were noted.
    pub(crate) fn finish(self) -> Members {
        let empty = Members { file: None, suffix: "", places: HashMap::new() };
        self.0.replace(empty)
    }
}

/// A file that knows where it is read.
struct Counted {
    source: BufReader<File>,
    at: u64,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(out)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.source.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount as u64;
        self.source.consume(amount);
    }
}

enum State {
    Between(Counted),
    Gzip(Box<flate2::bufread::GzDecoder<Counted>>),
    Zstd(Box<zstd::Decoder<'static, Counted>>),
    Done,
}

/// The content of all members, which are noted on the way.
struct Content {
    state: State,
    members: Rc<RefCell<Members>>,
    start: u64,
    hash: Sha256,
    len: u64,
}

impl Content {
    /// Starts the next member; false at the end of the file.
    fn start(&mut self, mut file: Counted) -> io::Result<bool> {
        if file.fill_buf()?.is_empty() {
            return Ok(false);
        }
        self.start = file.at;
        (self.hash, self.len) = (Sha256::new(), 0);
        let gzip = self.members.borrow().suffix == ".gz";
        self.state = if gzip {
            State::Gzip(Box::new(flate2::bufread::GzDecoder::new(file)))
        } else {
            State::Zstd(Box::new(zstd::Decoder::with_buffer(file)?.single_frame()))
        };
        Ok(true)
    }

    /// Notes the member that has ended.
    fn end(&mut self) {
        let file = match std::mem::replace(&mut self.state, State::Done) {
            State::Gzip(decoder) => decoder.into_inner(),
            State::Zstd(decoder) => decoder.finish(),
            State::Between(file) => file,
            State::Done => return,
        };
        let hash: [u8; 32] = std::mem::take(&mut self.hash).finalize().into();
        if let (Ok(len), true) = (u32::try_from(file.at - self.start), self.len <= LONGEST) {
            self.members.borrow_mut().places.insert(hash, (self.start, len));
        }
        self.state = State::Between(file);
    }
}

impl Read for Content {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = match &mut self.state {
                State::Gzip(decoder) => decoder.read(out)?,
                State::Zstd(decoder) => decoder.read(out)?,
                State::Done => return Ok(0),
                State::Between(_) => {
                    let State::Between(file) = std::mem::replace(&mut self.state, State::Done)
                    else {
                        return Ok(0);
                    };
                    if !self.start(file)? {
                        return Ok(0);
                    }
                    continue;
                }
            };
            if count > 0 || out.is_empty() {
                self.len += count as u64;
                if self.len <= LONGEST {
                    self.hash.update(&out[..count]);
                }
                return Ok(count);
            }
            self.end();
        }
    }
}
