//! Repositories in directories: made of the packages there, changed, merged, checked, compared.

pub mod check;
pub mod create;
pub mod diff;
mod documents;
mod error;
pub mod merge;
pub mod modify;
mod output;
mod pipeline;
mod programs;
mod source;
mod sqlite;
mod store;

pub use error::{Error, Result};
pub use output::{Format, Retain};
pub use source::Source;

/// Is told how far a long work has come.
pub trait Watch: Sync {
    /// `done` of `all` are done.
    fn progress(&self, done: u64, all: u64);

    /// Something that people should read.
    fn warn(&self, text: &str);
}

/// Tells nobody.
impl Watch for () {
    fn progress(&self, _: u64, _: u64) {}

    fn warn(&self, _: &str) {}
}
