//! The metadata of one arch of a repository, put together from what is kept of each RPM.
//!
//! The list of packages is cut into chunks, and each chunk is packed once and kept (`docs/decisions/0005-repository-chunks.md`).
//! A repository is made of chunks that are there, so what it costs is to write and to hash it.

use std::fs::File;
use std::io::{self, BufRead};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use toji_repodata::{
    ChunkKey, ChunkStore, Compression, KeptChunk, MemoryChunks, RepositoryWriter, Sink,
};
use toji_value::{Fault, Value};

use super::init::blocking;
use super::pack;
use super::shelf::Shelf;
use crate::{Call, Hub};

/// How repositories are compressed: what every client since yum reads.
pub(super) const COMPRESSION: Compression = Compression::Gzip(6);
/// Bytes of packed chunks that are kept in memory for dist repositories.
const CHUNK_CACHE: usize = 64 << 20;
/// Raised when the same packages have other metadata.
const FORM: u32 = 1;
/// How often chunks are looked for anew that have gone meanwhile.
const ROUNDS: usize = 4;

/// One line of a repository's lists.
pub(super) struct Listed {
    pub(super) rpm_id: i64,
    pub(super) href: String,
    /// Of the line: what the RPM's metadata are made of.
    digest: String,
}

/// A chunk of a repository.
pub(super) struct Planned {
    pub(super) key: String,
    /// Which packages, by their places in the list.
    pub(super) range: Range<usize>,
}

/// What a repository is made of.
pub(super) struct Content {
    pub(super) listed: Vec<Listed>,
    pub(super) chunks: Vec<Planned>,
}

/// Makes `repodata` in a directory that [`super::init`] prepared; returns the number of packages.
///
/// RPMs without kept metadata (imported by a hub that does not keep any) are read, and theirs are
/// kept from then on.
///
/// # Errors
/// When a listed RPM cannot be read or the files cannot be written.
pub async fn assemble(call: &mut Call, repo_dir: &Path, arch: &str) -> Result<usize, Fault> {
    let dir = repo_dir.join(arch);
    let shelf = Shelf::new(&call.hub.config.topdir, call.now());
    let content = blocking({
        let dir = dir.clone();
        move || plan(read_lists(&dir)?)
    })
    .await?;
    let content = Arc::new(content);
    let comps = repo_dir.join("groups/comps.xml");
    let now = call.now() as i64;
    for _ in 0..ROUNDS {
        pack::missing(call, &shelf, &dir, &content).await?;
        // Nothing of the database is held while files are written.
        call.tx.rest();
        let written = tokio::task::spawn_blocking({
            let (shelf, content) = (shelf.clone(), content.clone());
            let (dir, comps) = (dir.clone(), comps.clone());
            move || write(&shelf, &content, &dir, &comps, now)
        })
        .await;
        match written.map_err(|error| Fault::unexpected(error.to_string()))? {
            Ok(()) => return Ok(content.listed.len()),
            Err(Unwritten::Gone) => continue,
            Err(Unwritten::Failed(error)) => {
                tracing::error!(%error, "a repository cannot be written");
                return Err(Fault::generic(format!("the repository cannot be written: {error}")));
            }
        }
    }
    Err(Fault::generic("the repository cannot be written: its chunks vanish"))
}

/// The RPMs of the directory's lists; both have the same order.
fn read_lists(dir: &Path) -> io::Result<Vec<Listed>> {
    #[derive(Deserialize)]
    struct Line {
        id: i64,
    }
    let packages = io::BufReader::new(File::open(dir.join("pkglist"))?).lines();
    let rpms = io::BufReader::new(File::open(dir.join("rpmlist.jsonl"))?).lines();
    packages
        .zip(rpms)
        .map(|(href, rpm)| {
            let (href, rpm) = (href?, rpm?);
            let invalid = |e: serde_json::Error| io::Error::new(io::ErrorKind::InvalidData, e);
            let Line { id: rpm_id } = serde_json::from_str(&rpm).map_err(invalid)?;
            let digest = Sha256::new().chain_update(&href).chain_update("\n").chain_update(&rpm);
            Ok(Listed { rpm_id, href, digest: hex::encode(digest.finalize()) })
        })
        .collect()
}

/// Cuts the list into chunks, which have other names for other compressions and forms of the text.
fn plan(mut listed: Vec<Listed>) -> io::Result<Content> {
    // The order only depends on the packages, so that chunks are found again.
    listed.sort_unstable_by(|a, b| a.href.cmp(&b.href));
    let ranges = toji_repodata::chunks(listed.iter().map(|one| one.digest.as_str()));
    let named = |range: Range<usize>| {
        let form = format!("{COMPRESSION:?} {FORM}\n");
        let mut key = Sha256::new().chain_update(form);
        listed[range.clone()].iter().for_each(|one| key.update(&one.digest));
        Planned { key: hex::encode(key.finalize()), range }
    };
    let chunks = ranges.into_iter().map(named).collect();
    Ok(Content { listed, chunks })
}

/// Why there is no repository.
enum Unwritten {
    /// A chunk is not there, or not whole.
    Gone,
    Failed(toji_repodata::Error),
}

impl From<toji_repodata::Error> for Unwritten {
    fn from(error: toji_repodata::Error) -> Self {
        Unwritten::Failed(error)
    }
}

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        Unwritten::Failed(error.into())
    }
}

/// Writes the files; `repomd.xml` comes last, so that a reader never sees an incomplete state.
fn write(
    shelf: &Shelf,
    content: &Content,
    dir: &Path,
    comps: &Path,
    now: i64,
) -> Result<(), Unwritten> {
    let mut sink = Directory::new(dir);
    std::fs::create_dir_all(dir.join("repodata"))?;
    let count = content.listed.len() as u64;
    let mut writer = RepositoryWriter::new(&mut sink, count, COMPRESSION, now)?;
    let chunks = content.chunks.iter().map(|planned| -> Result<KeptChunk, Unwritten> {
        shelf.get(&planned.key)?.ok_or(Unwritten::Gone)
    });
    writer.add_kept(chunks)?;
    writer.add_comps(&std::fs::read(comps)?)?;
    writer.finish(&now.to_string())?;
    Ok(())
}

/// The packed chunks that dist repositories of this process share.
#[derive(Clone)]
pub struct Chunks(Arc<Mutex<MemoryChunks>>);

impl Default for Chunks {
    fn default() -> Self {
        Chunks(Arc::new(Mutex::new(MemoryChunks::new(CHUNK_CACHE))))
    }
}

impl ChunkStore for Chunks {
    fn get(&mut self, key: &ChunkKey) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key)
    }

    fn put(&mut self, key: ChunkKey, packed: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(key, packed);
    }
}

/// A directory that files appear in when they are complete.
pub(super) struct Directory {
    dir: PathBuf,
    next: usize,
}

impl Directory {
    /// The repository at `dir`.
    pub(super) fn new(dir: &Path) -> Self {
        Directory { dir: dir.to_owned(), next: 0 }
    }
}

impl Sink for Directory {
    type File = Unfinished;

    fn create(&mut self) -> io::Result<Unfinished> {
        self.next += 1;
        let path = self.dir.join("repodata").join(format!(".new-{}", self.next));
        Ok(Unfinished { file: io::BufWriter::new(File::create(&path)?), path })
    }

    fn publish(&mut self, file: Unfinished, path: &str) -> io::Result<()> {
        let inner = file.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        inner.sync_data()?;
        std::fs::rename(&file.path, self.dir.join(path))
    }
}

/// A file under a name that nobody asks for.
pub(super) struct Unfinished {
    file: io::BufWriter<File>,
    path: PathBuf,
}

impl io::Write for Unfinished {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.file.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Where a repository's directory is.
pub(crate) fn directory(hub: &Hub, repo: &toji_db::Row) -> Result<PathBuf, Fault> {
    let (id, tag): (i64, String) = (repo.get("id")?, repo.get("tag_name")?);
    let dir = match repo.value("dist") {
        Value::Bool(true) => hub.paths.distrepo(id, &tag, None),
        _ => hub.paths.repo(id, &tag),
    };
    Ok(PathBuf::from(dir))
}
