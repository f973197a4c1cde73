//! What the metadata files say about a package.

/// Epoch, version and release as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// A number; `0` if the package has none.
    pub epoch: String,
    /// Upstream's version.
    pub version: String,
    /// The packager's release; empty in a dependency that gives none.
    pub release: String,
}

/// A package in `primary.xml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the format")]
pub struct PrimaryEntry {
    pub name: String,
    /// `src` for a source package.
    pub arch: String,
    pub version: Version,
    /// Such as `sha256`.
    pub checksum_type: String,
    /// In hexadecimal, of the package file.
    pub checksum: String,
    pub summary: String,
    pub description: String,
    pub packager: String,
    pub url: String,
    /// When the file was changed, in seconds since 1970.
    pub file_time: i64,
    /// When the package was built, in seconds since 1970.
    pub build_time: i64,
    /// Size of the file in bytes.
    pub package_size: u64,
    /// Size of its installed files in bytes.
    pub installed_size: u64,
    /// Size of its payload in bytes.
    pub archive_size: u64,
    /// Path, relative to `base` or to the repository; not checked.
    pub href: String,
    pub base: Option<String>,
    pub license: String,
    pub vendor: String,
    pub group: String,
    pub buildhost: String,
    /// Empty for a source package.
    pub sourcerpm: String,
    /// First byte of the header and first byte after it.
    pub header_range: (u64, u64),
    pub provides: Vec<Dependency>,
    pub requires: Vec<Dependency>,
    pub conflicts: Vec<Dependency>,
    pub obsoletes: Vec<Dependency>,
    pub suggests: Vec<Dependency>,
    pub enhances: Vec<Dependency>,
    pub recommends: Vec<Dependency>,
    pub supplements: Vec<Dependency>,
    /// Only the paths that `primary.xml` lists.
    pub files: Vec<File>,
}

/// One dependency.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dependency {
    /// A package, capability, path or rich expression.
    pub name: String,
    /// `EQ`, `LT`, `LE`, `GT`, `GE`; empty without a version.
    pub flags: String,
    /// What is compared with.
    pub version: Version,
    /// True if a script run at installation needs it.
    pub pre: bool,
}

/// One file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct File {
    /// `dir`, `ghost`, or empty.
    pub kind: String,
    /// Whole path.
    pub path: String,
}

/// A package in `filelists.xml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilelistsEntry {
    /// Checksum of the package file.
    pub pkgid: String,
    /// Name.
    pub name: String,
    /// Arch.
    pub arch: String,
    /// Version.
    pub version: Version,
    /// Every file.
    pub files: Vec<File>,
}

/// A package in `other.xml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OtherEntry {
    /// Checksum of the package file.
    pub pkgid: String,
    /// Name.
    pub name: String,
    /// Arch.
    pub arch: String,
    /// Version.
    pub version: Version,
    /// The changelog, oldest entry first.
    pub changelogs: Vec<Change>,
}

/// One changelog entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Change {
    /// Seconds since 1970.
    pub date: i64,
    /// Name, address and often the version.
    pub author: String,
    /// What changed.
    pub text: String,
}
