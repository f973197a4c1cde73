//! Files without a digest in the database that were read before: what is as long and as old as then is not read again.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use toji_store::vault::Vault;
use toji_store::{Error, Result};

use super::manifest::{Entry, Reader};
use super::point;

/// What an interrupted backup has read.
const FILE: &str = "seen";
/// How many interruptions in a row it survives.
const INTERRUPTIONS: u32 = 10_000;

/// What is known of a file.
#[derive(Clone, Copy)]
struct Known {
    size: u64,
    modified: i64,
    sha256: [u8; 32],
}

/// Such files by their paths.
pub(super) struct Seen {
    known: HashMap<Box<str>, Known>,
    path: PathBuf,
    file: File,
}

impl Seen {
    /// Those of the newest point, and of a backup that was interrupted after it.
    pub(super) fn load(vault: &Vault) -> Result<Seen> {
        let path = vault.dir().join(FILE);
        let file =
            File::options().create(true).append(true).open(&path).map_err(Error::io(&path))?;
        let mut seen = Seen { known: HashMap::new(), path, file };
        if let Some(newest) = point::points(vault)?.pop() {
            for entry in Reader::open(&newest.dir(vault).join(&newest.manifest.name))? {
                seen.learn(&entry?);
            }
        }
        // Each interruption may have cut off a line.
        let mut broken = 0;
        for entry in Reader::plain(&seen.path)? {
            match entry {
                Ok(entry) => seen.learn(&entry),
                Err(_) if broken < INTERRUPTIONS => broken += 1,
                Err(error) => return Err(error),
            }
        }
        seen.file.write_all(b"\n").map_err(Error::io(&seen.path))?;
        Ok(seen)
    }

    fn learn(&mut self, entry: &Entry) {
        let mut sha256 = [0; 32];
        let Some(modified) = entry.modified else { return };
        if !entry.recorded && hex::decode_to_slice(&entry.sha256, &mut sha256).is_ok() {
            let known = Known { size: entry.size, modified, sha256 };
            self.known.insert(entry.path.as_str().into(), known);
        }
    }

    /// The digest of a file that is as long and as old as when it was read.
    pub(super) fn digest(&self, path: &str, size: u64, modified: Option<i64>) -> Option<String> {
        let known = self.known.get(path)?;
        let same = known.size == size && Some(known.modified) == modified;
        same.then(|| hex::encode(known.sha256))
    }

    /// Notes files that were read.
    pub(super) fn note<'e>(&mut self, entries: impl Iterator<Item = &'e Entry>) -> Result<()> {
        let mut lines = Vec::new();
        for entry in entries.filter(|entry| !entry.recorded && entry.modified.is_some()) {
            self.learn(entry);
            lines.extend(entry.to_line()?);
        }
        self.file.write_all(&lines).map_err(Error::io(&self.path))
    }

    /// A point has all of it now.
    pub(super) fn forget(self) -> Result<()> {
        std::fs::remove_file(&self.path).map_err(Error::io(&self.path))
    }
}
