//! A directory of this machine as a volume: every step is taken from an open directory, so nothing that is renamed
//! between two of them leads out.

mod change;

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, openat, statat};
use rustix::io::Errno;

use crate::inside::open_inside;
use crate::path::normalize;
use crate::volume::{self, Near, Opened};
use crate::{Error, Item, Kind, Result, Volume, packed};

/// A directory of this machine.
///
/// Links inside are followed as long as they stay inside, on the way to what is looked at. What lies behind a link that leads
/// out is not there. On the way to what is changed there may be no link at all.
#[derive(Debug)]
pub struct Local {
    root: PathBuf,
    handle: Option<OwnedFd>,
}

/// How the way to something that is read is found.
const READ: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

impl Local {
    /// The volume at a directory; one that does not exist is empty.
    ///
    /// # Errors
    /// When it exists and cannot be opened.
    pub fn new(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        match rustix::fs::open(&root, DIRECTORY, Mode::empty()) {
            Ok(handle) => Ok(Local { root, handle: Some(handle) }),
            Err(Errno::NOENT) => Ok(Local { root, handle: None }),
            Err(e) => Err(Error::io(&root)(e.into())),
        }
    }

    fn shown(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn root(&self) -> Result<&OwnedFd> {
        let gone = || Error::io(&self.root)(std::io::ErrorKind::NotFound.into());
        self.handle.as_ref().ok_or_else(gone)
    }

    /// Opens below the root, following links that stay there.
    fn open_at(&self, path: &str, flags: OFlags) -> Result<File> {
        let path = normalize(path)?;
        let name = if path.is_empty() { "." } else { &path };
        let opened = open_inside(self.root()?, name, flags | OFlags::CLOEXEC, Mode::empty(), READ);
        Ok(opened.map_err(|e| Error::io(self.shown(&path))(e.into()))?.into())
    }

    /// The same of a directory; nothing if there is none, or it lies outside.
    fn dir(&self, path: &str, flags: OFlags) -> Result<Option<OwnedFd>> {
        let Some(root) = &self.handle else { return Ok(None) };
        let name = if path.is_empty() { "." } else { path };
        match open_inside(root, name, flags, Mode::empty(), READ) {
            Ok(dir) => Ok(Some(dir)),
            Err(e) if is_nowhere(e) => Ok(None),
            Err(e) => Err(Error::io(self.shown(path))(e.into())),
        }
    }

    /// What is read of a file that was opened.
    fn content(&self, path: &str, file: File) -> Result<Opened> {
        let io = |e| Error::io(self.shown(path))(e);
        let meta = file.metadata().map_err(io)?;
        if !meta.is_file() {
            return Err(Error::NotAFile(self.shown(path).display().to_string()));
        }
        if packed::is_log(path) {
            return Ok(match packed::Content::new(file).map_err(io)?.into_plain() {
                Ok(file) => Opened::File(file, meta.len()),
                Err(content) => Opened::Stream(Box::new(content)),
            });
        }
        Ok(Opened::File(file, meta.len()))
    }

    /// What an entry of an open directory is; nothing if it went meanwhile.
    fn entry(&self, dir: impl AsFd, name: &std::ffi::OsStr, path: String) -> Result<Option<Item>> {
        let io = |e: Errno| Error::io(self.shown(&path))(e.into());
        loop {
            let stat = match statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(e) if is_nowhere(e) => return Ok(None),
                Err(e) => return Err(io(e)),
            };
            let mut size = u64::try_from(stat.st_size).unwrap_or_default();
            let kind = match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => {
                    size = packed::content_length(&path, size, || {
                        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW;
                        let file =
                            open_inside(&dir, name, flags | OFlags::CLOEXEC, Mode::empty(), READ)?;
                        Ok(File::from(file))
                    });
                    Kind::File
                }
                FileType::Directory => Kind::Dir,
                FileType::Symlink => match rustix::fs::readlinkat(&dir, name, Vec::new()) {
                    Ok(target) => Kind::Link(std::ffi::OsStr::from_bytes(target.as_bytes()).into()),
                    // Something else has come to its place, or nothing.
                    Err(Errno::INVAL | Errno::NOENT) => continue,
                    Err(e) => return Err(io(e)),
                },
                _ => Kind::Other,
            };
            return Ok(Some(Item { path, kind, size, modified: modified(&stat) }));
        }
    }
}

impl Local {
    /// Opens a file by its name in the directory that is kept open; nothing if that cannot be done so simply.
    fn open_beside(&self, path: &str, near: &mut Near) -> Option<File> {
        let root = self.handle.as_ref()?.as_raw_fd();
        let (above, name) = split(path);
        if !above.starts_with(|c: char| c != '/') || matches!(name, "" | "." | "..") {
            return None;
        }
        if near.0.as_ref().is_none_or(|dir| dir.path.0 != root || dir.path.1 != above) {
            let handle = self.dir(&normalize(above).ok()?, DIRECTORY).ok()??;
            near.0 = Some(volume::Dir { path: (root, above.to_owned()), handle });
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&near.0.as_ref()?.handle, name, flags, Mode::empty()).ok().map(File::from)
    }
}

/// How directories are opened that something is looked up in.
const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC).union(OFlags::PATH);

/// Whether nothing is there: no entry, or one behind a link that leads out or nowhere.
fn is_nowhere(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::XDEV | Errno::LOOP)
}

fn modified(stat: &Stat) -> Option<SystemTime> {
    let seconds = Duration::from_secs(u64::try_from(stat.st_mtime).ok()?);
    SystemTime::UNIX_EPOCH
        .checked_add(seconds)?
        .checked_add(Duration::from_nanos(stat.st_mtime_nsec))
}

/// The directory of a path, and the name in it.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

impl Volume for Local {
    fn item(&self, path: &str) -> Result<Option<Item>> {
        let path = normalize(path)?;
        let (above, name) = split(&path);
        let Some(dir) = self.dir(above, DIRECTORY)? else { return Ok(None) };
        let name = if name.is_empty() { "." } else { name };
        self.entry(dir, name.as_ref(), path.clone())
    }

    fn list(&self, path: &str) -> Result<Vec<Item>> {
        let path = normalize(path)?;
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let Some(dir) = self.dir(&path, flags)? else { return Ok(Vec::new()) };
        let io = |e: Errno| Error::io(self.shown(&path))(e.into());
        let mut found = Vec::new();
        for entry in Dir::read_from(&dir).map_err(io)? {
            let entry = entry.map_err(io)?;
            let bytes = entry.file_name().to_bytes();
            if matches!(bytes, b"." | b"..") {
                continue;
            }
            let name = String::from_utf8_lossy(bytes);
            let full = if path.is_empty() { name.into_owned() } else { format!("{path}/{name}") };
            // What went between the listing and now is left out.
            found.extend(self.entry(&dir, std::ffi::OsStr::from_bytes(bytes), full)?);
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send>> {
        self.content(path, self.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK)?).map(|opened| {
            match opened {
                Opened::File(file, _) => Box::new(file) as Box<dyn Read + Send>,
                Opened::Stream(stream) => stream,
            }
        })
    }

    fn open_near(&self, path: &str, near: &mut Near) -> Result<Opened> {
        match self.open_beside(path, near) {
            Some(file) => self.content(path, file),
            // A link, or nothing, or no directory: the long way tells what.
            None => self.content(path, self.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK)?),
        }
    }

    fn put(&self, path: &str, content: &[u8]) -> Result<()> {
        self.write(path, |file| std::io::Write::write_all(file, content))
    }

    fn link(&self, path: &str, target: &Path) -> Result<()> {
        self.write_link(path, target)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.remove_all(path)
    }
}
