//! Which packages satisfy a wish, with dnf's answers: libsolv over repository metadata.
//!
//! libsolv is given names and versions that this crate has read and measured, never a document from outside: its
//! tables grow with what they are given, and it ends the process when memory does. See [`limits`] for the bounds.

#![cfg_attr(
    feature = "libsolv",
    expect(unsafe_code, reason = "this crate is the boundary to the C library")
)]

#[cfg(not(feature = "libsolv"))]
mod absent;
#[cfg(feature = "libsolv")]
mod ffi;
#[cfg(not(feature = "libsolv"))]
use absent as ffi;

mod answer;
mod build;
mod error;
mod glob;
mod job;
pub mod limits;
mod package;
mod plan;
mod pool;
mod query;
mod rich;
mod subject;
mod why;

pub use answer::{Answer, Problem, Reason, Unsolvable};
pub use error::{Error, Result};
pub use job::{Job, Want};
pub use package::{Package, Repository};
pub use plan::{Chosen, Plan};
pub use pool::Pool;
pub use query::Dependant;
pub use why::Link;
