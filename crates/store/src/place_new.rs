//! Placement of files that must not be there yet: of two that want one path, the first keeps it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::fence::pass;
use crate::passing::own_file;
use crate::place::remove_empty;
use crate::{Error, Result, Step, remove_file, undo};

/// What is written beside the placed files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file with these bytes.
    Bytes(Vec<u8>),
    /// A link with this target.
    Link(PathBuf),
}

/// Files to be placed, and others to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What is placed.
    pub steps: Vec<Step>,
    /// What is written.
    pub written: Vec<(PathBuf, Content)>,
}

impl Plan {
    /// Whether something goes to this path.
    pub fn has(&self, path: &Path) -> bool {
        self.steps.iter().any(|step| step.to == path)
            || self.written.iter().any(|(to, _)| to == path)
    }
}

/// Places everything of a plan, or nothing; `stop` is the directory above everything placed.
///
/// # Errors
/// [`Error::Exists`] when a path is taken, and whatever the operating system refuses.
pub fn place_new(plan: &Plan, stop: &Path) -> Result<()> {
    for (done, step) in plan.steps.iter().enumerate() {
        if let Err(error) = place(step) {
            remove_empty(&step.to, stop);
            take_back(&plan.steps[..done], &[], stop);
            return Err(error);
        }
    }
    for (done, (path, content)) in plan.written.iter().enumerate() {
        if let Err(error) = write(path, content) {
            remove_empty(path, stop);
            take_back(&plan.steps, &plan.written[..done], stop);
            return Err(error);
        }
    }
    Ok(())
}

/// The error that led here is the one to report, and what stays is known to the journal.
fn take_back(steps: &[Step], written: &[(PathBuf, Content)], stop: &Path) {
    for (path, _) in written.iter().rev() {
        let _ = remove_file(path, stop);
    }
    for step in steps.iter().rev() {
        let _ = undo(step, stop);
    }
}

fn place(step: &Step) -> Result<()> {
    let meta = fs::symlink_metadata(&step.from).map_err(Error::io(&step.from))?;
    if !meta.is_file() {
        return Err(Error::NotAFile(step.from.display().to_string()));
    }
    parent(&step.to)?;
    pass()?;
    match fs::hard_link(&step.from, &step.to) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            let there = fs::symlink_metadata(&step.to).map_err(Error::io(&step.to))?;
            let same = (there.dev(), there.ino()) == (meta.dev(), meta.ino());
            return if same { Ok(()) } else { Err(exists(&step.to)) };
        }
        // Another file system, or one without links: a copy.
        Err(_) => {}
    }
    let mut fresh = own_file(&step.to)?;
    let mut from = fs::File::open(&step.from).map_err(Error::io(&step.from))?;
    std::io::copy(&mut from, &mut fresh).map_err(Error::io(&step.to))?;
    let mode = meta.permissions();
    fs::set_permissions(fresh.path(), mode).map_err(Error::io(&step.to))?;
    persist(fresh, &step.to)
}

fn write(path: &Path, content: &Content) -> Result<()> {
    parent(path)?;
    let data = match content {
        Content::Link(target) => {
            pass()?;
            return std::os::unix::fs::symlink(target, path).map_err(|e| match e.kind() {
                std::io::ErrorKind::AlreadyExists => exists(path),
                _ => Error::io(path)(e),
            });
        }
        Content::Bytes(data) => data,
    };
    let mut fresh = own_file(path)?;
    fresh.write_all(data).map_err(Error::io(path))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(fresh.path(), mode).map_err(Error::io(path))?;
    persist(fresh, path)
}

fn persist(fresh: tempfile::NamedTempFile, to: &Path) -> Result<()> {
    fresh.as_file().sync_all().map_err(Error::io(to))?;
    pass()?;
    match fresh.persist_noclobber(to) {
        Ok(_) => Ok(()),
        Err(e) if e.error.kind() == std::io::ErrorKind::AlreadyExists => Err(exists(to)),
        Err(e) => Err(Error::io(to)(e.error)),
    }
}

fn parent(path: &Path) -> Result<()> {
    pass()?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir).map_err(Error::io(dir))
}

fn exists(path: &Path) -> Error {
    Error::Exists(path.display().to_string())
}

/// Writes a file so that it is whole or not there, and stays even if the machine loses its power.
///
/// # Errors
/// Whatever the operating system refuses.
pub fn write_durably(path: &Path, content: &[u8]) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir).map_err(Error::io(dir))?;
    let mut fresh = own_file(path)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fresh.write_all(content).map_err(Error::io(path))?;
    fs::set_permissions(fresh.path(), mode).map_err(Error::io(path))?;
    fresh.as_file().sync_all().map_err(Error::io(path))?;
    pass()?;
    fresh.persist(path).map_err(|e| Error::io(path)(e.error))?;
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::io(dir))
}
