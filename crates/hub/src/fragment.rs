//! The repository metadata of one RPM: made from its file, kept in the database.
//!
//! Kept is the text of each part; how repositories are put together from it is in
//! `docs/decisions/0005-repository-chunks.md`.

pub mod job;
mod wanted;

use std::io::{BufReader, Read};
use std::path::Path;

use sha2::{Digest, Sha256};
use toji_db::Tx;
use toji_repodata::{Compression, Options, PackageFile, pack};
use toji_rpmfile::{Limits, Package};
use toji_store::Store;
use toji_value::Fault;

use crate::Call;

/// How the text is kept.
const KEPT: Compression = Compression::Zstd(3);

/// The parts of a repository, in the order of their files, by the names of their pieces.
pub(crate) const PARTS: [&str; 3] = ["primary", "filelists", "other"];

/// The stored form of an RPM's metadata.
#[derive(Clone, Debug)]
pub struct Stored(Vec<(&'static str, Vec<u8>)>);

/// Reads an RPM file and makes its metadata; `href` is its place relative to a repository.
///
/// Blocks: call it on a thread for blocking work.
///
/// # Errors
/// When the file cannot be read or is no RPM.
pub fn make(store: &Store, file: &Path, href: String) -> Result<Stored, Fault> {
    let wrong = |error: &dyn std::fmt::Display| {
        Fault::import(format!("cannot read {}: {error}", file.display()))
    };
    let missing = || wrong(&"no such file");
    let (size, modified) = store.file(file).map_err(|e| wrong(&e))?.ok_or_else(missing)?;
    let opened = store.open(file).map_err(|e| wrong(&e))?;
    let mut reader = BufReader::with_capacity(128 << 10, opened);
    let sha256 = sha256(&mut reader).map_err(|e| wrong(&e))?;
    let mut reader = BufReader::new(store.open(file).map_err(|e| wrong(&e))?);
    let package = Package::read(&mut reader, &Limits::default()).map_err(|e| wrong(&e))?;
    let pieces = pieces(&package, href, size, seconds(modified), sha256);
    pieces.map(Stored).map_err(|e| wrong(&e))
}

/// Whole seconds since 1970.
pub(crate) fn seconds(time: Option<std::time::SystemTime>) -> i64 {
    let since = time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// The metadata of a package in the stored form: kind and data.
///
/// # Errors
/// When the header lacks what the metadata need.
pub fn pieces(
    package: &Package,
    href: String,
    size: u64,
    mtime: i64,
    sha256: String,
) -> toji_repodata::Result<Vec<(&'static str, Vec<u8>)>> {
    let place = PackageFile { href, base: None, size, mtime, sha256 };
    let made = toji_repodata::fragment(package, &place, &Options::default())?;
    let texts = [made.primary, made.filelists, made.other];
    let packed = PARTS.into_iter().zip(texts);
    packed.map(|(kind, text)| Ok((kind, pack(text.as_bytes(), KEPT)?))).collect()
}

fn sha256(reader: &mut impl Read) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// Keeps the metadata of an RPM.
///
/// # Errors
/// When the database fails.
pub async fn store(call: &mut Call, rpm_id: i64, stored: &Stored) -> Result<(), Fault> {
    store_in(&mut call.tx, rpm_id, stored).await
}

/// As [`store`], in a transaction that is given.
pub(crate) async fn store_in(tx: &mut Tx, rpm_id: i64, stored: &Stored) -> Result<(), Fault> {
    for (kind, data) in &stored.0 {
        toji_db::rpm::insert_fragment(tx, rpm_id, kind, data.clone()).await?;
    }
    Ok(())
}

impl Stored {
    /// The pieces by kind, as the database gives them.
    pub(crate) fn into_pieces(self) -> toji_db::fragment::Pieces {
        self.0.into_iter().map(|(kind, data)| (kind.to_owned(), data)).collect()
    }
}

/// Where an RPM lies relative to the directory of one arch of a repository.
pub fn href(build: &toji_db::Row, rpm: &toji_db::Row) -> Result<String, Fault> {
    use toji_types::path::{BuildRef, RpmRef};
    let layout = toji_types::PathInfo::new("toplink");
    let (name, version, release): (String, String, String) =
        (build.get("package_name")?, build.get("version")?, build.get("release")?);
    let volume: Option<String> = build.get("volume_name")?;
    let dir = layout.build(BuildRef {
        volume: volume.as_deref(),
        name: &name,
        version: &version,
        release: &release,
    });
    let (name, version, release, arch): (String, String, String, String) =
        (rpm.get("name")?, rpm.get("version")?, rpm.get("release")?, rpm.get("arch")?);
    let file =
        layout.rpm(RpmRef { name: &name, version: &version, release: &release, arch: &arch });
    Ok(format!("{dir}/{file}"))
}
