//! Files that arrive in parts, side by side and in any order, until they are whole.
//!
//! The parts are written into one file in a hidden directory beside the target. An empty file named by offset and
//! length says that a part has arrived, so that any number of processes can write, and an upload that broke off
//! goes on with what is missing.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};

use sha2::{Digest as _, Sha256};

use crate::{Area, Error, Result};

/// What names of the hidden directories begin with.
const PREFIX: &str = ".parts-";
/// The file in the directory that the parts are written into.
const DATA: &str = "data";

/// Whether a path relative to a task's directory belongs to an upload that is not whole yet.
pub fn is_partial(path: &str) -> bool {
    path.split('/').any(|name| name.starts_with(PREFIX))
}

/// A file of which parts arrive.
#[derive(Clone, Debug)]
pub struct Parts {
    area: Area,
    target: String,
    dir: String,
    size: u64,
    sha256: String,
}

impl Parts {
    /// The upload of a file of this size and digest to `target`; nothing is written yet.
    pub fn new(area: Area, target: &str, size: u64, sha256: &str) -> Self {
        let (above, name) = target.rsplit_once('/').unwrap_or(("", target));
        let key = hex::encode(Sha256::digest(format!("{name}\0{size}\0{sha256}")));
        let dir = format!("{above}/{PREFIX}{}", &key[..24]);
        let (target, sha256) = (target.to_owned(), sha256.to_owned());
        Parts { area, target, dir: dir.trim_start_matches('/').to_owned(), size, sha256 }
    }

    /// Whether the file is there already, whole.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_complete(&self) -> Result<bool> {
        let mut file = match self.area.open(&self.target) {
            Err(error) if error.is_missing() => return Ok(false),
            other => other?,
        };
        Ok(self.fits(&mut file)?.is_none())
    }

    /// Offsets and lengths of the parts that have arrived, in order.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn received(&self) -> Result<Vec<(u64, u64)>> {
        let entries = self.area.walk(&self.dir)?;
        let part = |name: &str| {
            let (offset, length) = name.split_once('-')?;
            Some((offset.parse().ok()?, length.parse().ok()?))
        };
        let mut parts: Vec<(u64, u64)> = entries.iter().filter_map(|e| part(&e.path)).collect();
        parts.sort_unstable();
        Ok(parts)
    }

    /// Begins to write the part at `offset`.
    ///
    /// # Errors
    /// [`Error::Length`] for an offset beyond the end.
    pub fn begin(&self, offset: u64) -> Result<Part> {
        if offset > self.size {
            return Err(self.too_long(offset));
        }
        let mut file = self.area.open_for_write(&format!("{}/{DATA}", self.dir))?;
        file.seek(SeekFrom::Start(offset)).map_err(Error::io(&self.dir))?;
        Ok(Part { parts: self.clone(), file, offset, length: 0, digest: Sha256::new() })
    }

    /// Puts the file in its place once all parts are there, replacing an older one.
    ///
    /// # Errors
    /// [`Error::Length`] when parts are missing; [`Error::Digest`] when they are not what was announced: all are
    /// forgotten then.
    pub fn complete(&self) -> Result<()> {
        if self.is_complete()? {
            return self.forget();
        }
        let mut end = 0;
        for (offset, length) in self.received()? {
            if offset > end {
                break;
            }
            end = end.max(offset + length);
        }
        if end < self.size {
            let (path, expected) = (self.target.clone(), self.size);
            return Err(Error::Length { path, expected, found: end });
        }
        let data = format!("{}/{DATA}", self.dir);
        let mut file = self.area.open_for_write(&data)?;
        file.set_len(self.size).map_err(Error::io(&data))?;
        file.seek(SeekFrom::Start(0)).map_err(Error::io(&data))?;
        if let Some(found) = self.fits(&mut file)? {
            self.forget()?;
            let (path, expected) = (self.target.clone(), self.sha256.clone());
            return Err(Error::Digest { path, expected, found });
        }
        self.area.rename(&data, &self.target)?;
        self.forget()
    }

    /// The digest of a file that is not the announced one; nothing if it is.
    fn fits(&self, file: &mut File) -> Result<Option<String>> {
        let length = file.metadata().map_err(Error::io(&self.target))?.len();
        if length != self.size {
            return Ok(Some(format!("a file of {length} bytes")));
        }
        let mut digest = Sha256::new();
        std::io::copy(file, &mut digest).map_err(Error::io(&self.target))?;
        let found = hex::encode(digest.finalize());
        Ok((found != self.sha256).then_some(found))
    }

    fn forget(&self) -> Result<()> {
        match std::fs::remove_dir_all(self.area.root().join(&self.dir)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(&self.dir)(error))
            }
            _ => Ok(()),
        }
    }

    fn too_long(&self, found: u64) -> Error {
        Error::Length { path: self.target.clone(), expected: self.size, found }
    }
}

/// One part being written.
#[derive(Debug)]
pub struct Part {
    parts: Parts,
    file: File,
    offset: u64,
    length: u64,
    digest: Sha256,
}

impl Part {
    /// Writes the next bytes.
    ///
    /// # Errors
    /// [`Error::Length`] for more than the file was announced to have.
    pub fn write(&mut self, data: &[u8]) -> Result<()> {
        let end = self.offset + self.length + data.len() as u64;
        if end > self.parts.size {
            return Err(self.parts.too_long(end));
        }
        self.file.write_all(data).map_err(Error::io(&self.parts.target))?;
        self.digest.update(data);
        self.length += data.len() as u64;
        Ok(())
    }

    /// Says that the part has arrived.
    ///
    /// # Errors
    /// [`Error::Digest`] when it is not what was sent; it does not count then.
    pub fn finish(self, sha256: &str) -> Result<()> {
        let found = hex::encode(self.digest.finalize());
        if found != sha256 {
            let (path, expected) = (self.parts.target, sha256.to_owned());
            return Err(Error::Digest { path, expected, found });
        }
        let mark = format!("{}/{}-{}", self.parts.dir, self.offset, self.length);
        self.parts.area.open_for_write(&mark).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: &[u8] = b"0123456789abcdef";

    fn sha256(data: &[u8]) -> String {
        hex::encode(Sha256::digest(data))
    }

    fn parts(dir: &tempfile::TempDir) -> Parts {
        let size = CONTENT.len() as u64;
        Parts::new(Area::new(dir.path()), "tasks/1/1/a.rpm", size, &sha256(CONTENT))
    }

    fn send(parts: &Parts, from: usize, to: usize) -> Result<()> {
        let mut part = parts.begin(from as u64)?;
        part.write(&CONTENT[from..to])?;
        part.finish(&sha256(&CONTENT[from..to]))
    }

    #[test]
    fn parts_come_in_any_order_and_the_rest_later() {
        let dir = tempfile::tempdir().unwrap();
        let upload = parts(&dir);
        assert!(!upload.is_complete().unwrap());
        send(&upload, 8, 16).unwrap();
        send(&upload, 0, 4).unwrap();
        assert_eq!(parts(&dir).received().unwrap(), [(0, 4), (8, 8)]);
        assert!(matches!(upload.complete(), Err(Error::Length { found: 4, .. })));
        send(&parts(&dir), 4, 8).unwrap();
        upload.complete().unwrap();
        assert_eq!(std::fs::read(dir.path().join("tasks/1/1/a.rpm")).unwrap(), CONTENT);
        let left: Vec<_> = Area::new(dir.path()).walk("tasks").unwrap();
        assert_eq!(left.len(), 1, "{left:?}");
        upload.complete().unwrap();
        assert!(upload.is_complete().unwrap());
    }

    #[test]
    fn what_is_damaged_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let upload = parts(&dir);
        let mut part = upload.begin(0).unwrap();
        part.write(b"x").unwrap();
        assert!(matches!(part.finish(&sha256(b"y")), Err(Error::Digest { .. })));
        assert_eq!(upload.received().unwrap(), []);
        let mut part = upload.begin(0).unwrap();
        part.write(&[0; 16]).unwrap();
        assert!(matches!(part.write(b"x"), Err(Error::Length { .. })));
        part.finish(&sha256(&[0; 16])).unwrap();
        assert!(matches!(upload.complete(), Err(Error::Digest { .. })));
        assert_eq!(upload.received().unwrap(), [], "all begins anew");
        assert!(matches!(upload.begin(17), Err(Error::Length { .. })));
    }
}
