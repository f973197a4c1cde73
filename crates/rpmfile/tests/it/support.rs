//! Packages to read.

use std::path::{Path, PathBuf};
use std::process::Command;

use toji_rpmfile::{Limits, Package};
use toji_rpmgen::variants;

/// A directory with one package for each feature, binary and source.
pub(crate) struct Packages {
    dir: tempfile::TempDir,
}

impl Packages {
    /// All of them.
    pub(crate) fn build() -> Self {
        let packages = Self::only(|_| true);
        assert!(packages.all().len() >= 30, "{} packages", packages.all().len());
        packages
    }

    /// Those of one variant.
    pub(crate) fn of(variant: &str) -> Self {
        Self::only(|name| name == variant)
    }

    fn only(wanted: impl Fn(&str) -> bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (work, out) = (dir.path().join("work"), dir.path().join("out"));
        variants::build_some(&work, &out, wanted).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn all(&self) -> Vec<PathBuf> {
        toji_rpmgen::find_rpms(&self.dir.path().join("out")).unwrap()
    }

    /// The package whose file name starts so.
    pub(crate) fn get(&self, prefix: &str) -> PathBuf {
        let named = |p: &PathBuf| p.file_name().unwrap().to_string_lossy().starts_with(prefix);
        self.all().into_iter().find(named).unwrap_or_else(|| panic!("no {prefix}"))
    }
}

pub(crate) fn read(path: &Path) -> Package {
    let bytes = std::fs::read(path).unwrap();
    Package::parse(&bytes, &Limits::default()).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Runs a program that must be there and succeed; returns its output.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, log) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}:\n{out}\n{log}");
    out.into_owned()
}
