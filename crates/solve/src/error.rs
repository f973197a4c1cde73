//! Why there is no answer at all; a set that cannot be installed is an answer.

/// A question that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The library is not there, or not one that can be used.
    #[error("cannot load the system's libsolv (libsolv.so.1): {0}")]
    Library(String),
    /// This program was built without the solver.
    #[error("this program was built without the dependency solver")]
    Without,
    /// No memory for a pool.
    #[error("no memory for the solver")]
    Memory,
    /// No arch has such a name.
    #[error("bad arch: {0:?}")]
    Arch(String),
    /// More than a pool or a question may have.
    #[error("too many or too long {0}")]
    Limit(&'static str),
    /// The question took longer than it may; the pool is of no use any more.
    #[error("the solver found no answer in {0} s")]
    Time(f32),
    /// A time-out before has spoilt the pool.
    #[error("the pool is spoilt by a question that took too long")]
    Spoilt,
    /// Metadata that cannot be read.
    #[error(transparent)]
    Metadata(#[from] toji_repodata::Error),
    /// A package that no lockfile may have.
    #[error(transparent)]
    Lockfile(#[from] toji_types::LockfileError),
}

/// The result of a question.
pub type Result<T, E = Error> = std::result::Result<T, E>;
