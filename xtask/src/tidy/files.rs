//! Which files are checked: those that git tracks or would track.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use super::source::Source;
use super::{Problem, read};

/// Paths of the tracked and the new, not ignored files.
pub(super) fn tracked(root: &Path) -> anyhow::Result<Vec<String>> {
    let out = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("failed to run git")?;
    ensure!(out.status.success(), "git ls-files failed: {}", String::from_utf8_lossy(&out.stderr));
    let names = String::from_utf8(out.stdout).context("a file name is not UTF-8")?;
    Ok(names.split_terminator('\0').filter(|p| root.join(p).is_file()).map(str::to_owned).collect())
}

/// Every Rust file among `tracked`, read.
pub(super) fn rust_sources(root: &Path, tracked: &[String]) -> anyhow::Result<Vec<Source>> {
    let rust = tracked.iter().filter(|p| p.ends_with(".rs"));
    rust.map(|p| Ok(Source::new(p, read(&root.join(p))?))).collect()
}

/// The text of a file, or `None` for what is not text.
pub(super) fn read_text(root: &Path, path: &str) -> anyhow::Result<Option<String>> {
    let bytes = std::fs::read(root.join(path)).with_context(|| format!("failed to read {path}"))?;
    Ok(String::from_utf8(bytes).ok())
}

/// `mod.rs` hides which module a file is: `foo.rs` lies beside `foo/`.
pub(super) fn forbidden_name(path: &str) -> Option<Problem> {
    let name = path.rsplit('/').next().unwrap_or(path);
    // A directory directly under tests/ is a helper module of several test binaries: cargo offers no other place.
    (name == "mod.rs" && !path.contains("/tests/"))
        .then(|| Problem::new(path, 0, "mod-rs", "name it after its directory and put it beside"))
}

#[cfg(test)]
mod tests {
    use super::forbidden_name;

    #[test]
    fn mod_rs_is_refused_in_product_code() {
        assert!(forbidden_name("crates/hub/src/tag/mod.rs").is_some());
        assert!(forbidden_name("crates/hub/src/tag.rs").is_none());
        assert!(forbidden_name("crates/hub/tests/it/mod.rs").is_none());
    }
}
