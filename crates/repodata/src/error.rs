//! What can go wrong with repository metadata.

/// Metadata that cannot be made, written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The package's header cannot be used.
    #[error(transparent)]
    Rpm(#[from] toji_rpmfile::Error),
    /// The source or target of bytes failed.
    #[error("failed to copy metadata: {0}")]
    Io(#[from] std::io::Error),
    /// The number of packages differs from what the file's head announces.
    #[error("expected {expected} packages, found {found}")]
    Count {
        /// Announced.
        expected: u64,
        /// Written or read.
        found: u64,
    },
    /// The file is not well-formed XML.
    #[error("bad metadata: {0}")]
    Xml(#[from] quick_xml::Error),
    /// The file is XML, but not this kind of metadata.
    #[error("bad metadata: {0}")]
    Content(&'static str),
    /// A size or count is above its limit.
    #[error("{0} out of range")]
    Limit(&'static str),
    /// The file's name ends in a compression that is not supported.
    #[error("unknown compression: {0}")]
    Compression(String),
    /// No kind of checksum has this name.
    #[error("unknown checksum: {0}")]
    Sum(String),
}

/// The result of handling metadata.
pub type Result<T, E = Error> = std::result::Result<T, E>;
