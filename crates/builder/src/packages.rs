//! The packages and metadata that were fetched before, by their SHA-256.

use std::collections::HashMap;
use std::fs::{File, FileTimes, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use toji_client::{Client, Download, Error};

/// A directory of files named by their digest; safe for tasks side by side.
pub(crate) struct PackageCache {
    dir: PathBuf,
    /// The most that is kept, in bytes.
    limit: u64,
    /// How files were when this process has found their digests right.
    right: Mutex<HashMap<PathBuf, Stamp>>,
}

/// What changes when a file is replaced or written to; that it is used changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        let modified = (meta.mtime(), meta.mtime_nsec());
        Stamp { inode: meta.ino(), length: meta.len(), modified }
    }
}

impl PackageCache {
    pub(crate) fn new(dir: PathBuf, limit_mib: u64) -> Self {
        PackageCache { dir, limit: limit_mib << 20, right: Mutex::default() }
    }

    /// The file with this digest, fetched to `scratch` first if it is not here or no longer what it was.
    pub(crate) async fn get(
        &self,
        client: &Client,
        what: &Download<'_>,
        scratch: &Path,
    ) -> Result<PathBuf, Error> {
        let sha256 = what.sha256.unwrap_or_default();
        let plain = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit());
        if !plain {
            return Err(Error::Mismatch {
                what: format!("digest of {}", what.url),
                expected: "a SHA-256".to_owned(),
                found: sha256.to_owned(),
            });
        }
        let file = self.dir.join(&sha256[..2]).join(sha256);
        let failed = |source| Error::File { path: file.clone(), source };
        if self.has(&file, what.size, sha256).await.map_err(failed)? {
            // The newest use decides what is kept; a failure only makes it look older.
            let times = FileTimes::new().set_accessed(now());
            let _ = File::open(&file).and_then(|f| f.set_times(times));
            return Ok(file);
        }
        let fetched = scratch.join(sha256);
        client.download(what, &fetched).await?;
        let parent = file.parent().unwrap_or(&self.dir);
        std::fs::create_dir_all(parent).map_err(failed)?;
        std::fs::rename(&fetched, &file).map_err(failed)?;
        self.note(&file).map_err(failed)?;
        Ok(file)
    }

    /// Whether a file is here as it must be; it is read when this process has not yet seen it so. A damaged one goes.
    async fn has(&self, file: &Path, size: Option<u64>, sha256: &str) -> io::Result<bool> {
        let Ok(meta) = std::fs::metadata(file) else { return Ok(false) };
        let fits = size.is_none_or(|size| meta.len() == size);
        if fits && self.right().get(file) == Some(&Stamp::of(&meta)) {
            return Ok(true);
        }
        let read = file.to_owned();
        if fits && tokio::task::spawn_blocking(move || digest(&read)).await?? == *sha256 {
            self.note(file)?;
            return Ok(true);
        }
        tracing::warn!(file = %file.display(), "a cached file is damaged and is fetched anew");
        match std::fs::remove_file(file) {
            // Another task has found the same.
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(false),
        }
    }

    fn note(&self, file: &Path) -> io::Result<()> {
        let stamp = Stamp::of(&std::fs::metadata(file)?);
        self.right().insert(file.to_owned(), stamp);
        Ok(())
    }

    fn right(&self) -> MutexGuard<'_, HashMap<PathBuf, Stamp>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the files that were used least recently until the rest fits.
    pub(crate) fn trim(&self) -> io::Result<()> {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for dir in entries(&self.dir)? {
            for file in entries(&dir)? {
                let meta = std::fs::metadata(&file)?;
                files.push((meta.accessed().or_else(|_| meta.modified())?, meta.len(), file));
            }
        }
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        files.sort();
        for (_, size, file) in files {
            if total <= self.limit {
                break;
            }
            std::fs::remove_file(&file)?;
            self.right().remove(&file);
            total -= size;
        }
        Ok(())
    }
}

/// The SHA-256 of a file.
fn digest(file: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(file)?, &mut hash)?;
    Ok(hex::encode(hash.finalize()))
}

fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

#[expect(clippy::disallowed_methods, reason = "an access time is the machine's own")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn what_is_damaged_is_not_used() {
        let dir = tempfile::tempdir().expect("directory");
        let cache = PackageCache::new(dir.path().to_owned(), 1);
        let sha256 = hex::encode(Sha256::digest("content"));
        let file = dir.path().join(&sha256);
        let has = async |size| cache.has(&file, size, &sha256).await.expect("file");
        assert!(!has(None).await);
        std::fs::write(&file, "content").expect("file");
        assert!(has(Some(7)).await && has(None).await);
        // Of the same length, after it was found right.
        std::fs::write(&file, "kontent").expect("file");
        assert!(!has(Some(7)).await);
        assert!(!file.exists() && !has(Some(7)).await);
        std::fs::write(&file, "content").expect("file");
        assert!(has(Some(7)).await && !has(Some(8)).await && !file.exists());
    }

    #[test]
    fn the_least_used_go_first() {
        let dir = tempfile::tempdir().expect("directory");
        let cache = PackageCache { limit: 250, ..PackageCache::new(dir.path().to_owned(), 0) };
        std::fs::create_dir(dir.path().join("aa")).expect("directory");
        for (i, name) in ["old", "new", "used"].iter().enumerate() {
            let file = dir.path().join("aa").join(name);
            std::fs::write(&file, [0; 100]).expect("file");
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1000 * i as u64);
            let times = std::fs::FileTimes::new().set_accessed(at);
            std::fs::File::open(&file).and_then(|f| f.set_times(times)).expect("times");
        }
        cache.trim().expect("trim");
        assert!(!dir.path().join("aa/old").exists());
        assert!(dir.path().join("aa/new").exists() && dir.path().join("aa/used").exists());
    }
}
