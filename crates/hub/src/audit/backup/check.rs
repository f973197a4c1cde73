//! Proof of a backup: every file that its points need is there and is what it was.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use toji_db::scan::Progress;
use toji_store::Error;
use toji_store::vault::Vault;
use toji_value::Fault;

use super::super::{Finding, Kind, Watch, What};
use super::manifest::Reader;
use super::point::Point;
use crate::files;

/// Contents that are read together.
const TOGETHER: usize = 256;

/// How closely is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Names and lengths of contents; lists and databases are read.
    Names,
    /// Every byte.
    Contents,
}

/// Checks points; each content is looked at once. Tells how much was looked at, and how much of it is wrong.
///
/// # Errors
/// When the directory cannot be read at all, or the run is stopped.
pub async fn check(
    vault: &Arc<Vault>,
    points: &[Point],
    depth: Depth,
    watch: &dyn Watch,
) -> Result<Progress, Fault> {
    let mut progress = Progress::default();
    let mut known: HashSet<[u8; 32]> = HashSet::new();
    for point in points {
        let tell = |found: Vec<Finding>, progress: &mut Progress| {
            progress.damaged += found.len() as u64;
            found.iter().for_each(|finding| watch.tell(finding));
        };
        tell(database(vault, point).await, &mut progress);
        let (at, wanted) = (vault.clone(), point.clone());
        let opened =
            files::blocking(move || Reader::open(&wanted.part(&at, &wanted.manifest)?)).await;
        let mut list = match opened {
            Ok(list) => list,
            Err(error) => {
                tell(vec![broken(vault, point, &point.manifest.name, error)], &mut progress);
                continue;
            }
        };
        loop {
            let (at, halted) = (vault.clone(), watch.halted());
            let mut seen = std::mem::take(&mut known);
            let work = move || {
                let (mut found, mut files, mut bytes) = (Vec::new(), 0, 0);
                let mut ended = true;
                for entry in list.by_ref() {
                    let entry = entry?;
                    let mut digest = [0; 32];
                    if !entry.is_kept() {
                        continue;
                    }
                    let named = hex::decode_to_slice(&entry.sha256, &mut digest).is_ok();
                    if named && !seen.insert(digest) {
                        continue;
                    }
                    found.extend(content(&at, &entry, depth, &halted)?);
                    files += 1;
                    bytes += entry.size;
                    if files >= TOGETHER as u64 {
                        ended = false;
                        break;
                    }
                }
                Ok((list, seen, found, files, bytes, ended))
            };
            let (left, seen, found, files, bytes, ended) = files::blocking(work).await?;
            (list, known) = (left, seen);
            progress.files += files;
            progress.bytes += bytes;
            tell(found, &mut progress);
            if ended {
                break;
            }
            if watch.stopped() {
                return Err(Fault::generic("interrupted"));
            }
        }
        watch.progress(&progress);
    }
    Ok(progress)
}

/// Looks at a content.
fn content(
    vault: &Vault,
    entry: &super::Entry,
    depth: Depth,
    halted: &std::sync::atomic::AtomicBool,
) -> Result<Option<Finding>, Error> {
    let shown = format!("{} ({})", entry.sha256, entry.path);
    let wrong = |kind, detail: String| Some(Finding::new(kind, What::File, &shown, detail));
    if let Err(error) = vault.path(&entry.sha256) {
        return Ok(wrong(Kind::Unreadable, error.to_string()));
    }
    let path = vault.path(&entry.sha256)?;
    let size = match std::fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_file() => meta.len(),
        Ok(_) => return Ok(wrong(Kind::NotAFile, String::new())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Ok(wrong(Kind::Missing, String::new()));
        }
        Err(e) => return Ok(wrong(Kind::Unreadable, e.to_string())),
    };
    let detail = || format!("{size} bytes instead of {}", entry.size);
    match size {
        size if size < entry.size => return Ok(wrong(Kind::Truncated, detail())),
        size if size > entry.size => return Ok(wrong(Kind::Longer, detail())),
        _ if depth == Depth::Names => return Ok(None),
        _ => {}
    }
    match vault.read(&entry.sha256, std::io::sink(), halted) {
        Ok(_) => Ok(None),
        Err(Error::Halted) => Err(Error::Halted),
        Err(Error::Digest { found, .. }) => Ok(wrong(Kind::Changed, format!("SHA-256 {found}"))),
        Err(error) => Ok(wrong(Kind::Unreadable, error.to_string())),
    }
}

/// Looks at the database of a point.
async fn database(vault: &Arc<Vault>, point: &Point) -> Vec<Finding> {
    let name = &point.database.name;
    match unpacked(vault, point, None).await {
        Err(error) => vec![broken(vault, point, name, error)],
        Ok(file) => match toji_db::snapshot::check(point.engine(), file.path()).await {
            Ok(()) => Vec::new(),
            Err(error) => vec![broken(vault, point, name, error.into())],
        },
    }
}

fn broken(vault: &Vault, point: &Point, name: &str, error: Fault) -> Finding {
    let path = point.dir(vault).join(name);
    Finding::new(Kind::Unreadable, What::File, path.display().to_string(), error.message)
}

/// The database of a point as a file that its engine reads.
pub(super) enum Database {
    /// It is kept as such.
    Kept(std::path::PathBuf),
    /// It was unpacked to a place that goes with this.
    Unpacked(tempfile::TempPath),
}

impl Database {
    pub(super) fn path(&self) -> &Path {
        match self {
            Database::Kept(path) => path,
            Database::Unpacked(path) => path,
        }
    }
}

/// The database of a point, unpacked if need be, to a directory that has the room or to the usual one.
pub(super) async fn unpacked(
    vault: &Arc<Vault>,
    point: &Point,
    room: Option<&Path>,
) -> Result<Database, Fault> {
    let (vault, point) = (vault.clone(), point.clone());
    let room = room.map_or_else(std::env::temp_dir, Path::to_owned);
    files::blocking(move || {
        let path = point.part(&vault, &point.database)?;
        if point.engine() == toji_db::Engine::Postgres {
            return Ok(Database::Kept(path));
        }
        let io = |e| Error::io(&path)(e);
        let plain = tempfile::Builder::new().prefix(".toji-restore").tempfile_in(&room);
        let mut plain = plain.map_err(Error::io(&room))?;
        let packed = std::fs::File::open(&path).map_err(io)?;
        zstd::stream::copy_decode(packed, plain.as_file_mut()).map_err(io)?;
        Ok(Database::Unpacked(plain.into_temp_path()))
    })
    .await
}
