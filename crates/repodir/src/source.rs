//! A repository that is there: its `repomd.xml` and the files that it names.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Component, Path, PathBuf};

use toji_repodata::{Record, Repomd, decoder};

use crate::error::At as _;
use crate::{Error, Result};

/// Most bytes of `repomd.xml`.
const LONGEST: u64 = 16 << 20;

/// A repository in a directory.
#[derive(Debug, Clone)]
pub struct Source {
    /// The directory that holds `repodata`.
    pub dir: PathBuf,
    /// What it says of itself.
    pub repomd: Repomd,
}

impl Source {
    /// Reads `repomd.xml`; `None` if there is none.
    pub fn find(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join("repodata/repomd.xml");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::File { path, error }),
        };
        let repomd = Repomd::parse(BufReader::new(file), LONGEST).at(&path)?;
        Ok(Some(Self { dir: dir.to_owned(), repomd }))
    }

    /// As [`Source::find`], for a repository that must be there.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::find(dir)?.ok_or_else(|| Error::NoRepository(dir.to_owned()))
    }

    /// The record of this type.
    pub fn record(&self, kind: &str) -> Result<&Record> {
        let missing = || Error::NoRecord { path: self.dir.clone(), kind: kind.to_owned() };
        self.repomd.record(kind).ok_or_else(missing)
    }

    /// Where a file is that metadata name; paths that lead out of the repository are refused.
    pub fn path(&self, href: &str) -> Result<PathBuf> {
        if is_inside(href) {
            return Ok(self.dir.join(href));
        }
        Err(Error::Outside { path: self.dir.clone(), href: href.to_owned() })
    }

    /// Opens the file of a record, decompressed.
    pub(crate) fn content(&self, record: &Record) -> Result<Box<dyn Read>> {
        let path = self.path(&record.href)?;
        let file = BufReader::with_capacity(128 << 10, File::open(&path).at(&path)?);
        decoder(&record.href, file).at(path)
    }

    /// The whole text of the file of a record, up to a limit.
    pub(crate) fn text(&self, record: &Record, limit: u64) -> Result<Vec<u8>> {
        let path = self.path(&record.href)?;
        let mut text = Vec::new();
        self.content(record)?.take(limit + 1).read_to_end(&mut text).at(&path)?;
        if text.len() as u64 > limit {
            return Err(toji_repodata::Error::Limit("size of the file")).at(path);
        }
        Ok(text)
    }
}

/// True for a relative path without a way upwards.
pub(crate) fn is_inside(href: &str) -> bool {
    let path = Path::new(href);
    !href.is_empty()
        && path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}
