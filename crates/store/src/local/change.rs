//! What changes a local volume: no directory on the way to it may be a link, at no moment.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, fchmod, fsync, mkdirat, openat, renameat,
    statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::{DIRECTORY, Local, split};
use crate::inside::open_inside;
use crate::path::normalize;
use crate::{Error, Result, passing};

const CHANGE: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
/// How directories are opened whose entries are read, or that are written to the disk.
const READ: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC).union(OFlags::RDONLY);

impl Local {
    /// Writes a file under a passing name, and gives it its own when it is whole and on the disk; one that is there is
    /// replaced.
    ///
    /// # Errors
    /// The writer's own; [`Error::Path`] where a link or a file is on the way.
    pub fn write(
        &self,
        path: &str,
        write: impl FnOnce(&mut File) -> std::io::Result<()>,
    ) -> Result<()> {
        let path = normalize(path)?;
        let io = |e| Error::io(self.shown(&path))(e);
        let (dir, name) = self.parent(&path)?;
        let (fresh, file) = create(&dir, &path).map_err(|e| io(e.into()))?;
        let mut file = File::from(file);
        let mode = Mode::from_raw_mode(0o644);
        let done = fchmod(&file, mode)
            .map_err(Into::into)
            .and_then(|()| write(&mut file))
            .and_then(|()| file.sync_all())
            .and_then(|()| Ok(renameat(&dir, &fresh, &dir, name)?));
        if let Err(error) = done {
            let _ = unlinkat(&dir, &fresh, AtFlags::empty());
            return Err(io(error));
        }
        let listed = open_inside(&dir, ".", READ, Mode::empty(), CHANGE);
        listed.and_then(fsync).map_err(|e| io(e.into()))
    }

    pub(super) fn write_link(&self, path: &str, target: &Path) -> Result<()> {
        let path = normalize(path)?;
        let io = |e: Errno| Error::io(self.shown(&path))(e.into());
        let (dir, name) = self.parent(&path)?;
        match statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink => {
                return Err(Error::Exists(self.shown(&path).display().to_string()));
            }
            Ok(_) | Err(Errno::NOENT) => {}
            Err(e) => return Err(io(e)),
        }
        let fresh = passing(name.as_ref(), "link");
        loop {
            match symlinkat(target, &dir, &fresh) {
                Ok(()) => break,
                // An interrupted writing has left it.
                Err(Errno::EXIST) => remove(&dir, &fresh).map_err(io)?,
                Err(e) => return Err(io(e)),
            }
        }
        renameat(&dir, &fresh, &dir, name).map_err(io)
    }

    pub(super) fn remove_all(&self, path: &str) -> Result<()> {
        let path = normalize(path)?;
        let (above, name) = split(&path);
        if name.is_empty() {
            return Err(Error::Path(path));
        }
        let Some(root) = &self.handle else { return Ok(()) };
        let above = if above.is_empty() { "." } else { above };
        match open_inside(root, above, DIRECTORY, Mode::empty(), CHANGE) {
            Ok(dir) => {
                remove(dir, Path::new(name)).map_err(|e| Error::io(self.shown(&path))(e.into()))
            }
            Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(self.on_the_way(&path, e)),
        }
    }

    /// The directory that something is written into, made with those above it, and the name there.
    fn parent<'p>(&self, path: &'p str) -> Result<(OwnedFd, &'p str)> {
        let (above, name) = split(path);
        if name.is_empty() {
            return Err(Error::Path(path.to_owned()));
        }
        let mut dir = match &self.handle {
            Some(root) => root.try_clone().map_err(Error::io(&self.root))?,
            None => {
                // A volume that did not exist when it was opened is made by its first file.
                std::fs::create_dir_all(&self.root).map_err(Error::io(&self.root))?;
                let made = rustix::fs::open(&self.root, DIRECTORY, Mode::empty());
                made.map_err(|e| Error::io(&self.root)(e.into()))?
            }
        };
        for part in above.split('/').filter(|part| !part.is_empty()) {
            dir = loop {
                match open_inside(&dir, part, DIRECTORY, Mode::empty(), CHANGE) {
                    Ok(next) => break next,
                    Err(Errno::NOENT) => match mkdirat(&dir, part, Mode::from_raw_mode(0o755)) {
                        // Whoever was faster has made it, and may have removed it again.
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(e) => return Err(self.on_the_way(path, e)),
                    },
                    Err(e) => return Err(self.on_the_way(path, e)),
                }
            };
        }
        Ok((dir, name))
    }

    fn on_the_way(&self, path: &str, error: Errno) -> Error {
        let shown = self.shown(path);
        match error {
            Errno::LOOP | Errno::NOTDIR => Error::Path(shown.display().to_string()),
            e => Error::io(shown)(e.into()),
        }
    }
}

/// A new file under a passing name of its own.
fn create(dir: impl AsFd, path: &str) -> rustix::io::Result<(std::path::PathBuf, OwnedFd)> {
    let name = Path::new(split(path).1);
    loop {
        let mut random = [0; 6];
        getrandom::fill(&mut random).map_err(|_| Errno::IO)?;
        let fresh = passing(name, &format!("{}.new", hex::encode(random)));
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&dir, &fresh, flags, Mode::from_raw_mode(0o644)) {
            Err(Errno::EXIST) => {}
            made => return made.map(|file| (fresh, file)),
        }
    }
}

/// How often something is removed that others put back meanwhile.
const TRIES: u32 = 100;

/// Removes what is at a name, with all that is in it. Only directories that were opened as such are emptied.
fn remove(dir: impl AsFd, name: &Path) -> rustix::io::Result<()> {
    let mut last = Errno::NOTEMPTY;
    for _ in 0..TRIES {
        last = match unlinkat(&dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // Linux says EISDIR of directories, POSIX EPERM.
            Err(e @ (Errno::ISDIR | Errno::PERM)) => e,
            Err(e) => return Err(e),
        };
        match openat(&dir, name, READ | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(inner) => empty(&inner)?,
            Err(Errno::NOENT) => return Ok(()),
            // It may have been replaced by something that is no directory.
            Err(Errno::NOTDIR | Errno::LOOP) => continue,
            Err(e) => return Err(e),
        }
        last = match unlinkat(&dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // Something has come into it, or to its place.
            Err(e @ (Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR)) => e,
            Err(e) => return Err(e),
        };
    }
    Err(last)
}

fn empty(dir: &OwnedFd) -> rustix::io::Result<()> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(name);
            remove(dir, Path::new(name))?;
        }
    }
    Ok(())
}
