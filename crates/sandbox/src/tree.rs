//! Directory trees and process trees.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs, io,
    os::unix::{ffi::OsStringExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::mount::UnmountFlags;

/// Removes a tree that a build may have filled with directories it cannot write to itself.
///
/// A tree that does not exist counts as removed; links are not followed.
pub fn remove_tree(root: &Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    match gone(fs::remove_dir_all(root)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(root);
            match gone(fs::remove_dir_all(root)) {
                // Files of a buildroot may have numbers that only its namespace may touch.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    crate::userns::remove_with_range(root).map_err(|_| error)
                }
                other => other,
            }
        }
        other => other,
    }
}

/// Takes away what is mounted in a tree that is to be removed, even where it is in use.
///
/// # Errors
/// When something is still mounted there.
pub fn unmount_below(root: &Path) -> io::Result<()> {
    let root = match fs::canonicalize(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    let mounted = || -> io::Result<Vec<PathBuf>> {
        let all = fs::read_to_string("/proc/self/mountinfo")?;
        let points = all.lines().filter_map(|line| line.split(' ').nth(4));
        Ok(points.map(unescaped).filter(|point| point.starts_with(&root)).collect())
    };
    // What was mounted last may hide the others.
    for point in mounted()?.iter().rev() {
        let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
        if let Err(error) = rustix::mount::unmount(point, flags) {
            tracing::warn!(mount = %point.display(), %error, "not unmounted");
        }
    }
    match mounted()?.first() {
        None => Ok(()),
        Some(point) => {
            Err(io::Error::other(format!("something is still mounted at {}", point.display())))
        }
    }
}

/// A path of `mountinfo`, where spaces and the like are octal numbers behind a backslash.
fn unescaped(text: &str) -> PathBuf {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, more)) = rest.split_first() {
        let number = more.get(..3).filter(|_| *first == b'\\');
        let number = number.and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = number.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &more[3..] } else { more };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// Lets the owner into each directory; what fails here fails again, with an error, on removal.
fn open_up(dir: &Path) {
    let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// What a process and everything below it have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Descendants {
    /// Resident memory, in bytes.
    pub(crate) memory: u64,
    /// Processes and threads.
    pub(crate) threads: u64,
}

/// Looks at a process and everything below it.
pub(crate) fn descendants(root: i32) -> Descendants {
    let mut sum = Descendants::default();
    for (_, stat) in family(root) {
        sum.memory += stat.pages * rustix::param::page_size() as u64;
        sum.threads += stat.threads;
    }
    sum
}

/// The numbers of a process and everything below it, parents before their children.
pub(crate) fn below(root: i32) -> Vec<i32> {
    family(root).into_iter().map(|(pid, _)| pid).collect()
}

fn family(root: i32) -> Vec<(i32, Stat)> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    let mut stats: HashMap<i32, Stat> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(text) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let Some(stat) = Stat::parse(&text) else {
            continue;
        };
        children.entry(stat.parent).or_default().push(pid);
        stats.insert(pid, stat);
    }
    let (mut found, mut open) = (Vec::new(), vec![root]);
    while let Some(pid) = open.pop() {
        found.extend(stats.remove(&pid).map(|stat| (pid, stat)));
        open.extend(children.remove(&pid).unwrap_or_default());
    }
    found
}

/// Parts of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: i32,
    threads: u64,
    /// Resident memory.
    pages: u64,
}

impl Stat {
    /// Reads the fields 4, 20 and 24; the second field may contain spaces and brackets.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.rsplit_once(')')?.1.split_whitespace();
        let parent = fields.nth(1)?.parse().ok()?;
        let threads = fields.nth(15)?.parse().ok()?;
        Some(Self { parent, threads, pages: fields.nth(3)?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_mounts_are_read() {
        assert_eq!(unescaped(r"/mnt/a\040b\134"), PathBuf::from(r"/mnt/a b\"));
        assert_eq!(unescaped(r"/x\9"), PathBuf::from(r"/x\9"));
        let dir = tempfile::tempdir().unwrap();
        unmount_below(dir.path()).unwrap();
        unmount_below(&dir.path().join("none")).unwrap();
        assert!(dir.path().is_dir());
    }

    #[test]
    fn stat_lines_are_read_behind_the_name() {
        let stat = "42 (a) b (c) S 7 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 3 0 99 1000 321 18446744073709551615 1";
        assert_eq!(Stat::parse(stat), Some(Stat { parent: 7, threads: 3, pages: 321 }));
        let own = descendants(std::process::id().try_into().unwrap());
        assert!(own.memory > 100_000 && own.threads > 1, "{own:?}");
    }

    #[test]
    fn trees_with_locked_directories_go() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::write(tree.join("a/b/f"), "x").unwrap();
        fs::set_permissions(tree.join("a/b"), fs::Permissions::from_mode(0o555)).unwrap();
        fs::set_permissions(tree.join("a"), fs::Permissions::from_mode(0o000)).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        remove_tree(&tree).unwrap();
    }
}
