//! Source packages: their headers, and the spec file that is in a directory.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use toji_rpmfile::{DepKind, Header, Limits, Package, tag};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::rich::{Capability, Need};

/// How much of a source package is fetched first for its header, in bytes.
const FIRST: usize = 256 << 10;
/// The most that is fetched for a header, in bytes.
const MOST: usize = 256 << 20;

/// Reads the header of a source package below the hub's `work` directory, without its payload.
pub(crate) async fn remote_header(task: &Context, srpm: &str) -> Result<Package> {
    let mut length = FIRST;
    loop {
        let url = format!("work/{srpm}");
        let data = match task.hub.fetch_prefix(&url, length).await {
            Err(toji_client::Error::Status { status: 404, .. }) => {
                return Err(Failure::build(format!("SRPM file missing: {srpm}")));
            }
            other => other?,
        };
        match Package::parse(&data, &Limits::default()) {
            Ok(package) => return source_only(package, srpm),
            Err(_) if data.len() == length && length < MOST => length *= 8,
            Err(error) => return Err(bad(srpm, &error)),
        }
    }
}

/// Reads a local source package and checks its digests.
pub(crate) fn verified(file: &Path, name: &str) -> Result<Package> {
    let reader = open(file)?;
    let package =
        toji_rpmfile::digest::verify(reader, &Limits::default()).map_err(|e| bad(name, &e))?;
    source_only(package, name)
}

/// Reads the header of a local package.
pub(crate) fn header(file: &Path) -> Result<Package> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Package::read(&mut open(file)?, &Limits::default()).map_err(|e| bad(&name, &e))
}

fn open(file: &Path) -> Result<BufReader<std::fs::File>> {
    let file = std::fs::File::open(file)
        .map_err(Failure::local(format!("cannot open {}", file.display())))?;
    Ok(BufReader::new(file))
}

fn bad(name: &str, error: &toji_rpmfile::Error) -> Failure {
    Failure::build(format!("{name} is not a valid package: {error}"))
}

fn source_only(package: Package, name: &str) -> Result<Package> {
    if package.header().is_source() {
        return Ok(package);
    }
    Err(Failure::build(format!("{name} is not a source package")))
}

/// What a source package needs to be built, RPM's own features left out.
pub(crate) fn build_requires(header: &Header) -> Vec<Need> {
    let all = header.deps(DepKind::Requires).map(|dep| Capability::of(&dep));
    all.filter(|c| !c.name.starts_with("rpmlib(")).map(Need::of).collect()
}

/// `BuildArch`, `ExclusiveArch` and `ExcludeArch` of a source package.
pub(crate) struct Arches {
    pub(crate) build: Vec<String>,
    pub(crate) exclusive: Vec<String>,
    pub(crate) exclude: Vec<String>,
}

impl Arches {
    pub(crate) fn of(header: &Header) -> Self {
        let list = |number| header.texts(number).map(|text| text.into_owned()).collect();
        Arches {
            build: list(tag::BUILDARCHS),
            exclusive: list(tag::EXCLUSIVEARCH),
            exclude: list(tag::EXCLUDEARCH),
        }
    }
}

/// The name that a source package's file must have.
pub(crate) fn check_name(package: &Package, file: &str) -> Result<String> {
    let name = package.header().file_name().map_err(|e| bad(file, &e))?;
    if name == file {
        return Ok(name);
    }
    Err(Failure::build(format!("srpm name mismatch: {name} != {file}")))
}

/// The spec file of a source tree: the only one, or the one that is named like the tree.
pub(crate) fn find_spec(dir: &Path) -> Result<PathBuf> {
    let mut specs = specs_in(dir);
    if specs.is_empty() {
        specs = specs_in(&dir.join("SPECS"));
    }
    if specs.len() < 2 {
        return specs.pop().ok_or_else(|| Failure::build("No spec file found"));
    }
    let named = dir.file_name().map(|name| format!("{}.spec", name.to_string_lossy()));
    let own = specs
        .iter()
        .find(|spec| spec.file_name().map(|n| n.to_string_lossy().into_owned()) == named);
    own.cloned().ok_or_else(|| {
        let names: Vec<_> = specs.iter().map(|spec| spec.display().to_string()).collect();
        Failure::build(format!(
            "Multiple spec files found but none is matching SCM checkout dir name: {}",
            names.join(", ")
        ))
    })
}

fn specs_in(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let mut specs: Vec<_> = files.map(|entry| entry.path()).collect();
    specs.retain(|path| path.extension().is_some_and(|end| end == "spec"));
    specs.sort();
    specs
}

/// Refuses spec files that set what the build system sets.
pub(crate) fn check_spec(text: &str) -> Result<()> {
    for line in text.lines() {
        for tag in ["Packager", "Distribution", "Vendor"] {
            if line.strip_prefix(tag).is_some_and(|rest| rest.starts_with(':')) {
                return Err(Failure::build(format!("{tag} is not allowed to be set in spec file")));
            }
        }
        let mut words = line.split_whitespace();
        let (word, name) = (words.next(), words.next().unwrap_or_default());
        if word == Some("%define") && ["packager", "distribution", "vendor"].contains(&name) {
            return Err(Failure::build(format!(
                "{name} is not allowed to be defined in spec file"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spec_file_is_found() {
        let dir = tempfile::tempdir().expect("directory");
        let tree = dir.path().join("tree");
        std::fs::create_dir_all(tree.join("SPECS")).expect("directory");
        assert!(find_spec(&tree).is_err());
        std::fs::write(tree.join("SPECS/a.spec"), "").expect("file");
        assert_eq!(find_spec(&tree).expect("spec"), tree.join("SPECS/a.spec"));
        std::fs::write(tree.join("b.spec"), "").expect("file");
        assert_eq!(find_spec(&tree).expect("spec"), tree.join("b.spec"));
        std::fs::write(tree.join("c.spec"), "").expect("file");
        assert!(find_spec(&tree).is_err());
        std::fs::write(tree.join("tree.spec"), "").expect("file");
        assert_eq!(find_spec(&tree).expect("spec"), tree.join("tree.spec"));
    }

    #[test]
    fn spec_files_do_not_set_the_vendor() {
        assert!(check_spec("Name: a\n%description\nVendor of things\n").is_ok());
        assert!(check_spec("Name: a\nVendor: me\n").is_err());
        assert!(check_spec("%define  packager me\n").is_err());
    }
}
