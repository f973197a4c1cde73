//! The packages and metadata that were fetched before, by their SHA-256.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use toji_client::{Client, Download, Error};

/// A directory of files named by their digest; safe for tasks side by side.
pub(crate) struct PackageCache {
    dir: PathBuf,
    /// The most that is kept, in bytes.
    limit: u64,
}

impl PackageCache {
    pub(crate) fn new(dir: PathBuf, limit_mib: u64) -> Self {
        PackageCache { dir, limit: limit_mib << 20 }
    }

    /// The file with this digest, fetched to `scratch` first if it is not here.
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
        if std::fs::metadata(&file).is_ok_and(|m| what.size.is_none_or(|size| m.len() == size)) {
            // The newest use decides what is kept; a failure only makes it look older.
            let touched = std::fs::File::open(&file);
            let _ =
                touched.and_then(|f| f.set_times(std::fs::FileTimes::new().set_accessed(now())));
            return Ok(file);
        }
        let fetched = scratch.join(sha256);
        client.download(what, &fetched).await?;
        let failed = |source| Error::File { path: file.clone(), source };
        let parent = file.parent().unwrap_or(&self.dir);
        std::fs::create_dir_all(parent).map_err(failed)?;
        std::fs::rename(&fetched, &file).map_err(failed)?;
        Ok(file)
    }

    /// Removes the files that were used least recently until the rest fits.
    pub(crate) fn trim(&self) -> std::io::Result<()> {
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
            std::fs::remove_file(file)?;
            total -= size;
        }
        Ok(())
    }
}

fn entries(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
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

    #[test]
    fn the_least_used_go_first() {
        let dir = tempfile::tempdir().expect("directory");
        let cache = PackageCache { dir: dir.path().to_owned(), limit: 250 };
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
