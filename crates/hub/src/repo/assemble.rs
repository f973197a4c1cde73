//! The metadata of one arch of a repository, put together from what is kept of each RPM.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use toji_db::fragment::Pieces as Kept;
use toji_repodata::{ChunkKey, ChunkStore, ChunkedWriter, Compression, MemoryChunks, Sink};
use toji_value::{Fault, Value};

use super::init::blocking;
use crate::fragment::{self, PARTS, Stored};
use crate::{Call, Hub};

/// RPMs whose metadata are in memory at a time.
const BATCH: usize = 200;

/// How repositories are compressed: what every client since yum reads.
const COMPRESSION: Compression = Compression::Gzip(6);
/// Bytes of packed chunks that are kept in memory.
const CHUNK_CACHE: usize = 64 << 20;

/// One line of a repository's lists.
struct Listed {
    rpm_id: i64,
    href: String,
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
    // The order only depends on the packages, so that chunks are found again.
    let mut listed = blocking({
        let dir = dir.clone();
        move || read_lists(&dir)
    })
    .await?;
    listed.sort_by(|a, b| a.href.cmp(&b.href));
    let comps = repo_dir.join("groups/comps.xml");
    let count = listed.len();
    let now = call.now() as i64;
    let (batches, inbox) = tokio::sync::mpsc::channel(2);
    let writer = tokio::task::spawn_blocking({
        let dir = dir.clone();
        let chunks = call.hub.chunks.clone();
        move || write(chunks, &dir, &comps, count as u64, now, inbox)
    });
    let mut made = Vec::new();
    let fed = feed(call, &dir, &listed, &batches, &mut made).await;
    drop(batches);
    let written = writer.await.map_err(|error| Fault::unexpected(error.to_string()))?;
    fed?;
    written.map_err(|error| {
        tracing::error!(%error, "a repository cannot be written");
        Fault::generic(format!("the repository cannot be written: {error}"))
    })?;
    for (rpm_id, stored) in made {
        fragment::store(call, rpm_id, &stored).await?;
    }
    Ok(count)
}

/// The RPMs of the directory's lists; both have the same order.
fn read_lists(dir: &Path) -> io::Result<Vec<Listed>> {
    let packages = io::BufReader::new(File::open(dir.join("pkglist"))?).lines();
    let rpms = io::BufReader::new(File::open(dir.join("rpmlist.jsonl"))?).lines();
    packages
        .zip(rpms)
        .map(|(href, rpm)| {
            let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
            let rpm: serde_json::Value =
                serde_json::from_str(&rpm?).map_err(|e| invalid(e.to_string()))?;
            let rpm_id = rpm.get("id").and_then(serde_json::Value::as_i64);
            let rpm_id = rpm_id.ok_or_else(|| invalid("an RPM without id".to_owned()))?;
            Ok(Listed { rpm_id, href: href? })
        })
        .collect()
}

type Batches = tokio::sync::mpsc::Sender<Vec<Kept>>;

/// Gives the writer the kept metadata in the order of the lists.
async fn feed(
    call: &mut Call,
    dir: &Path,
    listed: &[Listed],
    batches: &Batches,
    made: &mut Vec<(i64, Stored)>,
) -> Result<(), Fault> {
    for chunk in listed.chunks(BATCH) {
        let ids: Vec<i64> = chunk.iter().map(|l| l.rpm_id).collect();
        let mut kept = toji_db::fragment::of_rpms(&mut call.tx, &ids).await?;
        let missing = chunk.iter().filter(|l| !complete(kept.get(&l.rpm_id)));
        let missing: Vec<(i64, PathBuf, String)> =
            missing.map(|l| (l.rpm_id, dir.join(&l.href), l.href.clone())).collect();
        if !missing.is_empty() {
            for (rpm_id, stored) in read_rpms(missing).await? {
                kept.insert(rpm_id, stored.clone().into_pieces());
                made.push((rpm_id, stored));
            }
        }
        let batch = chunk.iter().filter_map(|l| kept.remove(&l.rpm_id)).collect();
        if batches.send(batch).await.is_err() {
            // The writer has failed; its own error says why.
            return Ok(());
        }
    }
    Ok(())
}

fn complete(kept: Option<&Kept>) -> bool {
    kept.is_some_and(|kept| PARTS.iter().all(|kind| kept.contains_key(*kind)))
}

async fn read_rpms(files: Vec<(i64, PathBuf, String)>) -> Result<HashMap<i64, Stored>, Fault> {
    let read = tokio::task::spawn_blocking(move || {
        files
            .into_iter()
            .map(|(rpm_id, path, href)| Ok((rpm_id, fragment::make(&path, href)?)))
            .collect::<Result<HashMap<i64, Stored>, Fault>>()
    });
    read.await.map_err(|error| Fault::unexpected(error.to_string()))?
}

/// Writes the files; `repomd.xml` comes last, so that a reader never sees an incomplete state.
fn write(
    mut chunks: Chunks,
    dir: &Path,
    comps: &Path,
    count: u64,
    now: i64,
    mut batches: tokio::sync::mpsc::Receiver<Vec<Kept>>,
) -> toji_repodata::Result<()> {
    let mut sink = Directory::new(dir);
    std::fs::create_dir_all(dir.join("repodata"))?;
    let mut writer = ChunkedWriter::new(&mut sink, &mut chunks, count, COMPRESSION, now)?;
    while let Some(batch) = batches.blocking_recv() {
        for kept in &batch {
            let [primary, filelists, other] = open_texts(kept)?;
            let checksum = hex::encode(Sha256::digest(&primary));
            writer.add(&checksum, [&primary, &filelists, &other])?;
        }
    }
    let comps = std::fs::read(comps)?;
    writer.add_comps(&comps)?;
    writer.finish(&now.to_string())?;
    Ok(())
}

/// The packed chunks that repositories of this process share.
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

fn open_texts(kept: &Kept) -> io::Result<[Vec<u8>; 3]> {
    let mut open = [const { Vec::new() }; 3];
    for (text, name) in open.iter_mut().zip(PARTS) {
        let packed = kept.get(name).map(Vec::as_slice).unwrap_or_default();
        let mut decoder = toji_repodata::decoder("x.zst", packed).map_err(io::Error::other)?;
        decoder.read_to_end(text)?;
    }
    Ok(open)
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
