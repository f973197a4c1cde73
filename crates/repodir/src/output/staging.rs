//! A new `repodata` directory beside the old one, and the moment in which it takes its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use toji_repodata::Repomd;

use super::{Format, Retain, Unfinished};
use crate::error::At as _;
use crate::{Error, Result, Source, programs};

const PREFIX: &str = ".repodata-";

/// The files of a repository that is being written; they are gone if it is not published.
pub(crate) struct Staging {
    output: PathBuf,
    path: PathBuf,
    old: Option<Source>,
    next: AtomicUsize,
    /// Held open: the lock on the repository's directory.
    _lock: File,
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What is left is removed by the next writer.
        fs::remove_dir_all(&self.path).ok();
    }
}

impl Staging {
    /// Starts to write the repository of a directory, which is made if it is missing.
    pub(crate) fn begin(output: &Path) -> Result<Self> {
        fs::create_dir_all(output).at(output)?;
        let lock = File::open(output).at(output)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy(output.to_owned())),
            Err(TryLockError::Error(error)) => return Err(error).at(output),
        }
        for entry in fs::read_dir(output).at(output)? {
            let entry = entry.at(output)?;
            if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                fs::remove_dir_all(entry.path()).at(entry.path())?;
            }
        }
        let path = output.join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir(&path).at(&path)?;
        let next = AtomicUsize::new(0);
        let (output, old) = (output.to_owned(), Source::find(output)?);
        Ok(Self { output, path, old, next, _lock: lock })
    }

    /// The repository as it is.
    pub(crate) fn old(&self) -> Option<&Source> {
        self.old.as_ref()
    }

    /// A place for files that are needed for a while.
    pub(crate) fn room(&self) -> &Path {
        &self.path
    }

    /// Starts a file.
    pub(crate) fn create(&self) -> Result<Unfinished> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(format!(".new-{number}"));
        let file = File::create(&path).at(&path)?;
        Ok(Unfinished { file: BufWriter::with_capacity(128 << 10, file), path })
    }

    /// Gives a complete file its name.
    pub(crate) fn name(&self, file: Unfinished, name: &str) -> Result<()> {
        let inner = file.file.into_inner().map_err(io::IntoInnerError::into_error);
        inner.and_then(|inner| inner.sync_data()).at(&file.path)?;
        fs::rename(&file.path, self.path.join(name)).at(&file.path)
    }

    /// Takes a file of the old state over, if it is there and has no successor of its name.
    pub(crate) fn carry(&self, name: &str) -> Result<()> {
        let (from, to) = (self.output.join("repodata").join(name), self.path.join(name));
        if to.exists() || !from.is_file() {
            return Ok(());
        }
        fs::hard_link(&from, &to).or_else(|_| copy(&from, &to)).at(from)
    }

    /// Writes `repomd.xml` and puts everything in the place of the old state, in one step.
    pub(crate) fn publish(self, repomd: &Repomd, format: &Format) -> Result<()> {
        let mut file = self.create()?;
        file.write_all(repomd.to_xml().as_bytes()).at(&file.path)?;
        self.name(file, "repomd.xml")?;
        if let Some(key) = &format.sign {
            programs::sign(&self.path.join("repomd.xml"), key)?;
        }
        if format.touch {
            touch(&self.path, format.time).at(&self.path)?;
        }
        for name in self.retained(repomd, format.retain)? {
            self.carry(&name)?;
        }
        let place = self.output.join("repodata");
        self.take_place(&place).at(place)
    }

    fn take_place(&self, place: &Path) -> io::Result<()> {
        let linked = fs::symlink_metadata(place).is_ok_and(|found| found.is_symlink());
        if !place.exists() && !linked {
            fs::rename(&self.path, place)?;
            return File::open(&self.output)?.sync_all();
        }
        let exchanged =
            !linked && renameat_with(CWD, &self.path, CWD, place, RenameFlags::EXCHANGE).is_ok();
        if exchanged {
            return File::open(&self.output)?.sync_all();
        }
        self.replace_files(place)
    }

    /// The way of file systems that cannot exchange directories: one file after the other, `repomd.xml` last.
    fn replace_files(&self, place: &Path) -> io::Result<()> {
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(&self.path)? {
            names.insert(entry?.file_name());
        }
        let last = |name: &std::ffi::OsString| name.to_string_lossy().starts_with("repomd.xml");
        let (ends, files): (Vec<_>, Vec<_>) = names.iter().partition(|name| last(name));
        // the signature comes before what it signs
        for name in files.into_iter().chain(ends.into_iter().rev()) {
            fs::rename(self.path.join(name), place.join(name))?;
        }
        for entry in fs::read_dir(place)? {
            let entry = entry?;
            if !names.contains(&entry.file_name()) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// The names of files of older states that stay, and of all that are not metadata.
    fn retained(&self, new: &Repomd, retain: Retain) -> Result<Vec<String>> {
        let dir = self.output.join("repodata");
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).at(dir),
        };
        let current = |repomd: &Repomd| -> BTreeSet<String> {
            let hrefs = repomd.records.iter().filter_map(|r| r.href.strip_prefix("repodata/"));
            hrefs.map(str::to_owned).collect()
        };
        let old = self.old.as_ref().map(|old| current(&old.repomd)).unwrap_or_default();
        let new = current(new);
        let (mut kept, mut kinds) = (Vec::new(), BTreeMap::<String, Vec<_>>::new());
        for entry in entries {
            let entry = entry.at(&dir)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let meta = entry.metadata().at(entry.path())?;
            if name.starts_with("repomd.xml") || new.contains(&name) || !meta.is_file() {
                continue;
            }
            match generated(&name) {
                Some(kind) => {
                    let age = (old.contains(&name), meta.mtime());
                    kinds.entry(kind.to_owned()).or_default().push((age, name));
                }
                None if old.contains(&name) => {}
                None => kept.push(name),
            }
        }
        for mut files in kinds.into_values() {
            files.sort_by(|a, b| b.cmp(a));
            let stays = |n: usize, mtime: i64| match retain {
                Retain::Newest(count) => n < count,
                Retain::Since(time) => mtime >= time,
            };
            let files = files.into_iter().enumerate();
            kept.extend(files.filter(|(n, (age, _))| stays(*n, age.1)).map(|(_, (_, name))| name));
        }
        Ok(kept)
    }
}

/// The plain name of a file whose name begins with its checksum.
pub(crate) fn generated(name: &str) -> Option<&str> {
    let (sum, plain) = name.split_once('-')?;
    (sum.len() >= 32 && sum.bytes().all(|b| b.is_ascii_hexdigit())).then_some(plain)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mtime = fs::metadata(from)?.modified()?;
    fs::copy(from, to)?;
    File::options().write(true).open(to)?.set_modified(mtime)
}

fn touch(dir: &Path, time: i64) -> io::Result<()> {
    let time = UNIX_EPOCH + Duration::from_secs(time.max(0).unsigned_abs());
    for entry in fs::read_dir(dir)? {
        File::options().write(true).open(entry?.path())?.set_modified(time)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_checksums() {
        let sum = "a".repeat(64);
        assert_eq!(generated(&format!("{sum}-primary.xml.gz")), Some("primary.xml.gz"));
        assert_eq!(generated("my-file.txt"), None);
        assert_eq!(generated("primary.xml.gz"), None);
    }
}
