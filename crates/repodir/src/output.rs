//! How a repository is written, and its files until all of them appear at once.

mod staging;

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use toji_repodata::{Compression, Output, Record, Sum, Summary, Tags};

pub(crate) use staging::{Staging, generated};

use crate::Result;
use crate::error::At as _;

/// How a repository's files are made.
#[derive(Debug, Clone)]
pub struct Format {
    /// Of the files that have an entry for each package.
    pub compression: Compression,
    /// Of groups, modules, advisories.
    pub extra: Compression,
    /// SQLite databases too, compressed so.
    pub database: Option<Compression>,
    /// Kind of the checksums in `repomd.xml`.
    pub sum: Sum,
    /// Names begin with the file's checksum: what is cached or half read never mixes with another state.
    pub unique: bool,
    /// zchunk files too.
    pub zchunk: bool,
    /// Where dictionaries for zchunk files are: `primary.xml.zdict` and so on.
    pub dictionaries: Option<PathBuf>,
    /// Text of the revision; the time of writing without one.
    pub revision: Option<String>,
    /// Seconds since 1970 that files are dated with.
    pub time: i64,
    /// The files themselves get that time, too.
    pub touch: bool,
    /// What the repository is.
    pub tags: Tags,
    /// The key that gpg signs `repomd.xml` with, by any name that gpg takes.
    pub sign: Option<String>,
    /// Which files of older states stay.
    pub retain: Retain,
}

/// Which files of older states stay for readers that have just read an old `repomd.xml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retain {
    /// This many of each kind, the newest.
    Newest(usize),
    /// Those that were written at this time or later, in seconds since 1970.
    Since(i64),
}

impl Format {
    /// What every reader takes: gzip, SHA-256, unique names; dated with `time`.
    pub fn new(time: i64) -> Self {
        Self {
            compression: Compression::Gzip(6),
            extra: Compression::Gzip(6),
            database: None,
            sum: Sum::Sha256,
            unique: true,
            zchunk: false,
            dictionaries: None,
            revision: None,
            time,
            touch: false,
            tags: Tags::default(),
            sign: None,
            retain: Retain::Newest(1),
        }
    }

    /// The file's final name.
    pub(crate) fn name(&self, checksum: &str, plain: &str) -> String {
        if self.unique { format!("{checksum}-{plain}") } else { plain.to_owned() }
    }

    /// The record of a compressed file.
    pub(crate) fn record(&self, kind: &str, name: &str, summary: &Summary) -> Record {
        Record {
            kind: kind.to_owned(),
            sum: self.sum,
            checksum: summary.checksum.clone(),
            open_checksum: Some(summary.open_checksum.clone()),
            href: format!("repodata/{name}"),
            timestamp: self.time,
            size: summary.size,
            open_size: Some(summary.open_size),
            ..Record::default()
        }
    }
}

/// A file under a name that nobody asks for.
pub(crate) struct Unfinished {
    file: BufWriter<File>,
    pub(crate) path: PathBuf,
}

impl Unfinished {
    /// Ends the file under a name for a while; returns it.
    pub(crate) fn keep(self, path: &Path) -> Result<PathBuf> {
        self.file.into_inner().map_err(io::IntoInnerError::into_error).at(&self.path)?;
        std::fs::rename(&self.path, path).at(path)?;
        Ok(path.to_owned())
    }
}

impl Write for Unfinished {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.file.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Adds a file to a repository, compressed; returns its record.
pub(crate) fn add_packed(
    staging: &Staging,
    format: &Format,
    (kind, plain): (&str, &str),
    compression: Compression,
    content: &mut dyn Read,
) -> Result<Record> {
    let file = staging.create()?;
    let path = file.path.clone();
    let mut output = Output::new(compression, format.sum, file);
    let mut buffer = vec![0; 128 << 10];
    loop {
        match content.read(&mut buffer).at(&path)? {
            0 => break,
            count => output.write(&buffer[..count])?,
        }
    }
    let (file, summary) = output.finish()?;
    let name = format.name(&summary.checksum, &format!("{plain}{}", compression.suffix()));
    staging.name(file, &name)?;
    Ok(format.record(kind, &name, &summary))
}

/// Adds a file to a repository as it is; returns its record.
pub(crate) fn add_plain(
    staging: &Staging,
    format: &Format,
    (kind, plain): (&str, &str),
    content: &mut dyn Read,
) -> Result<Record> {
    let mut file = staging.create()?;
    let path = file.path.clone();
    let (mut hasher, mut size) = (format.sum.hasher(), 0);
    let mut buffer = vec![0; 128 << 10];
    loop {
        let count = content.read(&mut buffer).at(&path)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        size += count as u64;
        file.write_all(&buffer[..count]).at(&path)?;
    }
    let checksum = hasher.finish();
    let name = format.name(&checksum, plain);
    staging.name(file, &name)?;
    Ok(Record {
        kind: kind.to_owned(),
        sum: format.sum,
        checksum,
        href: format!("repodata/{name}"),
        timestamp: format.time,
        size,
        ..Record::default()
    })
}
