//! Passing names: what is written bears one until it is whole, and a crash leaves it under no other.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::fence::pass;
use crate::{Error, Result};

/// The longest beginning of a passing name that comes from the final one, in bytes: file systems take names of 255.
const LONGEST: usize = 200;

/// How passing names of a path begin: a dot, its name and a dot. Of a long name it is the beginning and a hash.
fn stem(path: &Path) -> OsString {
    let name = path.file_name().unwrap_or_default();
    let mut stem = OsString::from(".");
    if name.len() <= LONGEST {
        stem.push(name);
    } else {
        let mut hasher = DefaultHasher::new();
        name.as_bytes().hash(&mut hasher);
        let text = name.to_string_lossy();
        let cut = (0..=LONGEST / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        stem.push(&text[..cut]);
        stem.push(format!(".{:016x}", hasher.finish()));
    }
    stem.push(".");
    stem
}

/// The passing name of a path with an ending: `new` of a file, `link` of a link.
pub fn passing(path: &Path, ending: &str) -> PathBuf {
    let mut name = stem(path);
    name.push(ending);
    path.with_file_name(name)
}

/// A file under a passing name that nobody else has; it goes when it is dropped.
pub(crate) fn own_file(path: &Path) -> Result<tempfile::NamedTempFile> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    tempfile::Builder::new()
        .prefix(&stem(path))
        .suffix(".new")
        .tempfile_in(dir)
        .map_err(Error::io(dir))
}

/// Removes what interrupted writes to these paths have left under passing names.
///
/// # Errors
/// When a directory cannot be read, or something cannot be removed.
pub fn sweep<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Result<()> {
    let mut stems: HashMap<&Path, HashSet<OsString>> = HashMap::new();
    for path in paths {
        if let Some(dir) = path.parent() {
            stems.entry(dir).or_default().insert(stem(path));
        }
    }
    for (dir, stems) in stems {
        let Ok(entries) = fs::read_dir(dir) else { continue };
        for entry in entries {
            let path = entry.map_err(Error::io(dir))?.path();
            if begins(&path, &stems) {
                crate::remove_tree(&path)?;
            }
        }
    }
    Ok(())
}

/// Whether a name is a stem with an ending, or with something random and an ending.
fn begins(path: &Path, stems: &HashSet<OsString>) -> bool {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let Some(name) = name.strip_suffix(b"new").or_else(|| name.strip_suffix(b"link")) else {
        return false;
    };
    let random = name.strip_suffix(b".").and_then(|name| {
        let dot = name.iter().rposition(|byte| *byte == b'.')?;
        Some(&name[..=dot])
    });
    let known = |name: &[u8]| stems.contains(std::ffi::OsStr::from_bytes(name));
    known(name) || random.is_some_and(known)
}

/// Makes a path a link, in one step in place of an older link: who looks always finds one.
///
/// # Errors
/// [`Error::Exists`] when something other than a link is there.
pub fn replace_link(at: &Path, target: &Path) -> Result<()> {
    if fs::symlink_metadata(at).is_ok_and(|meta| !meta.is_symlink()) {
        return Err(Error::Exists(at.display().to_string()));
    }
    let dir = at.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir).map_err(Error::io(dir))?;
    let fresh = passing(at, "link");
    crate::remove_tree(&fresh)?;
    pass()?;
    std::os::unix::fs::symlink(target, &fresh).map_err(Error::io(&fresh))?;
    fs::rename(&fresh, at).map_err(Error::io(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passing_names_fit_and_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        let long = "ä".repeat(127);
        for name in ["a.rpm", long.as_str()] {
            let path = dir.path().join(name);
            let other = dir.path().join("a.rpmx");
            for path in [&path, &other] {
                fs::write(path, "").unwrap();
                fs::write(passing(path, "new"), "").unwrap();
            }
            own_file(&path).unwrap().keep().unwrap();
            std::os::unix::fs::symlink("x", passing(&path, "link")).unwrap();
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 6, "{name}");
            sweep([path.as_path()]).unwrap();
            assert!(path.exists() && other.exists() && passing(&other, "new").exists());
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "{name}");
            fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn a_link_is_replaced_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("x/link");
        for target in ["one", "two"] {
            replace_link(&at, Path::new(target)).unwrap();
            assert_eq!(fs::read_link(&at).unwrap(), Path::new(target));
        }
        let file = dir.path().join("file");
        fs::write(&file, "content").unwrap();
        assert!(matches!(replace_link(&file, Path::new("one")), Err(Error::Exists(_))));
        assert_eq!(fs::read_to_string(file).unwrap(), "content");
        assert_eq!(fs::read_dir(dir.path().join("x")).unwrap().count(), 1);
    }
}
