//! Uploaded files opened for reading, in the work directory or in an object store.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use toji_store::{Area, Error, Source, Store};

/// An uploaded file.
pub(crate) struct Opened {
    /// Its content.
    pub(crate) file: Box<dyn Source>,
    /// Its path in the work directory.
    pub(crate) path: PathBuf,
    /// When it was written, seconds since 1970.
    pub(crate) written: i64,
    /// Whether it is an upload and no link to what was imported.
    pub(crate) regular: bool,
    /// What its SHA-256 must be, where that is known.
    sha256: Option<String>,
}

impl Opened {
    /// Refuses what has become another file since it was uploaded.
    ///
    /// # Errors
    /// [`Error::Digest`].
    pub(crate) fn check(&self, found: &str) -> Result<(), Error> {
        match &self.sha256 {
            Some(expected) if expected != found => Err(Error::Digest {
                path: self.path.display().to_string(),
                expected: expected.clone(),
                found: found.to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

/// Whether a path is an upload: a regular file, or one that lies in an object store; nothing if nothing is there.
pub(crate) fn is_upload(store: &Store, path: &Path) -> Option<bool> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    Some(meta.is_file() || store.staged(path).is_some())
}

/// Opens an uploaded file.
///
/// # Errors
/// For a path that leaves the area, and when nothing is there.
pub(crate) fn open(store: &Store, area: &Area, rel: &str) -> Result<Opened, Error> {
    let rel = toji_store::normalize(rel)?;
    let path = area.root().join(&rel);
    if let Some(staged) = store.staged(&path) {
        let (file, written) = staged.open()?;
        let written = seconds(written);
        let sha256 = Some(staged.sha256().to_owned());
        return Ok(Opened { file, path, written, regular: true, sha256 });
    }
    // Opening tells whether the path stays below the work directory, links followed.
    let file = area.open(&rel)?;
    let meta = file.metadata().map_err(Error::io(&path))?;
    let written = std::os::unix::fs::MetadataExt::mtime(&meta);
    let regular = std::fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file());
    Ok(Opened { file: Box::new(file), path, written, regular, sha256: None })
}

fn seconds(time: SystemTime) -> i64 {
    let age = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(age.as_secs()).unwrap_or(0)
}
