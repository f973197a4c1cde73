//! All files below one top directory, by their full paths: those of volumes in object stores are there, all others in directories.

mod away;
mod copy;
mod staged;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Seek, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

pub use staged::{Incoming, LONGEST, Staged, uploaded};

use crate::fence::pass;
use crate::s3::{S3, Way};
use crate::{Algorithm, Content, Error, Item, Kind, Local, Plan, Result, Step, Volume, Volumes};

/// How many links are followed on one way, as the kernel does.
const LINKS: usize = 40;

/// What can be read from anywhere on.
pub trait Source: Read + Seek + Send {}

impl<T: Read + Seek + Send> Source for T {}

/// The files below a top directory. Clones are the same store.
#[derive(Clone, Debug, Default)]
pub struct Store(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    top: PathBuf,
    remote: BTreeMap<String, S3>,
}

impl Store {
    /// A top directory, and the volumes that are not directories below it.
    pub fn new(top: impl Into<PathBuf>, remote: impl IntoIterator<Item = S3>) -> Self {
        let remote = remote.into_iter().map(|volume| (volume.name().to_owned(), volume));
        Store(Arc::new(Inner { top: top.into(), remote: remote.collect() }))
    }

    /// The volume of this name, if it is in an object store.
    pub fn remote(&self, name: &str) -> Option<&S3> {
        self.0.remote.get(name)
    }

    /// The volumes in object stores.
    pub fn remotes(&self) -> impl Iterator<Item = &S3> {
        self.0.remote.values()
    }

    /// Whether there is any volume in an object store.
    pub fn has_remote(&self) -> bool {
        !self.0.remote.is_empty()
    }

    /// All of it as volumes, by paths below the top.
    ///
    /// # Errors
    /// When a directory cannot be opened.
    pub fn volumes<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Result<Volumes> {
        let mut volumes = Volumes::local(&self.0.top, [])?;
        for name in names {
            match self.remote(name) {
                Some(volume) => volumes.add_remote(name, volume.clone()),
                None => volumes.add(name, Local::new(self.0.top.join("vol").join(name))?),
            }
        }
        Ok(volumes)
    }

    /// The object store that a full path lies in, and its path there.
    pub fn at(&self, path: &Path) -> Option<(&S3, String)> {
        if self.0.remote.is_empty() {
            return None;
        }
        self.below(path.strip_prefix(&self.0.top).ok()?.to_str()?)
    }

    /// The same for a path below the top.
    fn below(&self, path: &str) -> Option<(&S3, String)> {
        let rest = path.strip_prefix("vol/")?;
        let (name, below) = rest.split_once('/').unwrap_or((rest, ""));
        Some((self.remote(name)?, below.to_owned()))
    }

    /// Where a path below the top leads, if links on the way lead it into an object store.
    pub fn resolve(&self, path: &str) -> Option<(&S3, String)> {
        if self.0.remote.is_empty() {
            return None;
        }
        let mut rest: Vec<String> =
            path.split('/').rev().filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let (mut done, mut links) = (Vec::<String>::new(), 0);
        while let Some(part) = rest.pop() {
            match part.as_str() {
                "." => continue,
                // The root is its own parent, for readers.
                ".." => drop(done.pop()),
                _ => done.push(part),
            }
            let now = done.join("/");
            if let Some((volume, below)) = self.below(&now) {
                let more = rest.iter().rev().map(String::as_str);
                let more: Vec<&str> = Some(below.as_str()).into_iter().chain(more).collect();
                let path = more.join("/");
                return Some((volume, crate::normalize(path.trim_start_matches('/')).ok()?));
            }
            let Ok(target) = fs::read_link(self.0.top.join(&now)) else { continue };
            links += 1;
            if links > LINKS {
                return None;
            }
            done.pop();
            if target.is_absolute() {
                done.clear();
            }
            let target = target.strip_prefix(&self.0.top).unwrap_or(&target).to_owned();
            for part in target.components().rev() {
                match part {
                    Component::Normal(name) => rest.push(name.to_str()?.to_owned()),
                    Component::ParentDir => rest.push("..".to_owned()),
                    _ => {}
                }
            }
        }
        None
    }

    /// What is at a path, or nothing; links are not followed.
    ///
    /// # Errors
    /// When the place cannot tell.
    pub fn item(&self, path: &Path) -> Result<Option<Item>> {
        if let Some((volume, below)) = self.at(path) {
            return volume.item(&below);
        }
        let meta = match fs::symlink_metadata(path) {
            Ok(meta) => meta,
            Err(e) if is_absent(&e) => return Ok(None),
            Err(e) => return Err(Error::io(path)(e)),
        };
        let kind = match () {
            () if meta.is_file() => Kind::File,
            () if meta.is_dir() => Kind::Dir,
            () if meta.is_symlink() => Kind::Link(fs::read_link(path).map_err(Error::io(path))?),
            () => Kind::Other,
        };
        let modified = meta.modified().ok();
        let path = path.to_string_lossy().into_owned();
        Ok(Some(Item { path, kind, size: meta.len(), modified }))
    }

    /// Whether something is at a path; links are not followed.
    ///
    /// # Errors
    /// When the place cannot tell.
    pub fn exists(&self, path: &Path) -> Result<bool> {
        Ok(self.item(path)?.is_some())
    }

    /// Whether a path leads to a directory.
    ///
    /// # Errors
    /// When the place cannot tell.
    pub fn is_dir(&self, path: &Path) -> Result<bool> {
        match self.at(path) {
            None => Ok(path.is_dir()),
            Some(_) => Ok(self.item(path)?.is_some_and(|item| item.kind == Kind::Dir)),
        }
    }

    /// The length of a file in bytes, and when it was changed; nothing if there is none.
    ///
    /// # Errors
    /// When the place cannot tell; [`Error::NotAFile`].
    pub fn file(&self, path: &Path) -> Result<Option<(u64, Option<SystemTime>)>> {
        if self.at(path).is_none() {
            return match fs::metadata(path) {
                Ok(meta) if meta.is_file() => Ok(Some((meta.len(), meta.modified().ok()))),
                Ok(_) => Err(Error::NotAFile(path.display().to_string())),
                Err(e) if is_absent(&e) => Ok(None),
                Err(e) => Err(Error::io(path)(e)),
            };
        }
        match self.item(path)? {
            None => Ok(None),
            Some(item) if item.kind == Kind::File => Ok(Some((item.size, item.modified))),
            Some(_) => Err(Error::NotAFile(path.display().to_string())),
        }
    }

    /// Opens a file; of an object only what is read is fetched.
    ///
    /// # Errors
    /// When there is none; [`Error::is_missing`] tells.
    pub fn open(&self, path: &Path) -> Result<Box<dyn Source>> {
        Ok(match self.at(path) {
            Some((volume, below)) => Box::new(volume.reader(&below)?),
            None => Box::new(fs::File::open(path).map_err(Error::io(path))?),
        })
    }

    /// The content of a file.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        self.open(path)?.read_to_end(&mut content).map_err(Error::io(path))?;
        Ok(content)
    }

    /// The checksums of a file in the order of the algorithms, and its length in bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn hash(&self, path: &Path, algorithms: &[Algorithm]) -> Result<(Vec<String>, u64)> {
        crate::digest::hash_of(self.open(path)?, path, algorithms)
    }

    /// Writes a file under a passing name first, so that nobody sees half of it; one that is there is replaced.
    ///
    /// # Errors
    /// The writer's own, or when the place refuses.
    pub fn write(
        &self,
        path: &Path,
        write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<u64> {
        if let Some((volume, below)) = self.at(path) {
            // What has no known length cannot be sent: it is kept here for as long as that takes.
            let mut spool = std::io::BufWriter::new(tempfile::tempfile().map_err(Error::io(path))?);
            let io = |e| Error::io(path)(e);
            write(&mut spool).and_then(|()| spool.flush()).map_err(io)?;
            let spool = spool.get_mut();
            volume.upload(&below, spool, Way::Replace, "")?;
            return Ok(spool.metadata().map_err(io)?.len());
        }
        let dir = path.parent().unwrap_or(Path::new("/"));
        pass()?;
        fs::create_dir_all(dir).map_err(Error::io(dir))?;
        let fresh = crate::passing(path, "new");
        let file = fs::File::create(&fresh).map_err(Error::io(&fresh))?;
        let mut file = std::io::BufWriter::new(file);
        let done = write(&mut file).and_then(|()| file.flush());
        if let Err(error) = done.and_then(|()| file.get_ref().sync_all()) {
            let _ = fs::remove_file(&fresh);
            return Err(Error::io(&fresh)(error));
        }
        let size = file.get_ref().metadata().map_err(Error::io(&fresh))?.len();
        pass()?;
        fs::rename(&fresh, path).map_err(Error::io(path))?;
        Ok(size)
    }

    /// The same for what is at hand; it stays even if the machine loses its power.
    ///
    /// # Errors
    /// When the place refuses.
    pub fn write_durably(&self, path: &Path, content: &[u8]) -> Result<()> {
        match self.at(path) {
            Some((volume, below)) => volume.put(&below, content),
            None => crate::write_durably(path, content),
        }
    }

    /// The paths of all files below a directory, relative to it; links are left out, and nothing is in one that is missing.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn names(&self, dir: &Path) -> Result<Vec<String>> {
        let Some((volume, below)) = self.at(dir) else {
            let entries = crate::Area::new(dir).walk("")?.into_iter().filter(|entry| !entry.link);
            return Ok(entries.map(|entry| entry.path).collect());
        };
        let below = format!("{}/", crate::normalize(&below)?);
        let items = volume.walk(&below)?.into_iter();
        Ok(items.filter_map(|item| Some(item.path.strip_prefix(&below)?.to_owned())).collect())
    }

    /// Puts a file in its place, as [`crate::place`] does; in an object store it must be new, or this step's own.
    ///
    /// # Errors
    /// [`Error::Exists`] for an object that something else has placed.
    pub fn place(&self, step: &Step) -> Result<()> {
        if let Some(staged) = self.staged(&step.from) {
            return self.place_staged(&staged, step, false);
        }
        let Some((volume, below)) = self.at(&step.to) else { return crate::place(step) };
        let mark = mark_of(&step.from)?;
        let mut from = fs::File::open(&step.from).map_err(Error::io(&step.from))?;
        volume.upload(&below, &mut from, Way::New, &mark)
    }

    /// Places everything of a plan, or nothing, as [`crate::place_new`] does.
    ///
    /// # Errors
    /// [`Error::Exists`] when a path is taken, and whatever the places refuse.
    pub fn place_new(&self, plan: &Plan, stop: &Path) -> Result<()> {
        let far = |path: &Path| self.at(path).is_some();
        let (mut near, mut steps, mut written) = (Plan::default(), Vec::new(), Vec::new());
        for step in &plan.steps {
            let staged = self.staged(&step.from);
            match staged.is_some() || far(&step.to) {
                true => steps.push((step, staged)),
                false => near.steps.push(step.clone()),
            }
        }
        for (path, content) in &plan.written {
            match content {
                Content::Bytes(bytes) if far(path) => written.push((path, bytes)),
                _ => near.written.push((path.clone(), content.clone())),
            }
        }
        let (mut placed, mut wrote) = (0, 0);
        let done = steps.iter().try_for_each(|(step, staged)| {
            match staged {
                Some(staged) => self.place_staged(staged, step, true)?,
                None => self.place(step)?,
            }
            placed += 1;
            Ok(())
        });
        let done = done.and_then(|()| {
            written.iter().try_for_each(|(path, bytes)| {
                if let Some((volume, below)) = self.at(path) {
                    volume.upload(&below, &mut std::io::Cursor::new(bytes), Way::New, "")?;
                }
                wrote += 1;
                Ok(())
            })
        });
        let done = done.and_then(|()| crate::place_new(&near, stop));
        if done.is_err() {
            // The error that led here is the one to report, and what stays is known to the journal.
            for (path, _) in &written[..wrote] {
                let _ = self.remove_file(path, stop);
            }
            for (step, _) in &steps[..placed] {
                let _ = self.undo(step, stop);
            }
        }
        done
    }

    /// Replaces the old path by a link to the new one, as [`crate::link_back`] does. Of an object it leads nowhere for the
    /// system, but for readers of the store; logs stay where they are, too, for those who follow tasks.
    ///
    /// # Errors
    /// When the old path cannot be replaced.
    pub fn link_back(&self, step: &Step) -> Result<()> {
        if let Some(staged) = self.staged(&step.from) {
            return self.link_staged_back(&staged, step);
        }
        match self.at(&step.to) {
            Some((_, below)) if crate::packed::is_log(&below) => Ok(()),
            _ => crate::link_back(step),
        }
    }

    /// Takes a placed file away again, as [`crate::undo`] does; an object only if this step has placed it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn undo(&self, step: &Step, stop: &Path) -> Result<()> {
        if let Some(staged) = self.staged(&step.from) {
            return self.undo_staged(&staged, step, stop);
        }
        let Some((volume, below)) = self.at(&step.to) else { return crate::undo(step, stop) };
        if !fs::symlink_metadata(&step.from).is_ok_and(|meta| meta.is_file()) {
            return Ok(());
        }
        match volume.has_mark(&below, &mark_of(&step.from)?)? {
            true => volume.remove_one(&below),
            false => Ok(()),
        }
    }

    /// Removes a file, and directories that become empty up to `stop`; a missing file is fine.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_file(&self, path: &Path, stop: &Path) -> Result<()> {
        match self.at(path) {
            Some((volume, below)) => volume.remove_one(&below),
            None => crate::remove_file(path, stop),
        }
    }

    /// Removes a file, a link, or a directory with all that is in it; what is missing already is fine.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn remove_tree(&self, path: &Path) -> Result<()> {
        match self.at(path) {
            Some((volume, below)) => volume.remove_all(&below),
            None => crate::remove_tree(path),
        }
    }
}

/// What marks the object that a file has become: the file's name and what the system knows of its state.
fn mark_of(file: &Path) -> Result<String> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = fs::symlink_metadata(file).map_err(Error::io(file))?;
    if !meta.is_file() {
        return Err(Error::NotAFile(file.display().to_string()));
    }
    let state = (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec());
    Ok(hex::encode(Sha256::digest(format!("{} {state:?}", file.display()))))
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}
