//! The list of a point's files: a JSON object in each line, compressed.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toji_store::{Error, Result};

/// The longest line that is read, in bytes: two paths of the longest that Linux takes, each byte escaped.
const LINE: u64 = 64 << 10;
/// Zstd's level: lists are written once and mostly digests, which nothing makes shorter.
const LEVEL: i32 = 3;

/// A file or link of a point.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its path below the top directory.
    pub path: String,
    /// The length of its content in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size: u64,
    /// SHA-256 of its content; empty for links, and for files in buckets of which it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
    /// When it was changed: nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
    /// The text of a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Whether the point's database has the digest.
    #[serde(default, skip_serializing_if = "is_false")]
    pub recorded: bool,
    /// Whether the content is in the volume's bucket alone, and no part of the backup.
    #[serde(default, skip_serializing_if = "is_false")]
    pub elsewhere: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl Entry {
    /// A link.
    pub(super) fn link(path: impl Into<String>, target: &Path) -> Entry {
        let link = Some(target.to_string_lossy().into_owned());
        Entry { path: path.into(), link, ..Entry::default() }
    }

    /// Whether its content is a part of the backup.
    pub fn is_kept(&self) -> bool {
        self.link.is_none() && !self.elsewhere
    }

    pub(super) fn to_line(&self) -> Result<Vec<u8>> {
        let wrong = |e: serde_json::Error| Error::io(&self.path)(e.into());
        let mut line = serde_json::to_vec(self).map_err(wrong)?;
        line.push(b'\n');
        Ok(line)
    }
}

/// Writes a list.
pub(super) struct Writer {
    path: PathBuf,
    out: zstd::Encoder<'static, BufWriter<File>>,
}

impl Writer {
    pub(super) fn create(path: &Path) -> Result<Writer> {
        let file = File::create(path).map_err(Error::io(path))?;
        let mut out = zstd::Encoder::new(BufWriter::new(file), LEVEL).map_err(Error::io(path))?;
        out.include_checksum(true).map_err(Error::io(path))?;
        Ok(Writer { path: path.to_owned(), out })
    }

    pub(super) fn write(&mut self, entry: &Entry) -> Result<()> {
        self.out.write_all(&entry.to_line()?).map_err(Error::io(&self.path))
    }

    pub(super) fn finish(self) -> Result<()> {
        let Writer { path, out } = self;
        let io = |e| Error::io(&path)(e);
        let file = out.finish().map_err(io)?.into_inner().map_err(|e| io(e.into_error()))?;
        file.sync_all().map_err(io)
    }
}

/// Reads a list.
pub struct Reader {
    path: PathBuf,
    lines: Box<dyn BufRead + Send>,
}

impl Reader {
    /// Opens one.
    ///
    /// # Errors
    /// When it is missing, or no list.
    pub fn open(path: &Path) -> Result<Reader> {
        let file = File::open(path).map_err(Error::io(path))?;
        let plain = zstd::Decoder::new(file).map_err(Error::io(path))?;
        Ok(Reader { path: path.to_owned(), lines: Box::new(BufReader::new(plain)) })
    }

    /// The same of lines that are not compressed.
    pub(super) fn plain(path: &Path) -> Result<Reader> {
        let file = File::open(path).map_err(Error::io(path))?;
        Ok(Reader { path: path.to_owned(), lines: Box::new(BufReader::new(file)) })
    }

    fn line(&mut self) -> Result<Option<Entry>> {
        let mut line = Vec::new();
        let read = (&mut self.lines).take(LINE).read_until(b'\n', &mut line);
        if read.map_err(Error::io(&self.path))? == 0 {
            return Ok(None);
        }
        let wrong = |e: serde_json::Error| Error::io(&self.path)(e.into());
        serde_json::from_slice(&line).map(Some).map_err(wrong)
    }
}

impl Iterator for Reader {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.line().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        let all = [
            Entry {
                path: "packages/ä\n\"".into(),
                size: 7,
                sha256: "ab".into(),
                modified: Some(-5),
                recorded: true,
                ..Entry::default()
            },
            Entry::link("repos/x/latest", Path::new("3")),
            Entry { path: "vol/far/x".into(), size: 1, elsewhere: true, ..Entry::default() },
        ];
        let mut out = Writer::create(&path).unwrap();
        all.iter().for_each(|entry| out.write(entry).unwrap());
        out.finish().unwrap();
        let found: Vec<Entry> = Reader::open(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!(found, all);
        let mut cut = std::fs::read(&path).unwrap();
        cut.truncate(cut.len() - 5);
        std::fs::write(&path, cut).unwrap();
        assert!(Reader::open(&path).unwrap().any(|entry| entry.is_err()), "a list that is cut off");
        std::fs::write(&path, vec![b'{'; 1 << 20]).unwrap();
        assert!(Reader::plain(&path).unwrap().next().unwrap().is_err(), "an endless line");
    }
}
