//! Uploads: chunks of a file, written at an offset and checked.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

use rustix::fs::{FlockOperation, flock};

use crate::{Algorithm, Area, Error, Hasher, Result};

/// Where and how an upload is written.
#[derive(Clone, Debug)]
pub struct Begin {
    /// The file, relative to the area.
    pub path: String,
    /// Where its first byte goes; -1 appends.
    pub offset: i64,
    /// Replace what is there from the offset on.
    pub overwrite: bool,
    /// The checksum that the sender wants to know.
    pub verify: Option<Algorithm>,
}

/// An upload being written; the file is locked meanwhile.
pub struct Upload {
    file: File,
    shown: String,
    offset: u64,
    size: u64,
    overwrite: bool,
    hasher: Option<Hasher>,
}

impl Upload {
    /// Opens the file and goes to the offset.
    ///
    /// # Errors
    /// [`Error::Exists`] for a file that is there and may not be replaced, [`Error::Locked`] for
    /// one that is being written.
    pub fn begin(area: &Area, begin: &Begin) -> Result<Self> {
        let shown = area.root().join(&begin.path).display().to_string();
        if begin.offset == 0 && !begin.overwrite && area.exists(&begin.path)? {
            return Err(Error::Exists(shown));
        }
        let mut file = area.open_for_write(&begin.path)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(Error::Locked(shown));
        }
        let io = |e| Error::io(&shown)(e);
        let offset = match u64::try_from(begin.offset) {
            Err(_) => file.seek(SeekFrom::End(0)).map_err(io)?,
            Ok(offset) => {
                if begin.overwrite {
                    file.set_len(offset).map_err(io)?;
                }
                file.seek(SeekFrom::Start(offset)).map_err(io)?
            }
        };
        let hasher = begin.verify.map(Hasher::new);
        Ok(Upload { file, shown, offset, size: 0, overwrite: begin.overwrite, hasher })
    }

    /// Writes a chunk.
    ///
    /// # Errors
    /// When the disk is full or broken.
    pub fn write(&mut self, data: &[u8]) -> Result<()> {
        self.file.write_all(data).map_err(Error::io(&self.shown))?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(data);
        }
        self.size += data.len() as u64;
        Ok(())
    }

    /// Ends the upload; returns size, offset and the checksum that was asked for.
    ///
    /// # Errors
    /// [`Error::Length`] when the file does not end where the upload does.
    pub fn finish(self) -> Result<(u64, u64, Option<String>)> {
        let found = self.file.metadata().map_err(Error::io(&self.shown))?.len();
        let expected = self.offset + self.size;
        if !self.overwrite && found != expected {
            return Err(Error::Length { path: self.shown, expected, found });
        }
        Ok((self.size, self.offset, self.hasher.map(Hasher::finish)))
    }
}
