//! What can go wrong with files.

use std::path::{Path, PathBuf};

/// The result of a file operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed file operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path that would leave its root, or that is no relative path.
    #[error("invalid path: {0}")]
    Path(String),
    /// Something other than a regular file.
    #[error("not a regular file: {0}")]
    NotAFile(String),
    /// A file that is there already.
    #[error("{0} already exists")]
    Exists(String),
    /// A file that somebody else writes at the moment.
    #[error("{0} is locked")]
    Locked(String),
    /// A file that is not as long as was written.
    #[error("expected {expected} bytes in {path}, found {found}")]
    Length {
        /// The file.
        path: String,
        /// What was written.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// A file or a part of one that is not what was announced.
    #[error("expected SHA-256 {expected} of {path}, found {found}")]
    Digest {
        /// The file.
        path: String,
        /// What was announced.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Work that must not go on: another program may have taken it over.
    #[error("not done: {0}")]
    Fenced(String),
    /// Work that was asked to stop.
    #[error("halted")]
    Halted,
    /// A checksum algorithm that is not known.
    #[error("unsupported verify type: {0}")]
    Algorithm(String),
    /// A zip file or tarball that is broken, or is none.
    #[error("cannot list {path}: {problem}")]
    Container {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The operating system refuses.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    /// Puts the file to an error of the operating system.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Error {
        move |source| Error::Io { path: path.as_ref().to_owned(), source }
    }

    /// Whether the file does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }
}
