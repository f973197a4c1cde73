//! A directory below which untrusted relative paths are resolved.

use std::fs::{DirEntry, File, ReadDir};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirEntryExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, mkdirat, statat};

use crate::inside::open_inside;
use crate::path::normalize;
use crate::{Error, Result};

/// A root directory; nothing that is reached through it lies outside, whatever links are there.
#[derive(Clone, Debug)]
pub struct Area {
    root: PathBuf,
}

/// A file found in an [`Area`].
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its path relative to the listed directory.
    pub path: String,
    /// What the system knows of it; of a link's target for a link.
    pub meta: std::fs::Metadata,
    /// Whether it is a link.
    pub link: bool,
}

impl Area {
    /// The area below `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Area { root: root.into() }
    }

    /// The root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn open_root(&self) -> Result<OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::PATH;
        let opened = rustix::fs::open(&self.root, flags, Mode::empty());
        opened.map_err(|e| Error::io(&self.root)(e.into()))
    }

    fn shown(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Opens a file for reading; links are followed as long as they stay below the root.
    ///
    /// # Errors
    /// [`Error::NotAFile`] for anything but a regular file.
    pub fn open(&self, path: &str) -> Result<File> {
        let path = normalize(path)?;
        let file =
            self.open_with(&path, OFlags::RDONLY | OFlags::NONBLOCK, ResolveFlags::BENEATH)?;
        let meta = file.metadata().map_err(Error::io(self.shown(&path)))?;
        if !meta.is_file() {
            return Err(Error::NotAFile(self.shown(&path).display().to_string()));
        }
        Ok(file)
    }

    /// Opens a file for reading and writing, making it and its directories if they are missing; no
    /// part of the path may be a link.
    ///
    /// # Errors
    /// [`Error::NotAFile`] for anything but a regular file.
    pub fn open_for_write(&self, path: &str) -> Result<File> {
        let path = normalize(path)?;
        if let Some((dir, _)) = path.rsplit_once('/') {
            self.make_dirs(dir)?;
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK;
        let file = self.open_with(&path, flags, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS);
        let file = file.map_err(|e| match e {
            Error::Io { source, path } if source.raw_os_error() == Some(libc_eloop()) => {
                Error::NotAFile(path.display().to_string())
            }
            other => other,
        })?;
        let meta = file.metadata().map_err(Error::io(self.shown(&path)))?;
        if !meta.is_file() {
            return Err(Error::NotAFile(self.shown(&path).display().to_string()));
        }
        Ok(file)
    }

    fn open_with(&self, path: &str, flags: OFlags, resolve: ResolveFlags) -> Result<File> {
        let root = self.open_root()?;
        let mode =
            if flags.contains(OFlags::CREATE) { Mode::from_raw_mode(0o644) } else { Mode::empty() };
        let resolve = resolve | ResolveFlags::NO_MAGICLINKS;
        let name = if path.is_empty() { "." } else { path };
        let opened = open_inside(&root, name, flags | OFlags::CLOEXEC, mode, resolve);
        Ok(opened.map_err(|e| Error::io(self.shown(path))(e.into()))?.into())
    }

    /// Makes a directory with its parents.
    ///
    /// # Errors
    /// When a part is a link or a file.
    pub fn make_dirs(&self, path: &str) -> Result<()> {
        std::fs::create_dir_all(&self.root).map_err(Error::io(&self.root))?;
        let path = normalize(path)?;
        let mut dir = self.open_root()?;
        for part in path.split('/').filter(|p| !p.is_empty()) {
            match mkdirat(&dir, part, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(e) => return Err(Error::io(self.shown(&path))(e.into())),
            }
            let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::PATH;
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            dir = open_inside(&dir, part, flags, Mode::empty(), resolve)
                .map_err(|e| Error::io(self.shown(&path))(e.into()))?;
        }
        Ok(())
    }

    /// Gives a file another name, replacing what is there; no part of either directory may be a link.
    ///
    /// # Errors
    /// When the file or the directory is missing.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (normalize(from)?, normalize(to)?);
        let split = |path: &str| match path.rsplit_once('/') {
            Some((dir, name)) => (dir.to_owned(), name.to_owned()),
            None => (".".to_owned(), path.to_owned()),
        };
        let ((old_dir, old), (new_dir, new)) = (split(&from), split(&to));
        let flags = OFlags::DIRECTORY | OFlags::PATH;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let old_dir = self.open_with(&old_dir, flags, resolve)?;
        let new_dir = self.open_with(&new_dir, flags, resolve)?;
        let renamed = rustix::fs::renameat(&old_dir, &old, &new_dir, &new);
        renamed.map_err(|e| Error::io(self.shown(&to))(e.into()))
    }

    /// Makes a link with this text; only with `replace` in place of what is there, which must be a file or a link. No part of the
    /// directory may be a link.
    ///
    /// # Errors
    /// [`Error::Exists`] when something is there that stays.
    pub(crate) fn symlink(&self, dir: &str, name: &str, text: &Path, replace: bool) -> Result<()> {
        let dir = normalize(dir)?;
        self.make_dirs(&dir)?;
        let flags = OFlags::DIRECTORY | OFlags::PATH;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let at = self.open_with(&dir, flags, resolve)?;
        let shown = self.shown(&dir).join(name);
        let wrong = |e: rustix::io::Errno| match e {
            rustix::io::Errno::EXIST => Error::Exists(shown.display().to_string()),
            e => Error::io(&shown)(e.into()),
        };
        if !replace {
            return rustix::fs::symlinkat(text, &at, name).map_err(wrong);
        }
        let fresh = crate::passing(Path::new(name), "link");
        let _ = rustix::fs::unlinkat(&at, &fresh, AtFlags::empty());
        rustix::fs::symlinkat(text, &at, &fresh).map_err(wrong)?;
        rustix::fs::renameat(&at, &fresh, &at, name).map_err(wrong)
    }

    /// Removes a file or a link; one that is missing is fine. No part of the directory may be a link.
    pub(crate) fn unlink(&self, path: &str) -> Result<()> {
        let (dir, name) = path.rsplit_once('/').unwrap_or((".", path));
        let flags = OFlags::DIRECTORY | OFlags::PATH;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let at = self.open_with(dir, flags, resolve)?;
        match rustix::fs::unlinkat(&at, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(e) => Err(Error::io(self.shown(path))(e.into())),
        }
    }

    /// Whether there is something at the path, links themselves included.
    ///
    /// # Errors
    /// [`Error::Path`] for a path that leaves the root.
    pub fn exists(&self, path: &str) -> Result<bool> {
        let path = normalize(path)?;
        let Ok(root) = self.open_root() else { return Ok(false) };
        Ok(statat(&root, &path, AtFlags::SYMLINK_NOFOLLOW).is_ok())
    }

    /// All files below a directory, links to files included; nothing if it does not exist. Those of a
    /// directory come in the order in which they were made, before those of its subdirectories.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn walk(&self, path: &str) -> Result<Vec<Entry>> {
        let path = normalize(path)?;
        let top = self.shown(&path);
        let mut found = Vec::new();
        let mut waiting = vec![String::new()];
        while let Some(dir) = waiting.pop() {
            let entries = match std::fs::read_dir(top.join(&dir)) {
                Ok(entries) => entries,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => continue,
                Err(e) => return Err(Error::io(top.join(&dir))(e)),
            };
            let mut dirs = Vec::new();
            for entry in by_age(entries).map_err(Error::io(top.join(&dir)))? {
                let name = entry.file_name().to_string_lossy().into_owned();
                let rel = if dir.is_empty() { name } else { format!("{dir}/{name}") };
                let kind = entry.file_type().map_err(Error::io(&top))?;
                if kind.is_dir() {
                    dirs.push(rel);
                } else if let Ok(meta) = std::fs::metadata(top.join(&rel))
                    && meta.is_file()
                {
                    found.push(Entry { path: rel, meta, link: kind.is_symlink() });
                }
            }
            waiting.extend(dirs.into_iter().rev());
        }
        Ok(found)
    }
}

/// The entries of a directory, oldest first; numbers of inodes decide where the file system keeps no
/// moment of birth, or the same one.
fn by_age(entries: ReadDir) -> std::io::Result<Vec<DirEntry>> {
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let born = entry.metadata().ok().and_then(|meta| meta.created().ok());
        found.push((born, entry.ino(), entry));
    }
    found.sort_by_key(|(born, number, _)| (*born, *number));
    Ok(found.into_iter().map(|(_, _, entry)| entry).collect())
}

/// The error of a link where none may be.
fn libc_eloop() -> i32 {
    rustix::io::Errno::LOOP.raw_os_error()
}
