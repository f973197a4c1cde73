//! The metadata of repositories elsewhere, fetched, verified and kept, as directories.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use toji_client::FileState;
use toji_repodata::{Record, Repomd};

use crate::fetch::Web;

/// Most bytes of `repomd.xml`, and of another file.
const LIST: usize = 16 << 20;
const FILE: u64 = 2 << 30;
/// What is merged of a repository; groups have several names.
const NEEDED: [&str; 5] = ["primary", "filelists", "other", "updateinfo", "modules"];
/// Repositories that were not asked for as long as that are forgotten.
const OLD: Duration = Duration::from_secs(30 * 24 * 3600);
/// The file that says where a kept repository is from; its time is that of its last use.
const NOTE: &str = "from.json";

/// Fetches repositories into directories of its own.
pub(super) struct Remote {
    web: Web,
    runtime: tokio::runtime::Runtime,
    room: PathBuf,
    cache: Option<PathBuf>,
}

/// What is known of a kept repository.
#[derive(Default, Serialize, Deserialize)]
struct Note {
    url: String,
    etag: Option<String>,
    modified: Option<String>,
}

impl Remote {
    /// Puts directories into `room`, and keeps what was fetched in `cache` for the next time.
    ///
    /// # Errors
    /// When the cache cannot be made.
    pub(super) fn new(room: &Path, cache: Option<&Path>) -> anyhow::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        if let Some(cache) = cache {
            fs::create_dir_all(cache).with_context(|| cache.display().to_string())?;
            forget(cache);
        }
        let cache = cache.map(Path::to_owned);
        Ok(Self { web: Web::default(), runtime, room: room.to_owned(), cache })
    }

    /// The directory of a repository: itself, or a copy of the metadata at a URL.
    ///
    /// # Errors
    /// When it cannot be had, or is not what its `repomd.xml` says.
    pub(super) fn local(&self, number: usize, given: &str) -> anyhow::Result<PathBuf> {
        if let Some(path) = given.strip_prefix("file://") {
            return Ok(PathBuf::from(path));
        }
        if !given.contains("://") {
            return Ok(PathBuf::from(given));
        }
        let url = given.trim_end_matches('/');
        let mine = self.room.join(number.to_string());
        let Some(cache) = &self.cache else {
            self.runtime.block_on(self.fetch(url, &mine))?;
            return Ok(mine);
        };
        let dir = cache.join(hex::encode(&Sha256::digest(url)[..16]));
        fs::create_dir_all(&dir)?;
        // Others may merge the same repository at the same time, with another state of it.
        let lock = File::create(dir.join("lock"))?;
        lock.lock()?;
        let repomd = self.runtime.block_on(self.fetch(url, &dir))?;
        fs::create_dir_all(mine.join("repodata"))?;
        take(&dir, &mine, "repodata/repomd.xml")?;
        for record in repomd.records.iter().filter(|record| is_needed(record)) {
            take(&dir, &mine, &record.href)?;
        }
        Ok(mine)
    }

    /// Brings a directory to the state of the repository at the URL; what is there and right is not fetched again.
    async fn fetch(&self, url: &str, dir: &Path) -> anyhow::Result<Repomd> {
        let list = dir.join("repodata/repomd.xml");
        let note = note(dir, url);
        let kept = fs::read(&list).ok().filter(|_| note.is_some());
        let Note { etag, modified, .. } = note.unwrap_or_default();
        let before =
            if kept.is_some() { FileState { etag, modified } } else { FileState::default() };
        let (text, state) = match (self.get(url, "repodata/repomd.xml", LIST, &before).await?, kept)
        {
            (Some(new), _) => new,
            (None, Some(text)) => (text, before),
            (None, None) => anyhow::bail!("{url}: repomd.xml is said not to have changed"),
        };
        let repomd = Repomd::parse(text.as_slice(), LIST as u64).context(url.to_owned())?;
        fs::create_dir_all(dir.join("repodata"))?;
        for record in repomd.records.iter().filter(|record| is_needed(record)) {
            let is_name = |name: &&str| !name.contains('/') && !matches!(*name, "" | "." | "..");
            let name = record.href.strip_prefix("repodata/").filter(is_name);
            let name = name.with_context(|| format!("{url}: a strange place: {}", record.href))?;
            let file = dir.join("repodata").join(name);
            if is_there(&file, record)? {
                continue;
            }
            let limit =
                usize::try_from(if record.size > 0 { record.size.min(FILE) } else { FILE })?;
            let data = self.get(url, &record.href, limit, &FileState::default()).await?;
            let (data, _) = data.with_context(|| format!("{url}/{}: no content", record.href))?;
            let right = record.sum.of(&data) == record.checksum;
            ensure!(right, "{url}/{}: another checksum", record.href);
            put(&file, &data)?;
        }
        put(&list, &text)?;
        let FileState { etag, modified } = state;
        put(&dir.join(NOTE), &serde_json::to_vec(&Note { url: url.to_owned(), etag, modified })?)?;
        remove_others(dir, &repomd)?;
        Ok(repomd)
    }

    async fn get(
        &self,
        url: &str,
        path: &str,
        limit: usize,
        before: &FileState,
    ) -> anyhow::Result<Option<(Vec<u8>, FileState)>> {
        let from = format!("{url}/{path}");
        let got = self.web.fetch_if(&from, limit, before).await;
        got.map_err(anyhow::Error::msg).context(from)
    }
}

fn is_needed(record: &Record) -> bool {
    NEEDED.contains(&record.kind.as_str()) || record.kind.starts_with("group")
}

/// What was noted of the repository of this URL.
fn note(dir: &Path, url: &str) -> Option<Note> {
    let note: Note = serde_json::from_slice(&fs::read(dir.join(NOTE)).ok()?).ok()?;
    Some(note).filter(|note| note.url == url)
}

/// Whether a file is the one of the record, which its content tells: it may have been cut off by a crash.
fn is_there(file: &Path, record: &Record) -> io::Result<bool> {
    let mut file = match File::open(file) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let (mut hasher, mut buffer) = (record.sum.hasher(), vec![0; 128 << 10]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish() == record.checksum),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// Writes a file in one step.
fn put(file: &Path, data: &[u8]) -> io::Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, data)?;
    fs::rename(&new, file)
}

/// A file of the cache under a name of ours: what replaces it there has another inode.
fn take(from: &Path, to: &Path, name: &str) -> io::Result<()> {
    let (from, to) = (from.join(name), to.join(name));
    fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(|_| ()))
}

/// Removes the files of the states before.
fn remove_others(dir: &Path, repomd: &Repomd) -> io::Result<()> {
    for entry in fs::read_dir(dir.join("repodata"))? {
        let entry = entry?;
        let name = entry.file_name();
        let named = |record: &Record| Path::new(&record.href).file_name() == Some(name.as_os_str());
        if name != "repomd.xml" && !repomd.records.iter().any(named) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Removes repositories that nobody has asked for in a long time. What goes wrong there is left for the next time.
fn forget(cache: &Path) {
    let Ok(entries) = fs::read_dir(cache) else { return };
    for dir in entries.flatten().map(|entry| entry.path()) {
        let used = fs::metadata(dir.join(NOTE)).and_then(|note| note.modified());
        // Nobody is asked for a time here: files are compared with the one that this process has just made.
        let is_old = |used: SystemTime| {
            let lock = File::create(dir.join("lock"))?;
            let now = lock.metadata()?.modified()?;
            io::Result::Ok(
                lock.try_lock().is_ok() && now.duration_since(used).is_ok_and(|age| age > OLD),
            )
        };
        if used.and_then(is_old).unwrap_or(false) {
            let _ = fs::remove_dir_all(&dir);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_that_nobody_uses_are_forgotten() {
        let cache = tempfile::tempdir().unwrap();
        for (name, age) in [("old", OLD + Duration::from_secs(60)), ("young", Duration::ZERO)] {
            let dir = cache.path().join(name);
            fs::create_dir_all(dir.join("repodata")).unwrap();
            fs::write(dir.join(NOTE), "{}").unwrap();
            let now = fs::metadata(dir.join(NOTE)).unwrap().modified().unwrap();
            let note = File::options().write(true).open(dir.join(NOTE)).unwrap();
            note.set_modified(now - age).unwrap();
        }
        fs::create_dir(cache.path().join("without a note")).unwrap();
        forget(cache.path());
        let left = fs::read_dir(cache.path()).unwrap();
        let mut left: Vec<_> = left.map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["without a note", "young"]);
    }
}
