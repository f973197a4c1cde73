//! Makes the chunks of a repository that are not kept yet.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toji_db::fragment::Pieces as Kept;
use toji_repodata::KeptChunk;
use toji_value::Fault;
use tokio::task::{JoinError, JoinSet};

use super::assemble::{COMPRESSION, Content, Planned};
use super::shelf::Shelf;
use crate::Call;
use crate::fragment::{self, PARTS, Stored};

/// Makes every chunk that the shelf does not have, as many at a time as there are processors.
///
/// # Errors
/// When an RPM cannot be read or the disk is full.
pub(super) async fn missing(
    call: &mut Call,
    shelf: &Shelf,
    dir: &Path,
    content: &Arc<Content>,
) -> Result<(), Fault> {
    let absent = absent(shelf, content).await?;
    if absent.is_empty() {
        return Ok(());
    }
    let mut at_work = JoinSet::new();
    for planned in absent.iter().map(|at| &content.chunks[*at]) {
        while at_work.len() >= processors() {
            done(at_work.join_next().await)?;
        }
        let kept = texts(call, dir, content, planned).await?;
        let (shelf, key) = (shelf.clone(), planned.key.clone());
        at_work.spawn_blocking(move || make(&shelf, &key, &kept));
    }
    while !at_work.is_empty() {
        done(at_work.join_next().await)?;
    }
    let shelf = shelf.clone();
    super::init::blocking(move || shelf.trim()).await
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Which chunks are not there.
async fn absent(shelf: &Shelf, content: &Arc<Content>) -> Result<Vec<usize>, Fault> {
    let (shelf, content) = (shelf.clone(), content.clone());
    super::init::blocking(move || {
        let chunks = content.chunks.iter().enumerate();
        Ok(chunks.filter(|(_, planned)| !shelf.has(&planned.key)).map(|(at, _)| at).collect())
    })
    .await
}

fn done(joined: Option<Result<toji_repodata::Result<()>, JoinError>>) -> Result<(), Fault> {
    match joined {
        None | Some(Ok(Ok(()))) => Ok(()),
        Some(Ok(Err(error))) => {
            tracing::error!(%error, "a chunk of a repository cannot be made");
            Err(Fault::generic(format!("the repository cannot be written: {error}")))
        }
        Some(Err(error)) => Err(Fault::unexpected(error.to_string())),
    }
}

/// The kept metadata of a chunk's packages, in order; what is missing is made of the files and kept.
async fn texts(
    call: &mut Call,
    dir: &Path,
    content: &Content,
    planned: &Planned,
) -> Result<Vec<Kept>, Fault> {
    let listed = &content.listed[planned.range.clone()];
    let ids: Vec<i64> = listed.iter().map(|one| one.rpm_id).collect();
    let mut kept = toji_db::fragment::of_rpms(&mut call.tx, &ids).await?;
    let missing = listed.iter().filter(|one| !complete(kept.get(&one.rpm_id)));
    let missing: Vec<(i64, PathBuf, String)> =
        missing.map(|one| (one.rpm_id, dir.join(&one.href), one.href.clone())).collect();
    if !missing.is_empty() {
        call.tx.rest();
        let made = read_rpms(&call.hub.store, missing).await?;
        // In a transaction of their own: reading all files of a large tag takes minutes.
        let mut tx = call.hub.db.begin_write().await?;
        for (rpm_id, stored) in &made {
            fragment::store_in(&mut tx, *rpm_id, stored).await?;
        }
        tx.commit().await?;
        kept.extend(made.into_iter().map(|(rpm_id, stored)| (rpm_id, stored.into_pieces())));
    }
    Ok(listed.iter().filter_map(|one| kept.remove(&one.rpm_id)).collect())
}

fn complete(kept: Option<&Kept>) -> bool {
    kept.is_some_and(|kept| PARTS.iter().all(|kind| kept.contains_key(*kind)))
}

async fn read_rpms(
    store: &toji_store::Store,
    files: Vec<(i64, PathBuf, String)>,
) -> Result<HashMap<i64, Stored>, Fault> {
    let share = files.len().div_ceil(processors()).max(1);
    let mut at_work = JoinSet::new();
    let mut files = files.into_iter().peekable();
    while files.peek().is_some() {
        let some: Vec<_> = files.by_ref().take(share).collect();
        let store = store.clone();
        at_work.spawn_blocking(move || {
            some.into_iter()
                .map(|(rpm_id, path, href)| Ok((rpm_id, fragment::make(&store, &path, href)?)))
                .collect::<Result<Vec<(i64, Stored)>, Fault>>()
        });
    }
    let mut read = HashMap::new();
    while let Some(some) = at_work.join_next().await {
        read.extend(some.map_err(|error| Fault::unexpected(error.to_string()))??);
    }
    Ok(read)
}

fn make(shelf: &Shelf, key: &str, kept: &[Kept]) -> toji_repodata::Result<()> {
    let mut texts = [const { Vec::new() }; 3];
    for pieces in kept {
        for (text, name) in texts.iter_mut().zip(PARTS) {
            let packed = pieces.get(name).map(Vec::as_slice).unwrap_or_default();
            let mut decoder = toji_repodata::decoder("x.zst", packed).map_err(io::Error::other)?;
            decoder.read_to_end(text)?;
        }
    }
    let texts = texts.each_ref().map(Vec::as_slice);
    let chunk = KeptChunk::make(kept.len() as u64, texts, COMPRESSION)?;
    Ok(shelf.put(key, &chunk)?)
}
