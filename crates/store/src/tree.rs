//! Copies of whole directories.

use std::fs;
use std::path::Path;

use crate::fence::pass;
use crate::{Error, Result};

/// Copies a directory with all that is in it to a path that does not exist yet.
///
/// Files on the same file system are linked, links are kept as they are, and times stay.
///
/// # Errors
/// When something cannot be read or written; what was copied stays.
pub fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    pass()?;
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(Error::io(parent))?;
    }
    let mut waiting = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = waiting.pop() {
        pass()?;
        fs::create_dir(&to).map_err(Error::io(&to))?;
        for entry in fs::read_dir(&from).map_err(Error::io(&from))? {
            let entry = entry.map_err(Error::io(&from))?;
            let (path, copy) = (entry.path(), to.join(entry.file_name()));
            pass()?;
            let kind = entry.file_type().map_err(Error::io(&path))?;
            if kind.is_dir() {
                waiting.push((path, copy));
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).map_err(Error::io(&path))?;
                std::os::unix::fs::symlink(target, &copy).map_err(Error::io(&copy))?;
            } else if fs::hard_link(&path, &copy).is_err() {
                copy_file(&path, &copy)?;
            }
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map_err(Error::io(to))?;
    let meta = fs::metadata(from).map_err(Error::io(from))?;
    let modified = meta.modified().map_err(Error::io(from))?;
    let file = fs::File::options().write(true).open(to).map_err(Error::io(to))?;
    file.set_modified(modified).map_err(Error::io(to))?;
    file.sync_all().map_err(Error::io(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_copied_with_its_links() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a"), dir.path().join("x/b"));
        fs::create_dir_all(from.join("sub")).unwrap();
        fs::write(from.join("sub/file"), "text").unwrap();
        std::os::unix::fs::symlink("sub/file", from.join("link")).unwrap();
        copy_tree(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("sub/file")).unwrap(), "text");
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("sub/file"));
        assert!(copy_tree(&from, &to).is_err(), "a copy does not mix with what is there");
    }
}
