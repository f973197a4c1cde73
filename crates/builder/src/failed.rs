//! Buildroots of failed tasks, which are kept for a while so that they can be looked at.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::FlockOperation;

/// The file in a task's directory that names its buildroot.
const MARK: &str = "buildroot";
/// Where the buildroot of a task is, in its directory.
const ROOT: &str = "root";

/// Where kept buildroots are.
pub(crate) fn dir(workdir: &Path) -> PathBuf {
    workdir.join("failed")
}

/// Notes in a task's directory which buildroot it has.
pub(crate) fn mark(work: &Path, id: i64) -> io::Result<()> {
    std::fs::write(work.join(MARK), id.to_string())
}

/// Takes the buildroot of a failed task out of the task's directory; tells whether there was one.
pub(crate) fn keep(workdir: &Path, work: &Path) -> io::Result<bool> {
    let Ok(id) = std::fs::read_to_string(work.join(MARK)) else { return Ok(false) };
    let root = work.join(ROOT);
    if !root.is_dir() {
        return Ok(false);
    }
    let kept = dir(workdir);
    std::fs::create_dir_all(&kept)?;
    let to = kept.join(id);
    toji_sandbox::remove_tree(&to)?;
    std::fs::rename(root, &to)?;
    // Its age counts from now.
    let touched = std::fs::File::open(&to)?;
    touched.set_modified(now())?;
    Ok(true)
}

/// Takes a kept buildroot for oneself, as long as the answer lives; its age counts from now. Nothing if it is not there.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] when somebody else has it.
pub(crate) fn hold(workdir: &Path, id: i64) -> io::Result<Option<(PathBuf, File)>> {
    let path = dir(workdir).join(id.to_string());
    let held = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive)?;
    held.set_modified(now())?;
    Ok(Some((path, held)))
}

/// Removes what was kept longer than `lifetime`, and of the rest the oldest ones until it has at most so many bytes;
/// what somebody holds stays.
pub(crate) fn trim(workdir: &Path, lifetime: Duration, most: u64) -> io::Result<()> {
    let entries = match std::fs::read_dir(dir(workdir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let mut kept = Vec::new();
    for entry in entries {
        let entry = entry?;
        kept.push((entry.metadata()?.modified()?, entry.path()));
    }
    // The newest first.
    kept.sort_by(|one, other| other.cmp(one));
    let mut total = 0u64;
    for (time, path) in kept {
        let age = now().duration_since(time).unwrap_or_default();
        total = total.saturating_add(bytes(&path));
        let held = File::open(&path)?;
        let free = rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive).is_ok();
        if free && (age >= lifetime || total > most) {
            toji_sandbox::remove_tree(&path)?;
        }
    }
    Ok(())
}

/// What a tree takes of the disk.
///
/// A part that its build has closed to us, or put deeper than a path may say, counts for nothing: no build keeps the
/// others from being removed.
fn bytes(path: &Path) -> u64 {
    let Ok(data) = std::fs::symlink_metadata(path) else { return 0 };
    let entries = data.is_dir().then(|| std::fs::read_dir(path).ok()).flatten();
    let inside = entries.into_iter().flatten().flatten().map(|entry| bytes(&entry.path()));
    data.blocks() * 512 + inside.sum::<u64>()
}

#[expect(clippy::disallowed_methods, reason = "the age of a directory is the machine's own")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_buildroot_is_kept_for_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let work = dir.path().join("tasks/1");
        std::fs::create_dir_all(work.join("root/home")).unwrap();
        assert!(!keep(dir.path(), &work).unwrap(), "no buildroot of the hub");
        mark(&work, 7).unwrap();
        assert!(keep(dir.path(), &work).unwrap());
        let kept = dir.path().join("failed/7/home");
        assert!(kept.is_dir() && !work.join("root").exists());
        let hour = Duration::from_secs(3600);
        trim(dir.path(), hour, u64::MAX).unwrap();
        assert!(kept.is_dir());
        let (path, held) = hold(dir.path(), 7).unwrap().expect("the buildroot");
        assert_eq!(path, dir.path().join("failed/7"));
        assert_eq!(hold(dir.path(), 7).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        trim(dir.path(), Duration::ZERO, 0).unwrap();
        assert!(kept.is_dir(), "somebody is in it");
        drop(held);
        trim(dir.path(), Duration::ZERO, u64::MAX).unwrap();
        assert!(!kept.exists());
        assert!(hold(dir.path(), 7).unwrap().is_none());
    }

    /// Puts a directory deeper than a path may say.
    fn deepen(root: &Path) {
        let name = "d".repeat(200);
        let flags = rustix::fs::OFlags::DIRECTORY;
        let mut at = rustix::fs::open(root, flags, rustix::fs::Mode::empty()).unwrap();
        for _ in 0..30 {
            rustix::fs::mkdirat(&at, &name, rustix::fs::Mode::RWXU).unwrap();
            at = rustix::fs::openat(&at, &name, flags, rustix::fs::Mode::empty()).unwrap();
        }
    }

    #[test]
    fn the_oldest_go_when_they_are_too_large() {
        let dir = tempfile::tempdir().unwrap();
        for (id, age) in [(1, 30), (2, 20), (3, 10)] {
            let root = super::dir(dir.path()).join(id.to_string());
            std::fs::create_dir_all(&root).unwrap();
            std::fs::write(root.join("file"), [1; 100_000]).unwrap();
            deepen(&root);
            File::open(&root).unwrap().set_modified(now() - Duration::from_secs(age)).unwrap();
        }
        trim(dir.path(), Duration::from_secs(3600), 450_000).unwrap();
        let left = [1, 2, 3].map(|id| super::dir(dir.path()).join(id.to_string()).exists());
        assert_eq!(left, [false, true, true]);
    }
}
