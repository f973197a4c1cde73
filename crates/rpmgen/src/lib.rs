//! RPM packages to test and measure with: built by rpmbuild, converted from Debian packages, or crafted byte by byte.

pub mod craft;
pub mod debian;
mod files;
pub mod limit;
pub mod odd;
mod rpmbuild;
pub mod signed;
pub mod synthetic;
pub mod universe;
pub mod variants;

pub use rpmbuild::{Rpmbuild, find_rpms};
