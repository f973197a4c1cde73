//! One metadata file, written as a stream of compressed members with checksums inside and out.

use std::io::Write;

use crate::compress::Encoder;
use crate::{Compression, Error, Hasher, Result, Sum};

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// The three files that have an entry for each package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// What a solver needs.
    Primary,
    /// All files.
    Filelists,
    /// Changelogs.
    Other,
}

impl Part {
    /// All, in the order of `repomd.xml`.
    pub const ALL: [Self; 3] = [Self::Primary, Self::Filelists, Self::Other];

    /// The type of its record, and its name without suffixes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Filelists => "filelists",
            Self::Other => "other",
        }
    }

    /// Its own name space, and the one of `rpm:` elements where it has some.
    pub(crate) fn spaces(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Primary => {
                let rpm = "http://linux.duke.edu/metadata/rpm";
                ("http://linux.duke.edu/metadata/common", Some(rpm))
            }
            Self::Filelists => ("http://linux.duke.edu/metadata/filelists", None),
            Self::Other => ("http://linux.duke.edu/metadata/other", None),
        }
    }

    fn head(self, packages: u64) -> String {
        let root = match self {
            Self::Primary => "metadata",
            Self::Filelists => "filelists",
            Self::Other => "otherdata",
        };
        let (own, rpm) = self.spaces();
        let rpm = rpm.map(|rpm| format!(" xmlns:rpm=\"{rpm}\"")).unwrap_or_default();
        format!("{DECLARATION}<{root} xmlns=\"{own}\"{rpm} packages=\"{packages}\">\n")
    }

    pub(crate) fn foot(self) -> &'static str {
        match self {
            Self::Primary => "</metadata>",
            Self::Filelists => "</filelists>",
            Self::Other => "</otherdata>",
        }
    }
}

/// What `repomd.xml` says about a written file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Of the file, in hexadecimal.
    pub checksum: String,
    /// Of its content before compression.
    pub open_checksum: String,
    /// Size of the file in bytes.
    pub size: u64,
    /// Size of its content before compression.
    pub open_size: u64,
}

/// Compresses fragments into a member of their own, which any repository can take over as it is.
pub fn pack(fragments: &[u8], compression: Compression) -> Result<Vec<u8>> {
    Ok(compression.member(fragments)?)
}

/// Writes one metadata file: its head, fragments, its foot.
pub struct MetadataWriter<W: Write> {
    output: Output<W>,
    part: Part,
    announced: u64,
    written: u64,
}

impl<W: Write> MetadataWriter<W> {
    /// Starts a file of `packages` packages.
    pub fn new(part: Part, packages: u64, compression: Compression, target: W) -> Result<Self> {
        Self::with_sum(part, packages, compression, Sum::Sha256, target)
    }

    /// As [`MetadataWriter::new`], with checksums of another kind.
    pub fn with_sum(
        part: Part,
        packages: u64,
        compression: Compression,
        sum: Sum,
        target: W,
    ) -> Result<Self> {
        let mut output = Output::new(compression, sum, target);
        output.write(part.head(packages).as_bytes())?;
        Ok(Self { output, part, announced: packages, written: 0 })
    }

    /// Adds the fragments of `packages` packages, to be compressed with their neighbours.
    pub fn add(&mut self, packages: u64, fragments: &[u8]) -> Result<()> {
        self.written += packages;
        self.output.write(fragments)
    }

    /// Adds a member made by [`pack`] with the same compression; `fragments` is its content. A
    /// compression whose files cannot be joined compresses it with its neighbours instead.
    pub fn add_packed(&mut self, packages: u64, fragments: &[u8], packed: &[u8]) -> Result<()> {
        self.written += packages;
        self.output.write_packed(fragments, packed)
    }

    /// Ends a file that lacks packages or has too many: it is good only for reading them back.
    pub fn finish_unfit(mut self) -> Result<(W, Summary)> {
        self.output.write(self.part.foot().as_bytes())?;
        self.output.finish()
    }

    /// Ends the file and gives back its target; fails if packages are missing or left over.
    pub fn finish(mut self) -> Result<(W, Summary)> {
        if self.written != self.announced {
            return Err(Error::Count { expected: self.announced, found: self.written });
        }
        self.output.write(self.part.foot().as_bytes())?;
        self.output.finish()
    }
}

/// A compressed file that counts and hashes what goes in and what comes out.
pub struct Output<W: Write> {
    state: State<W>,
    compression: Compression,
    /// Content that is not yet given to an encoder: little of it is compressed at once.
    waiting: Vec<u8>,
    open: Hasher,
    open_size: u64,
}

/// How much content is worth an encoder of its own, in bytes.
const MUCH: usize = 128 << 10;

/// Between members the target is bare; inside of one it is in the encoder.
#[expect(clippy::large_enum_variant, reason = "there is one for each file")]
enum State<W: Write> {
    Bare(Hashed<W>),
    Member(Box<Encoder<Hashed<W>>>),
    Broken,
}

impl<W: Write> Output<W> {
    /// Starts a file whose checksums are of the kind `sum`.
    pub fn new(compression: Compression, sum: Sum, target: W) -> Self {
        let state = State::Bare(Hashed { target, hash: sum.hasher(), size: 0 });
        Self { state, compression, waiting: Vec::new(), open: sum.hasher(), open_size: 0 }
    }

    /// Adds content.
    pub fn write(&mut self, data: &[u8]) -> Result<()> {
        self.count(data);
        self.waiting.extend_from_slice(data);
        if self.waiting.len() < MUCH {
            return Ok(());
        }
        let mut encoder = match std::mem::replace(&mut self.state, State::Broken) {
            State::Bare(target) => Box::new(self.compression.encoder(target)?),
            State::Member(encoder) => encoder,
            State::Broken => return Err(BROKEN),
        };
        encoder.write_all(&self.waiting)?;
        self.waiting.clear();
        self.state = State::Member(encoder);
        Ok(())
    }

    fn write_packed(&mut self, data: &[u8], packed: &[u8]) -> Result<()> {
        if !self.compression.can_join() {
            return self.write(data);
        }
        self.count(data);
        let mut target = self.bare()?;
        target.write_all(packed)?;
        self.state = State::Bare(target);
        Ok(())
    }

    /// Ends the file and gives back its target.
    pub fn finish(mut self) -> Result<(W, Summary)> {
        let mut target = self.bare()?;
        target.flush()?;
        let summary = Summary {
            checksum: target.hash.finish(),
            open_checksum: self.open.finish(),
            size: target.size,
            open_size: self.open_size,
        };
        Ok((target.target, summary))
    }

    /// Ends the member that is open.
    fn bare(&mut self) -> Result<Hashed<W>> {
        let waiting = std::mem::take(&mut self.waiting);
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Bare(target) if waiting.is_empty() => Ok(target),
            State::Bare(mut target) => {
                target.write_all(&self.compression.member(&waiting)?)?;
                Ok(target)
            }
            State::Member(mut encoder) => {
                encoder.write_all(&waiting)?;
                Ok(encoder.finish()?)
            }
            State::Broken => Err(BROKEN),
        }
    }

    fn count(&mut self, data: &[u8]) {
        self.open.update(data);
        self.open_size += data.len() as u64;
    }
}

const BROKEN: Error = Error::Content("an earlier write failed");

struct Hashed<W> {
    target: W,
    hash: Hasher,
    size: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let written = self.target.write(data)?;
        self.hash.update(&data[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.target.flush()
    }
}
