//! What is below a directory.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// Everything below a directory, relative to it and sorted, directories included.
pub(crate) fn list(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                pending.push(entry.path());
            }
            found.push(entry.path().strip_prefix(root)?.to_owned());
        }
    }
    found.sort();
    Ok(found)
}
