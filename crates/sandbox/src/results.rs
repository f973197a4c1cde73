//! Reading what a build left, without trusting it.

use std::{
    fs::{self, File},
    io,
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
};

use rustix::fs::{Mode, OFlags, ResolveFlags};

/// Files and directories of a build that are listed; the largest builds have a tenth of it.
pub const MOST: usize = 100_000;

/// Opens a regular file below a directory that a build could write to.
///
/// A build can put links there that lead to the host's secrets, so no link is followed, on no step of the way.
///
/// # Errors
/// Whatever the system says; `ELOOP` for links, `EXDEV` for paths that leave the directory.
pub fn open(dir: &Path, relative: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat2(top(dir)?, relative, flags, Mode::empty(), PLAINLY)?;
    let file = File::from(file);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// A directory below one that a build could write to, where no link is on the way to it.
///
/// A build can put a link in the place of any directory that it can write beside, and have others listed as its own.
///
/// # Errors
/// Whatever the system says; `ELOOP` or `ENOTDIR` for links, `EXDEV` for paths that leave the directory.
pub fn directory(dir: &Path, relative: &Path) -> io::Result<PathBuf> {
    rustix::fs::openat2(top(dir)?, relative, DIRECTORY, Mode::empty(), PLAINLY)?;
    Ok(dir.join(relative))
}

/// Makes a directory below one in which a build, as root of its own tree, may have put anything; it must be new.
///
/// # Errors
/// Whatever the system says: `EEXIST` for what is there, `ELOOP` or `ENOTDIR` for links on the way.
pub fn make(dir: &Path, relative: &Path) -> io::Result<PathBuf> {
    let mut at = top(dir)?;
    let mut parts = relative.components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain relative path"));
        };
        match rustix::fs::mkdirat(&at, name, Mode::from_raw_mode(0o755)) {
            Err(rustix::io::Errno::EXIST) if parts.peek().is_some() => {}
            made => made?,
        }
        at = rustix::fs::openat2(&at, name, DIRECTORY, Mode::empty(), PLAINLY)?;
    }
    Ok(dir.join(relative))
}

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const PLAINLY: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// The directory itself may have been replaced by a link, too.
fn top(dir: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(dir, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?)
}

/// Lists the regular files below a directory, relative to it and sorted; links are left out.
///
/// # Errors
/// Whatever the system says, and when there are more files and directories than [`MOST`].
pub fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    top(dir)?;
    let (mut found, mut seen) = (Vec::new(), 0);
    let mut open = vec![PathBuf::new()];
    while let Some(relative) = open.pop() {
        for entry in fs::read_dir(dir.join(&relative))? {
            let entry = entry?;
            seen += 1;
            if seen > MOST {
                let text = format!("there are more than {MOST} files");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            let path = relative.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Copies a file out of a build's directory into a new file; returns the number of bytes.
pub fn copy(dir: &Path, relative: &Path, to: &Path) -> io::Result<u64> {
    if relative.components().any(|part| !matches!(part, Component::Normal(_))) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain relative path"));
    }
    let mut source = open(dir, relative)?;
    io::copy(&mut source, &mut File::create_new(to)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_and_pipes_do_not_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let (secret, build) = (dir.path().join("secret"), dir.path().join("build"));
        fs::create_dir_all(build.join("sub")).unwrap();
        fs::write(&secret, "key").unwrap();
        fs::write(build.join("sub/good"), "fine").unwrap();
        symlink(&secret, build.join("link")).unwrap();
        symlink(dir.path(), build.join("up")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, build.join("pipe"), Mode::RUSR).unwrap();

        assert_eq!(list(&build).unwrap(), [PathBuf::from("sub/good")]);
        assert_eq!(directory(&build, Path::new("sub")).unwrap(), build.join("sub"));
        for bad in ["up", "up/build", "sub/../up", "..", "/etc", "sub/good", "none"] {
            assert!(directory(&build, Path::new(bad)).is_err(), "{bad}");
        }
        assert_eq!(
            io::read_to_string(open(&build, Path::new("sub/good")).unwrap()).unwrap(),
            "fine"
        );
        for bad in ["link", "up/secret", "../secret", "/etc/passwd", "pipe", "sub"] {
            assert!(open(&build, Path::new(bad)).is_err(), "{bad}");
        }
        for bad in ["link", "up", "none"] {
            let bad = build.join(bad);
            assert!(list(&bad).is_err() && directory(&bad, Path::new("build")).is_err());
            assert!(open(&bad, Path::new("secret")).is_err(), "{}", bad.display());
        }
        assert_eq!(make(&build, Path::new("sub/a/b")).unwrap(), build.join("sub/a/b"));
        make(&build, Path::new("sub/a/c")).unwrap();
        for bad in ["sub/a/b", "up/x", "link/x", "../x", "/x", "up"] {
            assert!(make(&build, Path::new(bad)).is_err(), "{bad}");
        }
        assert!(!dir.path().join("x").exists());
        let to = dir.path().join("copy");
        assert_eq!(copy(&build, Path::new("sub/good"), &to).unwrap(), 4);
        assert!(copy(&build, Path::new("link"), &dir.path().join("other")).is_err());
    }
}
