//! Directory trees and process trees.

use std::{collections::HashMap, fs, io, os::unix::fs::PermissionsExt, path::Path};

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

/// Lets the owner into each directory; what fails here fails again, with an error, on removal.
fn open_up(dir: &Path) {
    let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// Resident memory of a process and everything below it, in bytes.
pub(crate) fn memory_of_descendants(root: i32) -> u64 {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    let mut pages: HashMap<i32, u64> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let Some((parent, resident)) = parent_and_pages(&stat) else {
            continue;
        };
        children.entry(parent).or_default().push(pid);
        pages.insert(pid, resident);
    }
    let (mut sum, mut open) = (0, vec![root]);
    while let Some(pid) = open.pop() {
        sum += pages.get(&pid).copied().unwrap_or(0);
        open.extend(children.remove(&pid).unwrap_or_default());
    }
    sum * rustix::param::page_size() as u64
}

/// Fields 4 and 24 of `/proc/PID/stat`; the second field may contain spaces and brackets.
fn parent_and_pages(stat: &str) -> Option<(i32, u64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    Some((parent, fields.nth(19)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines_are_read_behind_the_name() {
        let stat = "42 (a) b (c) S 7 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 1 0 99 1000 321 18446744073709551615 1";
        assert_eq!(parent_and_pages(stat), Some((7, 321)));
        let own = memory_of_descendants(std::process::id().try_into().unwrap());
        assert!(own > 100_000, "{own}");
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
