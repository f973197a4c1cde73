//! What is in zip files, tarballs and packages.

mod payload;
mod tar;
mod zip;

pub use payload::{Unpacked, unpack};

use std::path::Path;

use crate::{Error, Result, Source};

/// More members than this are not listed.
const MOST: usize = 1_000_000;

/// The container formats that can be looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// Zip, also as jar and the like.
    Zip,
    /// Tar, plain or compressed with gzip, bzip2, xz or zstd.
    Tar,
}

/// One member of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its path as the container has it.
    pub name: String,
    /// Its size unpacked, in bytes.
    pub size: u64,
    /// When it was changed, seconds since 1970; zip files do not tell the zone, UTC is assumed.
    pub mtime: i64,
    /// What only tarballs know.
    pub unix: Option<Unix>,
}

/// Mode and owner of a member of a tarball.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unix {
    /// Permission bits.
    pub mode: u32,
    /// Name of the owner.
    pub user: String,
    /// Name of the group.
    pub group: String,
}

/// The members of a container in their order; none if the file does not exist.
///
/// # Errors
/// When the file is no such container, or is broken.
pub fn members(path: &Path, container: Container) -> Result<Vec<Member>> {
    match std::fs::File::open(path) {
        Ok(file) => members_of(file, path, container),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(Error::io(path)(e)),
    }
}

/// The same of what is open already; the path is for errors.
///
/// # Errors
/// When the file is no such container, or is broken.
pub fn members_of(
    file: impl Source + 'static,
    path: &Path,
    container: Container,
) -> Result<Vec<Member>> {
    let listed = match container {
        Container::Zip => zip::members(file),
        Container::Tar => tar::members(file),
    };
    listed.map_err(|problem| Error::Container { path: path.to_owned(), problem })
}
