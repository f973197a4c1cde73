//! A whole repository: three metadata files from fragments, extra files, `repomd.xml` last.

use std::collections::BTreeMap;
use std::io::{self, Write};

use sha2::{Digest, Sha256};

use crate::metadata::Output;
use crate::{Compression, Fragments, MetadataWriter, Part, Record, Repomd, Result, Sum, Summary};

/// Where the files of a repository go. Names are known only when a file is complete, because they
/// hold its checksum; nothing under a final name may be incomplete.
pub trait Sink {
    /// A file that is being written.
    type File: Write;

    /// Starts a file that nobody sees yet.
    fn create(&mut self) -> io::Result<Self::File>;

    /// Makes a complete file appear at `path`, such as `repodata/repomd.xml`, replacing what is there.
    fn publish(&mut self, file: Self::File, path: &str) -> io::Result<()>;
}

/// The fragments of one part for one or more packages.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// As [`crate::fragment`] made them, one after the other.
    pub open: &'a [u8],
    /// The same as [`crate::pack`] made it, for the repository's compression.
    pub packed: Option<&'a [u8]>,
}

/// What one or more packages add to a repository.
#[derive(Debug, Clone, Copy)]
pub struct Pieces<'a> {
    /// How many packages.
    pub packages: u64,
    /// For `primary.xml`.
    pub primary: Piece<'a>,
    /// For `filelists.xml`.
    pub filelists: Piece<'a>,
    /// For `other.xml`.
    pub other: Piece<'a>,
}

impl<'a> From<&'a Fragments> for Pieces<'a> {
    fn from(fragments: &'a Fragments) -> Self {
        let piece = |text: &'a str| Piece { open: text.as_bytes(), packed: None };
        Self {
            packages: 1,
            primary: piece(&fragments.primary),
            filelists: piece(&fragments.filelists),
            other: piece(&fragments.other),
        }
    }
}

/// Writes a repository into a sink.
pub struct RepositoryWriter<'s, S: Sink> {
    sink: &'s mut S,
    compression: Compression,
    timestamp: i64,
    parts: [MetadataWriter<S::File>; 3],
    extra: Vec<Record>,
}

impl<'s, S: Sink> RepositoryWriter<'s, S> {
    /// Starts a repository of `packages` packages, whose files are dated `timestamp`.
    pub fn new(
        sink: &'s mut S,
        packages: u64,
        compression: Compression,
        timestamp: i64,
    ) -> Result<Self> {
        let mut part = |part| -> Result<_> {
            MetadataWriter::new(part, packages, compression, sink.create()?)
        };
        let parts = [part(Part::Primary)?, part(Part::Filelists)?, part(Part::Other)?];
        Ok(Self { sink, compression, timestamp, parts, extra: Vec::new() })
    }

    /// The writers of primary, filelists and other.
    pub(crate) fn parts(&mut self) -> &mut [MetadataWriter<S::File>; 3] {
        &mut self.parts
    }

    /// Adds packages; their order is the order in the files.
    pub fn add(&mut self, pieces: Pieces<'_>) -> Result<()> {
        let given = [pieces.primary, pieces.filelists, pieces.other];
        for (writer, piece) in self.parts.iter_mut().zip(given) {
            match piece.packed {
                Some(packed) => writer.add_packed(pieces.packages, piece.open, packed)?,
                None => writer.add(pieces.packages, piece.open)?,
            }
        }
        Ok(())
    }

    /// Adds group definitions as `group` and, compressed, as `group_gz` or `group_zst`.
    pub fn add_comps(&mut self, comps: &[u8]) -> Result<()> {
        let checksum = hex::encode(Sha256::digest(comps));
        let name = format!("{checksum}-comps.xml");
        let mut file = self.sink.create()?;
        file.write_all(comps)?;
        self.sink.publish(file, &format!("repodata/{name}"))?;
        self.extra.push(Record {
            kind: "group".into(),
            checksum,
            href: format!("repodata/{name}"),
            timestamp: self.timestamp,
            size: comps.len() as u64,
            ..Record::default()
        });
        let kind = format!("group{}", self.compression.type_suffix());
        self.add_extra(&kind, "comps.xml", comps)
    }

    /// Adds another file of type `kind`, compressed, such as `modules` with `modules.yaml`.
    pub fn add_extra(&mut self, kind: &str, name: &str, data: &[u8]) -> Result<()> {
        let mut output = Output::new(self.compression, Sum::Sha256, self.sink.create()?);
        output.write(data)?;
        let (file, summary) = output.finish()?;
        let (compression, timestamp) = (self.compression, self.timestamp);
        let place = Place { sink: &mut *self.sink, compression, timestamp };
        let record = place.publish(file, kind, name, &summary)?;
        self.extra.push(record);
        Ok(())
    }

    /// Ends every file and publishes them, `repomd.xml` last.
    pub fn finish(self, revision: &str) -> Result<Repomd> {
        let Self { sink, compression, timestamp, parts, extra } = self;
        let mut records = Vec::new();
        for (writer, part) in parts.into_iter().zip(Part::ALL) {
            let (file, summary) = writer.finish()?;
            let place = Place { sink, compression, timestamp };
            records.push(place.publish(
                file,
                part.name(),
                &format!("{}.xml", part.name()),
                &summary,
            )?);
        }
        records.extend(extra);
        let repomd = Repomd { revision: revision.to_owned(), records, ..Repomd::default() };
        let mut file = sink.create()?;
        file.write_all(repomd.to_xml().as_bytes())?;
        sink.publish(file, "repodata/repomd.xml")?;
        Ok(repomd)
    }
}

/// What naming a finished file needs.
struct Place<'s, S: Sink> {
    sink: &'s mut S,
    compression: Compression,
    timestamp: i64,
}

impl<S: Sink> Place<'_, S> {
    fn publish(self, file: S::File, kind: &str, name: &str, summary: &Summary) -> Result<Record> {
        let name = format!("{}-{name}{}", summary.checksum, self.compression.suffix());
        self.sink.publish(file, &format!("repodata/{name}"))?;
        Ok(Record::new(kind.to_owned(), &name, self.timestamp, summary))
    }
}

/// A sink that keeps the files in memory.
#[derive(Debug, Default)]
pub struct Memory {
    /// Path to content.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Sink for Memory {
    type File = Vec<u8>;

    fn create(&mut self) -> io::Result<Self::File> {
        Ok(Vec::new())
    }

    fn publish(&mut self, file: Self::File, path: &str) -> io::Result<()> {
        self.files.insert(path.to_owned(), file);
        Ok(())
    }
}
