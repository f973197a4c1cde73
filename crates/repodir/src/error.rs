//! What can go wrong with a repository in a directory.

use std::path::PathBuf;

/// A repository that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file failed.
    #[error("{path}: {error}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Metadata that cannot be made or read.
    #[error("{path}: {error}")]
    Metadata {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: toji_repodata::Error,
    },
    /// Metadata that cannot be written.
    #[error(transparent)]
    Write(#[from] toji_repodata::Error),
    /// There is no `repodata/repomd.xml`.
    #[error("{0} is not a repository: it has no repodata/repomd.xml")]
    NoRepository(PathBuf),
    /// The repository lacks a record of this type.
    #[error("{path} has no {kind}")]
    NoRecord {
        /// The repository.
        path: PathBuf,
        /// The type.
        kind: String,
    },
    /// A path in metadata that leads out of the repository.
    #[error("{path} names a file outside of the repository: {href}")]
    Outside {
        /// The repository.
        path: PathBuf,
        /// As written.
        href: String,
    },
    /// Another process writes the same repository.
    #[error("{0} is being written by another process")]
    Busy(PathBuf),
    /// A database failed.
    #[error("failed to write database: {0}")]
    Database(#[from] rusqlite::Error),
    /// An outside program failed or is missing.
    #[error("{program}: {problem}")]
    Program {
        /// Its name.
        program: &'static str,
        /// What it said.
        problem: String,
    },
    /// What was asked for makes no sense.
    #[error("{0}")]
    Request(String),
}

/// The result of work on a repository.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Adds the path to what failed.
pub(crate) trait At<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T>;
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T> {
        self.map_err(|error| Error::File { path: path.into(), error })
    }
}

impl<T> At<T> for toji_repodata::Result<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T> {
        self.map_err(|error| Error::Metadata { path: path.into(), error })
    }
}
