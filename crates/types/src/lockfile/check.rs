//! What a lockfile may contain: it names files that are fetched, stored and installed.

use super::{Locked, Lockfile, Source};

/// Most packages of a lockfile.
const PACKAGES: usize = 100_000;

/// Longest name, version, location or URL, in bytes.
const LENGTH: usize = 4096;

/// A lockfile that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockfileError {
    /// Not the JSON that it should be.
    #[error("bad lockfile: {0}")]
    Json(#[from] serde_json::Error),
    /// Written by another version of Toji.
    #[error("lockfile of version {0} is not known")]
    Version(u32),
    /// The packages are not those that the digest was made of.
    #[error("lockfile does not have the digest that it names")]
    Digest,
    /// Longer than any buildroot needs.
    #[error("lockfile is too long")]
    Limit,
    /// A name, version, digest or location that no package has.
    #[error("bad {what} of {package} in the lockfile: {value:?}")]
    Value {
        /// Which field.
        what: &'static str,
        /// Whose.
        package: String,
        /// What it is.
        value: String,
    },
    /// The same package twice.
    #[error("{0} is in the lockfile twice")]
    Twice(String),
}

impl Lockfile {
    pub(super) fn check(&self) -> Result<(), LockfileError> {
        if self.packages.len() > PACKAGES {
            return Err(LockfileError::Limit);
        }
        if !is_word(&self.arch) {
            return Err(bad("arch", "the buildroot", &self.arch));
        }
        for (name, source) in &self.repositories {
            check_source(name, source)?;
        }
        for package in &self.packages {
            self.check_package(package)?;
        }
        let key = |p: &Locked| {
            (p.name.clone(), p.epoch, p.version.clone(), p.release.clone(), p.arch.clone())
        };
        let same = self.packages.windows(2).find(|pair| key(&pair[0]) == key(&pair[1]));
        same.map_or(Ok(()), |pair| Err(LockfileError::Twice(pair[0].to_string())))
    }

    fn check_package(&self, package: &Locked) -> Result<(), LockfileError> {
        let Locked { name, version, release, arch, digest, location, repository, .. } = package;
        let words = [("name", name), ("version", version), ("release", release), ("arch", arch)];
        for (what, word) in words {
            if !is_word(word) {
                return Err(bad(what, name, word));
            }
        }
        if !is_digest(digest) {
            return Err(bad("digest", name, digest));
        }
        let Some(source) = self.repositories.get(repository) else {
            return Err(bad("repository", name, repository));
        };
        let legal = match source {
            Source::Hub => is_path(location),
            Source::External { .. } if location.contains("://") => is_url(location),
            Source::External { .. } => is_text(location) && !location.starts_with('/'),
        };
        if legal { Ok(()) } else { Err(bad("location", name, location)) }
    }
}

fn check_source(name: &str, source: &Source) -> Result<(), LockfileError> {
    if !is_text(name) {
        return Err(bad("name", "a repository", name));
    }
    match source {
        Source::External { url } if !is_url(url) => Err(bad("url", name, url)),
        _ => Ok(()),
    }
}

fn bad(what: &'static str, package: &str, value: &str) -> LockfileError {
    let short = |text: &str| text.chars().take(200).collect();
    LockfileError::Value { what, package: short(package), value: short(value) }
}

/// A part of a file's name.
fn is_word(text: &str) -> bool {
    is_text(text)
        && text.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
        && !text.starts_with('.')
        && !text.starts_with('-')
}

fn is_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= LENGTH && !text.chars().any(char::is_control)
}

/// A path that leads nowhere but down.
fn is_path(text: &str) -> bool {
    is_text(text) && text.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn is_url(text: &str) -> bool {
    let schemes = ["https://", "http://", "ftp://", "file:///"];
    is_text(text) && !text.contains(' ') && schemes.iter().any(|scheme| text.starts_with(scheme))
}

fn is_digest(text: &str) -> bool {
    let Some((kind, digits)) = text.split_once(':') else { return false };
    let len = match kind {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    digits.len() == len && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
