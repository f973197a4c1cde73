//! What can be wrong with a package file.

/// A package file, header or signature that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source of bytes failed.
    #[error("failed to read package: {0}")]
    Io(#[from] std::io::Error),
    /// The bytes ended too early.
    #[error("truncated in {0}")]
    Truncated(&'static str),
    /// The lead has no RPM magic, or an unknown version.
    #[error("not an rpm package")]
    NotRpm,
    /// A header has no header magic.
    #[error("bad magic of {0}")]
    HeaderMagic(&'static str),
    /// A count or size is above its limit.
    #[error("{what} out of range: {value}")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// The value found.
        value: u64,
    },
    /// An entry of the index contradicts the format.
    #[error("bad header entry: tag {tag}, {problem}")]
    Entry {
        /// Number of the tag.
        tag: u32,
        /// What contradicts.
        problem: &'static str,
    },
    /// The immutable region contradicts the format.
    #[error("bad header region: {0}")]
    Region(&'static str),
    /// A tag that every package has is missing or of another type.
    #[error("missing tag {0}")]
    Missing(&'static str),
    /// A digest does not match.
    #[error("{what} does not match: expected {expected}, found {found}")]
    Digest {
        /// Which digest.
        what: &'static str,
        /// In hexadecimal, as the package states it.
        expected: String,
        /// In hexadecimal, as computed.
        found: String,
    },
    /// An OpenPGP packet that is not a signature this crate can read.
    #[error("bad signature packet: {0}")]
    Packet(&'static str),
    /// A name that is no RPM tag (Koji's text).
    #[error("No such rpm header field: {0}")]
    NoSuchField(String),
}

/// The result of reading a package.
pub type Result<T, E = Error> = std::result::Result<T, E>;
