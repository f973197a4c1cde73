//! Packages as pools are made of them: what metadata say, in little memory.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::BufRead;
use std::sync::{Arc, LazyLock};

use toji_repodata::reader::{Dependency, Filelists, Primary, PrimaryEntry, ReadLimits, Version};

use crate::limits::{OF_A_PACKAGE, TEXT};
use crate::rich::{EQUAL, GREATER, LESS};
use crate::{Error, Result};

/// A repository of a pool.
#[derive(Debug, Clone)]
pub struct Repository {
    /// What lockfiles and messages call it.
    pub id: String,
    /// A smaller one wins over every version; dnf's default is 99.
    pub priority: i32,
    /// Among equal packages a smaller one wins; dnf's default is 1000.
    pub cost: i32,
    /// In the order of the metadata.
    pub packages: Vec<Arc<Package>>,
}

impl Repository {
    /// A repository with dnf's default priority and cost.
    pub fn new(id: impl Into<String>, packages: Vec<Arc<Package>>) -> Self {
        Self { id: id.into(), priority: 99, cost: 1000, packages }
    }

    /// Reads `primary.xml` and `filelists.xml`, both decompressed.
    ///
    /// # Errors
    /// Metadata that are not well-formed, or beyond the limits.
    pub fn read(
        id: impl Into<String>,
        primary: impl BufRead,
        filelists: Option<impl BufRead>,
        limits: ReadLimits,
    ) -> Result<Self> {
        let mut packages = Vec::new();
        for entry in Primary::new(primary, limits) {
            packages.push(Package::new(&entry?)?);
            if packages.len() > crate::limits::PACKAGES {
                return Err(Error::Limit("packages"));
            }
        }
        if let Some(filelists) = filelists {
            let mut by_digest: HashMap<Box<str>, Vec<usize>> = HashMap::new();
            for (at, package) in packages.iter().enumerate() {
                by_digest.entry(package.pkgid().into()).or_default().push(at);
            }
            for entry in Filelists::new(filelists, limits) {
                let entry = entry?;
                for at in by_digest.get(entry.pkgid.as_str()).into_iter().flatten() {
                    packages[*at].set_files(entry.files.iter().map(|file| file.path.as_str()));
                }
            }
        }
        Ok(Self::new(id, packages.into_iter().map(Arc::new).collect()))
    }
}

/// The lists of dependencies, by their numbers in the shim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Provides,
    Requires,
    Conflicts,
    Obsoletes,
    Recommends,
    Suggests,
    Supplements,
    Enhances,
}

/// One dependency of a package.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dep<'p> {
    /// A [`Kind`].
    pub(crate) kind: u8,
    /// Comparison bits of libsolv.
    pub(crate) flags: u8,
    /// A script that runs at installation needs it.
    pub(crate) pre: bool,
    pub(crate) name: &'p str,
    /// Empty without a version.
    pub(crate) evr: &'p str,
}

/// A package of a repository.
#[derive(Debug, Clone)]
pub struct Package {
    pub(crate) name: Box<str>,
    pub(crate) arch: Box<str>,
    pub(crate) epoch: u32,
    pub(crate) version: Box<str>,
    pub(crate) release: Box<str>,
    pub(crate) source: Box<str>,
    pub(crate) digest: Box<str>,
    pub(crate) size: u64,
    pub(crate) location: Box<str>,
    /// Dependencies one after the other: kind, flags, lengths of name and version, both.
    deps: Box<[u8]>,
    count: usize,
    /// The files that `primary.xml` lists, a line each.
    listed: Box<str>,
    /// All files, by hashes of their paths.
    paths: Box<[u64]>,
}

static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// What stands for a path; keyed, so that nobody can make two paths meet.
pub(crate) fn path_hash(path: &str) -> u64 {
    KEYS.hash_one(path)
}

impl Package {
    /// Takes what matters from a package's entry in `primary.xml`.
    ///
    /// # Errors
    /// A name, version or number of dependencies that no package has.
    pub fn new(entry: &PrimaryEntry) -> Result<Self> {
        let Version { epoch, version, release } = &entry.version;
        let words = [&entry.name, &entry.arch, version, release, &entry.href];
        if words.iter().any(|word| word.len() > TEXT || word.contains('\0')) {
            return Err(Error::Limit("names of packages"));
        }
        let mut deps = Deps::default();
        for (kind, list) in lists(entry) {
            list.iter().for_each(|dep| deps.push(kind, dep));
        }
        if deps.count > OF_A_PACKAGE {
            return Err(Error::Limit("dependencies of a package"));
        }
        let listed: Vec<&str> = entry.files.iter().map(|file| file.path.as_str()).collect();
        let location = match entry.base.as_deref().filter(|base| !base.is_empty()) {
            Some(base) => format!("{}/{}", base.trim_end_matches('/'), entry.href).into(),
            None => entry.href.as_str().into(),
        };
        let kind = if entry.checksum_type == "sha" { "sha1" } else { &entry.checksum_type };
        Ok(Self {
            name: entry.name.as_str().into(),
            arch: entry.arch.as_str().into(),
            epoch: epoch.parse().unwrap_or(0),
            version: version.as_str().into(),
            release: release.as_str().into(),
            source: entry.sourcerpm.as_str().into(),
            digest: format!("{kind}:{}", entry.checksum).into(),
            size: entry.package_size,
            location,
            deps: deps.bytes.into(),
            count: deps.count,
            paths: listed.iter().map(|path| path_hash(path)).collect(),
            listed: listed.join("\n").into(),
        })
    }

    /// All files, from `filelists.xml`.
    pub fn set_files<'f>(&mut self, files: impl Iterator<Item = &'f str>) {
        self.paths = files.map(path_hash).collect();
    }

    /// Package name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// RPM arch; `src` for a source package.
    pub fn arch(&self) -> &str {
        &self.arch
    }

    /// The file name of the source package it was built from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The name of the source package it was built from, or its own.
    pub fn source_name(&self) -> &str {
        let nvra = self.source.strip_suffix(".src.rpm").or(self.source.strip_suffix(".nosrc.rpm"));
        let name = nvra.and_then(|n| n.rsplit_once('-')).and_then(|(nv, _)| nv.rsplit_once('-'));
        name.map_or(&self.name, |(name, _)| name)
    }

    /// Of the file, with its kind: `sha256:…`.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Where the file is, relative to the repository.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Another place of the file, relative to the repository.
    pub fn set_location(&mut self, location: &str) {
        self.location = location.into();
    }

    /// Memory that it takes, roughly, in bytes.
    pub fn memory(&self) -> usize {
        let fixed = size_of::<Self>() + 300;
        fixed + self.deps.len() + self.listed.len() + self.paths.len() * size_of::<u64>()
    }

    pub(crate) fn is_source(&self) -> bool {
        matches!(&*self.arch, "src" | "nosrc")
    }

    fn pkgid(&self) -> &str {
        self.digest.split_once(':').map_or("", |(_, digits)| digits)
    }

    /// `version-release` with the epoch before it unless that is 0.
    pub(crate) fn evr(&self) -> String {
        let (epoch, version, release) = (self.epoch, &self.version, &self.release);
        let digits = version.find(|c: char| !c.is_ascii_digit());
        // a version that looks as if it had an epoch needs one
        let odd = digits.is_some_and(|at| at > 0 && version[at..].starts_with(':'));
        if epoch == 0 && !odd {
            format!("{version}-{release}")
        } else {
            format!("{epoch}:{version}-{release}")
        }
    }

    /// `name-[epoch:]version-release.arch`
    pub(crate) fn nevra(&self) -> String {
        format!("{}-{}.{}", self.name, self.evr(), self.arch)
    }

    pub(crate) fn dep_count(&self) -> usize {
        self.count
    }

    pub(crate) fn deps(&self) -> impl Iterator<Item = Dep<'_>> {
        let mut rest = &*self.deps;
        std::iter::from_fn(move || {
            let (dep, after) = Dep::decode(rest)?;
            rest = after;
            Some(dep)
        })
    }

    pub(crate) fn deps_of(&self, kind: Kind) -> impl Iterator<Item = Dep<'_>> {
        self.deps().filter(move |dep| dep.kind == kind as u8)
    }

    /// The files of `primary.xml`.
    pub(crate) fn listed(&self) -> impl Iterator<Item = &str> {
        self.listed.lines()
    }

    pub(crate) fn paths(&self) -> &[u64] {
        &self.paths
    }
}

impl<'p> Dep<'p> {
    fn decode(bytes: &'p [u8]) -> Option<(Self, &'p [u8])> {
        let (&[kind, flags, n0, n1, e0, e1], rest) = bytes.split_first_chunk()?;
        let (name, rest) = rest.split_at_checked(u16::from_le_bytes([n0, n1]).into())?;
        let (evr, rest) = rest.split_at_checked(u16::from_le_bytes([e0, e1]).into())?;
        let text = |bytes| std::str::from_utf8(bytes).ok();
        let (name, evr) = (text(name)?, text(evr)?);
        Some((Dep { kind: kind & 15, flags, pre: kind & 16 != 0, name, evr }, rest))
    }
}

#[derive(Default)]
struct Deps {
    bytes: Vec<u8>,
    count: usize,
}

impl Deps {
    /// Adds a dependency; one that is too long to be met by anything is left out, unless it is required.
    fn push(&mut self, kind: Kind, dep: &Dependency) {
        let mut flags = match dep.flags.as_str() {
            "EQ" => EQUAL,
            "LT" => LESS,
            "GT" => GREATER,
            "LE" => LESS | EQUAL,
            "GE" => GREATER | EQUAL,
            "NE" => LESS | GREATER,
            _ => 0,
        };
        let mut evr = if flags == 0 { String::new() } else { evr_text(&dep.version) };
        let mut name = dep.name.as_str();
        if name.is_empty() {
            return;
        }
        if name.len() > TEXT || evr.len() > TEXT || name.contains('\0') || evr.contains('\0') {
            if kind != Kind::Requires {
                return;
            }
            name = "(a dependency out of bounds)";
            (evr, flags) = (String::new(), 0);
        }
        self.count += 1;
        self.bytes.extend([kind as u8 | u8::from(dep.pre) << 4, flags]);
        // both are below the limit, which fits
        self.bytes.extend((name.len() as u16).to_le_bytes());
        self.bytes.extend((evr.len() as u16).to_le_bytes());
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(evr.as_bytes());
    }
}

fn evr_text(version: &Version) -> String {
    let Version { epoch, version, release } = version;
    let mut text = String::new();
    if !epoch.is_empty() && epoch != "0" {
        text.extend([epoch, ":"]);
    }
    text.push_str(version);
    if !release.is_empty() {
        text.extend(["-", release]);
    }
    text
}

/// In the order of the files that createrepo_c writes, in which libsolv gives its ids.
fn lists(entry: &PrimaryEntry) -> [(Kind, &[Dependency]); 8] {
    [
        (Kind::Provides, &entry.provides),
        (Kind::Requires, &entry.requires),
        (Kind::Conflicts, &entry.conflicts),
        (Kind::Obsoletes, &entry.obsoletes),
        (Kind::Suggests, &entry.suggests),
        (Kind::Enhances, &entry.enhances),
        (Kind::Recommends, &entry.recommends),
        (Kind::Supplements, &entry.supplements),
    ]
}
