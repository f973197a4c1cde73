//! Buildroots of failed tasks, which are kept for a while so that they can be looked at.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

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

/// Removes what was kept longer than `lifetime`.
pub(crate) fn trim(workdir: &Path, lifetime: Duration) -> io::Result<()> {
    let entries = match std::fs::read_dir(dir(workdir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let age = now().duration_since(entry.metadata()?.modified()?).unwrap_or_default();
        if age >= lifetime {
            toji_sandbox::remove_tree(&entry.path())?;
        }
    }
    Ok(())
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
        trim(dir.path(), Duration::from_secs(3600)).unwrap();
        assert!(kept.is_dir());
        trim(dir.path(), Duration::ZERO).unwrap();
        assert!(!kept.exists());
    }
}
