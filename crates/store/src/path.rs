//! Relative paths that cannot leave their root.

use crate::{Error, Result};

/// Makes a relative path plain: no empty and no `.` parts, `..` resolved.
///
/// # Errors
/// [`Error::Path`] for an absolute path, one that leaves its root, or one with a NUL.
pub fn normalize(path: &str) -> Result<String> {
    let wrong = || Error::Path(path.to_owned());
    if path.starts_with('/') || path.contains('\0') {
        return Err(wrong());
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or_else(wrong)?),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// Joins names to a path; each must be a plain file name.
///
/// # Errors
/// [`Error::Path`] for a name that is empty, `.`, `..`, or has a slash or NUL.
pub fn join(names: &[&str]) -> Result<String> {
    for name in names {
        if matches!(*name, "" | "." | "..") || name.contains(['/', '\0']) {
            return Err(Error::Path((*name).to_owned()));
        }
    }
    Ok(names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_the_root() {
        assert_eq!(normalize("a//./b/../c").unwrap(), "a/c");
        assert_eq!(normalize("").unwrap(), "");
        for bad in ["..", "../..", "a/../../b", "/etc", "a\0b"] {
            assert!(normalize(bad).is_err(), "{bad}");
        }
        assert_eq!(join(&["a", "1.0", "x,draft_1"]).unwrap(), "a/1.0/x,draft_1");
        for bad in ["", ".", "..", "a/b"] {
            assert!(join(&["x", bad]).is_err(), "{bad}");
        }
    }
}
