//! Lockfiles: the exact packages of a buildroot, as a text that is stored with the build.

mod check;
mod json;

pub use check::LockfileError;

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use sha2::{Digest, Sha256};

/// The version of the text that is written and read.
pub const FORMAT: u32 = 1;

/// The packages of a buildroot with their digests, sorted; what a solver chose, and what is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lockfile {
    arch: String,
    repositories: BTreeMap<String, Source>,
    packages: Vec<Locked>,
}

/// Where the packages of a repository are fetched from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// The hub: locations are paths below its published files.
    Hub,
    /// A repository elsewhere: locations are relative to its URL.
    External {
        /// With or without a final slash; of the scheme http, https, ftp or file.
        url: String,
    },
}

/// One package of a [`Lockfile`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// Package name.
    pub name: String,
    /// 0 if the package has none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub epoch: u32,
    /// Upstream's version.
    pub version: String,
    /// The packager's release.
    pub release: String,
    /// RPM arch.
    pub arch: String,
    /// Of the package file: `sha256:` (or `sha384:`, `sha512:`) and hexadecimal digits.
    pub digest: String,
    /// Of the package file, in bytes.
    pub size: u64,
    /// Path of the file, relative to its repository's [`Source`], or a whole URL.
    pub location: String,
    /// A key of the lockfile's repositories.
    pub repository: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's way to ask")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Locked {
    /// The file's name, which is that of the package and has no slash.
    pub fn file_name(&self) -> String {
        format!("{}-{}-{}.{}.rpm", self.name, self.version, self.release, self.arch)
    }

    /// The file's SHA-256 in hexadecimal, if that is its digest.
    pub fn sha256(&self) -> Option<&str> {
        self.digest.strip_prefix("sha256:")
    }
}

/// `name-[epoch:]version-release.arch`.
impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.name)?;
        if self.epoch != 0 {
            write!(f, "{}:", self.epoch)?;
        }
        write!(f, "{}-{}.{}", self.version, self.release, self.arch)
    }
}

impl Lockfile {
    /// Sorts the packages and checks everything: a lockfile that exists is a legal one.
    pub fn new(
        arch: impl Into<String>,
        repositories: BTreeMap<String, Source>,
        mut packages: Vec<Locked>,
    ) -> Result<Self, LockfileError> {
        packages.sort();
        let lockfile = Self { arch: arch.into(), repositories, packages };
        lockfile.check()?;
        Ok(lockfile)
    }

    /// The arch that the list was made for.
    pub fn arch(&self) -> &str {
        &self.arch
    }

    /// Sorted by name, then by version as text.
    pub fn packages(&self) -> &[Locked] {
        &self.packages
    }

    /// Where the packages come from, by the names that [`Locked::repository`] has.
    pub fn repositories(&self) -> &BTreeMap<String, Source> {
        &self.repositories
    }

    /// SHA-256 in hexadecimal of what will be installed: names, versions and digests of the packages and the
    /// arch. It does not change when the same files are fetched from elsewhere.
    pub fn digest(&self) -> String {
        let mut hash =
            Sha256::new().chain_update(format!("toji-lockfile {FORMAT}\n{}\n", self.arch));
        let mut lines: Vec<String> = self.packages.iter().map(line).collect();
        lines.sort_unstable();
        lines.iter().for_each(|line| hash.update(line));
        hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            // a string takes whatever is written
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Where the package's file is; `files` is the URL of the hub's published files.
    pub fn url(&self, package: &Locked, files: &str) -> String {
        let base = match self.repositories.get(&package.repository) {
            _ if package.location.contains("://") => return package.location.clone(),
            Some(Source::External { url }) => url,
            Some(Source::Hub) | None => files,
        };
        format!("{}/{}", base.trim_end_matches('/'), package.location.trim_start_matches('/'))
    }
}

fn line(package: &Locked) -> String {
    let Locked { name, epoch, version, release, arch, digest, size, .. } = package;
    format!("{digest} {size} {name} {epoch} {version} {release} {arch}\n")
}

#[cfg(test)]
mod tests;
