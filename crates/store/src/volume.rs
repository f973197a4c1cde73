//! Where files lie: what checks need to know of a place, whether it is a directory or an object store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::{Error, Local, Result};

/// What a path leads to; links are not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A link with its text.
    Link(PathBuf),
    /// Anything else: a socket, a device.
    Other,
}

/// Something in a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its path, relative to the volume's root.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// The length of its content in bytes; of a packed log that of what was packed.
    pub size: u64,
    /// When it was last changed, if that is known.
    pub modified: Option<SystemTime>,
}

impl Item {
    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// The directory that a file was opened in last, so that the next one of it is found by its name alone.
///
/// It is for files that are read one after another: what is kept here stays the directory that it was, wherever that goes.
#[derive(Debug, Default)]
pub struct Near(pub(crate) Option<Dir>);

/// A directory that is kept open.
#[derive(Debug)]
pub(crate) struct Dir {
    /// Its path, with the volume's number: what two volumes call the same is not the same.
    pub(crate) path: (i32, String),
    pub(crate) handle: OwnedFd,
}

/// A file that was opened to be read from its first byte on.
pub enum Opened {
    /// A file of this machine, and its length.
    File(File, u64),
    /// Anything else, whose length its end tells.
    Stream(Box<dyn Read + Send>),
}

impl Read for Opened {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Opened::File(file, _) => file.read(buffer),
            Opened::Stream(stream) => stream.read(buffer),
        }
    }
}

/// A place with files in it. Paths are relative and never leave it.
pub trait Volume: Send + Sync {
    /// What is at a path, or nothing.
    ///
    /// # Errors
    /// When the place cannot tell.
    fn item(&self, path: &str) -> Result<Option<Item>>;
    /// What lies in a directory, by name; nothing if there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    fn list(&self, path: &str) -> Result<Vec<Item>>;
    /// The content of a file from its first byte on; of a packed log what was packed.
    ///
    /// # Errors
    /// When it is no regular file, or cannot be opened.
    fn open(&self, path: &str) -> Result<Box<dyn Read + Send>>;
    /// The same, for one of many files of which most lie beside each other.
    ///
    /// # Errors
    /// When it is no regular file, or cannot be opened.
    fn open_near(&self, path: &str, _near: &mut Near) -> Result<Opened> {
        self.open(path).map(Opened::Stream)
    }

    /// Writes a file so that it is whole or not there; one that is there is replaced.
    ///
    /// # Errors
    /// When it cannot be written.
    fn put(&self, path: &str, content: &[u8]) -> Result<()>;
    /// Makes a link with a text, in place of an older link.
    ///
    /// # Errors
    /// When something else is there, or the place has no links.
    fn link(&self, path: &str, target: &Path) -> Result<()>;
    /// Removes a file or link, or a directory with all that is in it; what is missing already is fine.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn remove(&self, path: &str) -> Result<()>;

    /// Everything below a directory but directories, in the order of the paths.
    ///
    /// # Errors
    /// When a directory cannot be read.
    fn walk(&self, path: &str) -> Result<Vec<Item>> {
        let mut found = Vec::new();
        let mut waiting = vec![path.to_owned()];
        while let Some(dir) = waiting.pop() {
            for item in self.list(&dir)? {
                match item.kind {
                    Kind::Dir => waiting.push(item.path),
                    _ => found.push(item),
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }
}

/// All volumes of a store under one top: `vol/NAME/…` lies on the volume of that name, the rest on the default one.
pub struct Volumes {
    default: Box<dyn Volume>,
    named: BTreeMap<String, Box<dyn Volume>>,
    /// Names of those that have no directory: their roots are asked for what they are.
    remote: BTreeSet<String>,
    /// Those of them that have not answered, and what was said instead: they are not waited for again.
    silent: Mutex<BTreeMap<String, String>>,
}

impl Volumes {
    /// Volumes as a Koji hub has them: directories, or links to directories, below `top/vol`.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub fn local<'n>(top: &Path, names: impl IntoIterator<Item = &'n str>) -> Result<Self> {
        let default = Box::new(Local::new(top)?);
        let mut named: BTreeMap<String, Box<dyn Volume>> = BTreeMap::new();
        for name in names {
            named.insert(name.to_owned(), Box::new(Local::new(top.join("vol").join(name))?));
        }
        Ok(Volumes { default, named, remote: BTreeSet::new(), silent: Mutex::default() })
    }

    /// Adds a volume.
    pub(crate) fn add(&mut self, name: &str, volume: Local) {
        self.named.insert(name.to_owned(), Box::new(volume));
    }

    /// Adds a volume without a directory.
    pub(crate) fn add_remote(&mut self, name: &str, volume: impl Volume + 'static) {
        self.named.insert(name.to_owned(), Box::new(volume));
        self.remote.insert(name.to_owned());
    }

    /// Whether a volume of this name is no directory.
    pub fn is_remote(&self, name: &str) -> bool {
        self.remote.contains(name)
    }

    /// The volume without a directory that a path lies on.
    fn remote_of<'p>(&self, path: &'p str) -> Option<&'p str> {
        let name = path.strip_prefix("vol/")?.split('/').next()?;
        self.is_remote(name).then_some(name)
    }

    /// Why the volume of a path has not answered; nothing if it does, or is a directory.
    pub fn silence(&self, path: &str) -> Option<String> {
        let name = self.remote_of(path)?;
        self.silent.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Asks the volume of a path. One that has no directory and fails is not asked again: each answer would be waited for in vain.
    fn ask<T>(&self, path: &str, ask: impl FnOnce() -> Result<T>) -> Result<T> {
        let Some(name) = self.remote_of(path) else { return ask() };
        if let Some(why) = self.silence(path) {
            return Err(Error::io(path)(std::io::Error::other(why)));
        }
        let answer = ask();
        if let Err(error @ Error::Io { .. }) = &answer
            && !error.is_missing()
        {
            let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
            silent.insert(name.to_owned(), error.to_string());
        }
        answer
    }

    /// The volume that a path lies on, the path there, and what to put before the paths of its answers.
    fn at<'p>(&self, path: &'p str) -> (&dyn Volume, &'p str, &'p str) {
        let inside = path.strip_prefix("vol/").and_then(|rest| {
            let root = || self.remote.contains(rest).then_some((rest, &path[path.len()..]));
            let (name, below) = rest.split_once('/').or_else(root)?;
            Some((self.named.get(name)?, below, &path[..path.len() - below.len()]))
        });
        match inside {
            Some((volume, below, before)) => (&**volume, below, before),
            None => (&*self.default, path, ""),
        }
    }
}

fn under(before: &str, mut item: Item) -> Item {
    if !before.is_empty() {
        let slash = if before.ends_with('/') || item.path.is_empty() { "" } else { "/" };
        item.path.insert_str(0, slash);
        item.path.insert_str(0, before);
    }
    item
}

impl Volume for Volumes {
    fn item(&self, path: &str) -> Result<Option<Item>> {
        let (volume, below, before) = self.at(path);
        Ok(self.ask(path, || volume.item(below))?.map(|item| under(before, item)))
    }

    fn list(&self, path: &str) -> Result<Vec<Item>> {
        let (volume, below, before) = self.at(path);
        let items = self.ask(path, || volume.list(below))?;
        Ok(items.into_iter().map(|item| under(before, item)).collect())
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send>> {
        let (volume, below, _) = self.at(path);
        self.ask(path, || volume.open(below))
    }

    fn open_near(&self, path: &str, near: &mut Near) -> Result<Opened> {
        let (volume, below, _) = self.at(path);
        self.ask(path, || volume.open_near(below, near))
    }

    fn put(&self, path: &str, content: &[u8]) -> Result<()> {
        let (volume, below, _) = self.at(path);
        volume.put(below, content)
    }

    fn link(&self, path: &str, target: &Path) -> Result<()> {
        let (volume, below, _) = self.at(path);
        volume.link(below, target)
    }

    fn remove(&self, path: &str) -> Result<()> {
        let (volume, below, _) = self.at(path);
        volume.remove(below)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::packed;

    fn content(volume: &dyn Volume, path: &str) -> Result<String> {
        let mut text = String::new();
        let mut file = volume.open(path)?;
        file.read_to_string(&mut text).map_err(Error::io(path))?;
        Ok(text)
    }

    #[test]
    fn volumes_are_found_below_their_links_and_nothing_outside() {
        let (top, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(top.path().join("packages/a")).unwrap();
        fs::create_dir_all(top.path().join("vol")).unwrap();
        fs::create_dir_all(elsewhere.path().join("packages/b")).unwrap();
        fs::write(elsewhere.path().join("packages/b/file"), "there").unwrap();
        fs::write(elsewhere.path().join("secret"), "x").unwrap();
        symlink(elsewhere.path(), top.path().join("vol/one")).unwrap();
        symlink(elsewhere.path().join("secret"), top.path().join("packages/a/out")).unwrap();
        let volumes = Volumes::local(top.path(), ["one", "gone"]).unwrap();
        let found = volumes.walk("vol/one/packages").unwrap();
        let paths: Vec<&str> = found.iter().map(|item| item.path.as_str()).collect();
        assert_eq!(paths, ["vol/one/packages/b/file"]);
        assert_eq!(content(&volumes, "vol/one/packages/b/file").unwrap(), "there");
        assert!(volumes.list("vol/gone/packages").unwrap().is_empty());
        assert_eq!(volumes.item("vol/gone/packages").unwrap(), None);
        assert!(volumes.open("packages/a/out").is_err(), "a link that leads out");
        assert!(volumes.open("../x").is_err());
        let link = volumes.item("packages/a/out").unwrap().unwrap();
        assert!(matches!(link.kind, Kind::Link(_)));
    }

    #[test]
    fn a_packed_log_shows_what_was_packed() {
        let top = tempfile::tempdir().unwrap();
        let text = "a line of a log\n".repeat(10_000);
        fs::write(top.path().join("build.log"), &text).unwrap();
        packed::pack(&top.path().join("build.log")).unwrap().unwrap();
        let local = Local::new(top.path()).unwrap();
        assert_eq!(local.item("build.log").unwrap().unwrap().size, text.len() as u64);
        assert_eq!(content(&local, "build.log").unwrap(), text);
    }
}
