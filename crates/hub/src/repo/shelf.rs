//! The packed chunks of repositories, on the disk beside the store.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use toji_repodata::KeptChunk;

/// Where chunks are below the top directory.
const DIR: &str = ".repo-chunks";
/// How much is kept, in bytes; a tag of 60,000 packages takes about 150 MB.
const LIMIT: u64 = 4 << 30;
/// A use is noted when the last note is older than this.
const NOTED: Duration = Duration::from_secs(3600);

/// Chunks by what they are made of. Whatever is missing or damaged is made anew.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    dir: PathBuf,
    /// When it was opened: uses are noted with this time.
    now: SystemTime,
}

impl Shelf {
    /// Those beside the store at `top`, for a repository that is made at `now`, in seconds since 1970.
    pub(super) fn new(top: &Path, now: f64) -> Self {
        let now = UNIX_EPOCH + Duration::from_secs_f64(now.max(0.0));
        Shelf { dir: top.join(DIR), now }
    }

    fn place(&self, key: &str) -> PathBuf {
        self.dir.join(&key[..2]).join(key)
    }

    /// Whether a chunk is there; it may be damaged.
    pub(super) fn has(&self, key: &str) -> bool {
        self.place(key).is_file()
    }

    /// The chunk, if it is there and whole; a damaged one is removed.
    pub(super) fn get(&self, key: &str) -> io::Result<Option<KeptChunk>> {
        let path = self.place(key);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match KeptChunk::read(bytes) {
            Ok(chunk) => {
                note_use(&path, self.now);
                Ok(Some(chunk))
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a chunk of repositories is made anew");
                fs::remove_file(&path)?;
                Ok(None)
            }
        }
    }

    /// Keeps a chunk. It is not forced to the disk: one that a power failure damages is made anew.
    pub(super) fn put(&self, key: &str, chunk: &KeptChunk) -> io::Result<()> {
        let path = self.place(key);
        let new = tempfile_beside(&path)?;
        fs::write(&new, chunk.bytes())?;
        fs::rename(&new, &path)
    }

    /// Removes what was not used for longest, until the rest fits.
    pub(super) fn trim(&self) -> io::Result<()> {
        trim(&self.dir, LIMIT)
    }
}

/// Another name for each writer, in a directory that is made if it is missing.
fn tempfile_beside(path: &Path) -> io::Result<PathBuf> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Ok(path.with_extension(format!("new-{}-{count}", std::process::id())))
}

/// A failure only makes the chunk look older.
fn note_use(path: &Path, now: SystemTime) {
    let Ok(file) = File::open(path) else { return };
    let noted = file.metadata().and_then(|data| data.modified());
    if noted.is_ok_and(|noted| now.duration_since(noted).is_ok_and(|age| age > NOTED)) {
        let _ = file.set_modified(now);
    }
}

fn trim(dir: &Path, limit: u64) -> io::Result<()> {
    let (mut all, mut total) = (Vec::new(), 0);
    for part in fs::read_dir(dir)? {
        for entry in fs::read_dir(part?.path())? {
            let entry = entry?;
            // Another process may have removed it meanwhile.
            let Ok(data) = entry.metadata() else { continue };
            total += data.len();
            all.push((data.modified()?, data.len(), entry.path()));
        }
    }
    if total <= limit {
        return Ok(());
    }
    all.sort_unstable();
    for (_, size, path) in all {
        // A tenth more, so that it is not looked for each time.
        if total <= limit - limit / 10 {
            break;
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => total -= size,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use toji_repodata::Compression;

    use super::*;

    const NOW: f64 = 2e9;

    fn chunk(text: &str) -> KeptChunk {
        KeptChunk::make(1, [text.as_bytes(); 3], Compression::Gzip(6)).unwrap()
    }

    #[test]
    fn chunks_come_back_and_damaged_ones_go() {
        let top = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(top.path(), NOW);
        let key = "abcd";
        assert!(!shelf.has(key) && shelf.get(key).unwrap().is_none());
        shelf.put(key, &chunk("x")).unwrap();
        assert_eq!(shelf.get(key).unwrap(), Some(chunk("x")));
        fs::write(shelf.place(key), "half").unwrap();
        assert!(shelf.has(key));
        assert!(shelf.get(key).unwrap().is_none());
        assert!(!shelf.has(key));
    }

    #[test]
    fn the_least_recently_used_go_first() {
        let top = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(top.path(), NOW);
        let long = "y".repeat(1000);
        let keys: Vec<String> = (10..30).map(|n| format!("{n}key")).collect();
        let old = UNIX_EPOCH + Duration::from_secs_f64(NOW) - 3 * NOTED;
        for (n, key) in keys.iter().enumerate() {
            shelf.put(key, &chunk(&long)).unwrap();
            let file = File::options().write(true).open(shelf.place(key)).unwrap();
            file.set_modified(old + Duration::from_secs(n as u64)).unwrap();
        }
        let each = fs::metadata(shelf.place(&keys[0])).unwrap().len();
        assert!(shelf.get(&keys[0]).unwrap().is_some());
        trim(&shelf.dir, each * 20).unwrap();
        assert!(keys.iter().all(|key| shelf.has(key)));
        trim(&shelf.dir, each * 10).unwrap();
        let left: Vec<&String> = keys.iter().filter(|key| shelf.has(key)).collect();
        let (first, last): (Vec<&String>, Vec<&String>) =
            (keys[..1].iter().collect(), keys[12..].iter().collect());
        assert_eq!(left, [first, last].concat());
    }
}
