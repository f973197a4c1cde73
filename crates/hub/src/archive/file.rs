//! Uploaded files: found, opened safely and hashed before anything is written.

use std::path::PathBuf;

use toji_store::{Algorithm, Area, Store};
use toji_types::ChecksumType;
use toji_value::Fault;

use crate::Call;
use crate::upload::open::open;

/// A file that shall be read.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Its path, relative to the work directory.
    pub rel: String,
    /// A further checksum that is wanted.
    pub verify: Option<Algorithm>,
    /// Whether MD5 and SHA-1 are wanted too, for the files that Maven has beside each file.
    pub maven: bool,
}

/// An uploaded file that was read and hashed.
#[derive(Clone, Debug)]
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// Its name without directories.
    pub name: String,
    /// Its size in bytes.
    pub size: i64,
    /// SHA-256 of its content.
    pub sha256: String,
    /// The further checksum that was wanted.
    pub verified: Option<String>,
    /// MD5 and SHA-1.
    pub maven: Option<(String, String)>,
    /// Whether it is a regular file and no link to one.
    pub regular: bool,
}

/// Makes a path plain and keeps it below the directory that it is relative to.
///
/// # Errors
/// An unexpected fault (a Koji hub's own, code 1) for a path that leaves it.
pub fn plain(path: &str) -> Result<String, Fault> {
    let wrong = |_| Fault::unexpected(format!("Invalid path segment: {path}"));
    toji_store::normalize(path).map_err(wrong)
}

/// Joins paths, each of which must stay below the one before.
///
/// # Errors
/// As [`plain`].
pub fn join(parts: &[&str]) -> Result<String, Fault> {
    let mut joined: Vec<String> = Vec::new();
    for part in parts {
        joined.push(plain(part)?);
    }
    joined.retain(|part| !part.is_empty());
    Ok(joined.join("/"))
}

/// Reads and hashes files below the work directory; nothing stands for one that does not exist.
///
/// # Errors
/// When a file is not below the work directory or cannot be read.
pub async fn read(call: &Call, wanted: Vec<Wanted>) -> Result<Vec<Option<Found>>, Fault> {
    let (area, store) = (Area::new(call.hub.paths.work(None)), call.hub.store.clone());
    let work = move || wanted.into_iter().map(|one| hash(&store, &area, one)).collect();
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Fault::unexpected("reading of uploaded files ended early"))?
}

/// Reads and hashes one file below the work directory.
///
/// # Errors
/// When it does not exist or cannot be read.
pub async fn need(call: &Call, wanted: Wanted) -> Result<Found, Fault> {
    let missing = missing(call, &wanted.rel);
    read(call, vec![wanted]).await?.pop().flatten().ok_or(missing)
}

/// The fault for an uploaded file that does not exist.
pub fn missing(call: &Call, rel: &str) -> Fault {
    Fault::generic(format!("No such file: {}/{rel}", call.hub.paths.work(None)))
}

fn hash(store: &Store, area: &Area, wanted: Wanted) -> Result<Option<Found>, Fault> {
    let rel = plain(&wanted.rel)?;
    let wrong = |e: toji_store::Error| Fault::generic(e.to_string());
    let mut opened = match open(store, area, &rel) {
        Ok(opened) => opened,
        Err(e) if e.is_missing() => return Ok(None),
        Err(e) => return Err(wrong(e)),
    };
    let mut algorithms = vec![Algorithm::Sha256];
    algorithms.extend(wanted.verify);
    if wanted.maven {
        algorithms.extend([Algorithm::Md5, Algorithm::Sha1]);
    }
    let hashed = toji_store::hash_of(&mut opened.file, &opened.path, &algorithms);
    let (sums, size) = hashed.map_err(wrong)?;
    let mut sums = sums.into_iter();
    let sha256 = sums.next().unwrap_or_default();
    opened.check(&sha256).map_err(wrong)?;
    Ok(Some(Found {
        name: rel.rsplit('/').next().unwrap_or(&rel).to_owned(),
        regular: opened.regular,
        path: opened.path,
        size: i64::try_from(size).unwrap_or(i64::MAX),
        sha256,
        verified: if wanted.verify.is_some() { sums.next() } else { None },
        maven: sums.next().zip(sums.next()),
    }))
}

/// The algorithm of a checksum type.
pub fn algorithm(kind: ChecksumType) -> Algorithm {
    match kind {
        ChecksumType::Md5 => Algorithm::Md5,
        ChecksumType::Sha1 => Algorithm::Sha1,
        ChecksumType::Sha256 => Algorithm::Sha256,
    }
}
