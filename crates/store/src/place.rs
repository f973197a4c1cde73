//! Placement of files at their final paths, in steps that can be finished or undone.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use crate::fence::{pass, stands};
use crate::{Error, Result};

/// One file that goes from one path to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it is.
    pub from: PathBuf,
    /// Where it shall be.
    pub to: PathBuf,
}

/// Places a file: the new path appears at once and whole, the old one stays until
/// [`link_back`].
///
/// A file on the same file system is linked, others are copied.
///
/// # Errors
/// [`Error::NotAFile`] for a source that is no regular file.
pub fn place(step: &Step) -> Result<()> {
    let meta = fs::symlink_metadata(&step.from).map_err(Error::io(&step.from))?;
    if !meta.is_file() {
        return Err(Error::NotAFile(step.from.display().to_string()));
    }
    let dir = step.to.parent().unwrap_or(Path::new("/"));
    pass()?;
    fs::create_dir_all(dir).map_err(Error::io(dir))?;
    if let Ok(there) = fs::symlink_metadata(&step.to)
        && (there.dev(), there.ino()) == (meta.dev(), meta.ino())
    {
        return Ok(());
    }
    let fresh = crate::passing(&step.to, "new");
    let _ = fs::remove_file(&fresh);
    if fs::hard_link(&step.from, &fresh).is_err()
        && let Err(error) = copy(&step.from, &fresh)
    {
        let _ = fs::remove_file(&fresh);
        return Err(error);
    }
    // A copy takes its time.
    pass()?;
    fs::rename(&fresh, &step.to).map_err(Error::io(&step.to))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map_err(Error::io(to))?;
    fs::File::open(to).and_then(|copy| copy.sync_all()).map_err(Error::io(to))
}

/// Replaces the old path by a relative link to the new one; does nothing when that was done.
///
/// # Errors
/// When the old path cannot be replaced.
pub fn link_back(step: &Step) -> Result<()> {
    match fs::symlink_metadata(&step.from) {
        Ok(meta) if meta.is_file() => {}
        _ => return Ok(()),
    }
    let dir = step.from.parent().unwrap_or(Path::new("/"));
    pass()?;
    let fresh = crate::passing(&step.from, "link");
    let _ = fs::remove_file(&fresh);
    let target = relative_link(dir, &step.to);
    std::os::unix::fs::symlink(target, &fresh).map_err(Error::io(&fresh))?;
    fs::rename(&fresh, &step.from).map_err(Error::io(&step.from))
}

/// Takes a placed file away again, as long as its source is there, and directories that become
/// empty up to `stop`; a file that somebody else has placed stays.
///
/// # Errors
/// When the file cannot be removed.
pub fn undo(step: &Step, stop: &Path) -> Result<()> {
    let Ok(from) = fs::symlink_metadata(&step.from) else { return Ok(()) };
    let foreign = |to: fs::Metadata| to.dev() == from.dev() && to.ino() != from.ino();
    if !from.is_file() || fs::symlink_metadata(&step.to).is_ok_and(foreign) {
        return Ok(());
    }
    remove_file(&step.to, stop)
}

/// Removes a file and the directories that become empty, up to `stop`; a missing file is fine.
///
/// # Errors
/// When the file cannot be removed.
pub fn remove_file(path: &Path, stop: &Path) -> Result<()> {
    pass()?;
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(path)(e)),
        _ => {}
    }
    remove_empty(path, stop);
    Ok(())
}

/// Removes the directories above a path that are empty, up to `stop`.
pub(crate) fn remove_empty(path: &Path, stop: &Path) {
    if pass().is_err() {
        return;
    }
    let mut dir = path.parent();
    while let Some(path) = dir.filter(|p| p.starts_with(stop) && *p != stop) {
        // The first directory that is not empty ends it; one that was never made does not.
        match fs::remove_dir(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => break,
            _ => dir = path.parent(),
        }
    }
}

/// The way from a directory to a path, for a link that survives a move of the whole tree.
pub fn relative_link(from_dir: &Path, to: &Path) -> PathBuf {
    let from: Vec<Component<'_>> = from_dir.components().collect();
    let to: Vec<Component<'_>> = to.components().collect();
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(Component::ParentDir, from.len() - common);
    up.chain(to[common..].iter().copied()).collect()
}

/// How often a directory is removed anew that somebody writes into meanwhile.
const TRIES: u32 = 100;

fn remove_dir_all(path: &Path) -> std::io::Result<()> {
    for _ in 1..TRIES {
        match fs::remove_dir_all(path) {
            // Whoever wrote will see that the place is gone, and takes back what comes too late.
            Err(e) if e.kind() == std::io::ErrorKind::DirectoryNotEmpty => {}
            done => return done,
        }
    }
    fs::remove_dir_all(path)
}

/// Removes what is in a directory one by one, as each step must be asked for; links are not followed.
fn clear(dir: &Path) -> Result<()> {
    let absent = |e: &std::io::Error| e.kind() == std::io::ErrorKind::NotFound;
    let entries = match fs::read_dir(dir) {
        Err(e) if absent(&e) => return Ok(()),
        entries => entries.map_err(Error::io(dir))?,
    };
    for entry in entries {
        let entry = entry.map_err(Error::io(dir))?;
        let path = entry.path();
        let removed = match entry.file_type().map_err(Error::io(&path))?.is_dir() {
            true => {
                clear(&path)?;
                pass()?;
                fs::remove_dir(&path)
            }
            false => {
                pass()?;
                fs::remove_file(&path)
            }
        };
        match removed {
            // Somebody writes there meanwhile: what is left goes with the directory.
            Err(e) if absent(&e) || e.kind() == std::io::ErrorKind::DirectoryNotEmpty => {}
            removed => removed.map_err(Error::io(&path))?,
        }
    }
    pass()
}

/// Removes a directory with all that is in it, or a link; what is missing already is fine.
///
/// # Errors
/// When something cannot be removed.
pub fn remove_tree(path: &Path) -> Result<()> {
    pass()?;
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => {
            if stands() {
                clear(path)?;
            }
            remove_dir_all(path)
        }
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path)(e)),
        _ => Ok(()),
    }
}
