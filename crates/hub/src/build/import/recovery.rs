//! What is done with the journal of imports after a crash.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toji_db::{Engine, Row};
use toji_store::Error;
use toji_value::Fault;

use super::place::{NOTES, of_value};
use crate::Hub;
use crate::files::{self, After, Placement};

/// How long a hub may be unseen before its imports are taken over.
const RETURN: Duration = Duration::from_secs(1);

/// Finishes what was committed and undoes what was not, of imports that were under way at least
/// `age` seconds ago; returns how many there were.
///
/// What is undone is claimed first: whoever is still about it cannot commit it any more.
///
/// # Errors
/// When the database fails.
pub async fn recover(hub: &Hub, age: f64) -> Result<usize, Fault> {
    let mut tx = hub.db.begin();
    let rows = toji_db::journal::older_than(&mut tx, age).await?;
    tx.rollback().await?;
    let mut count = end(hub, rows).await?;
    if hub.db.engine() == Engine::Sqlite {
        for placement in notes(hub, age).await? {
            tracing::warn!(note = ?placement.note, "an import was interrupted before its commit");
            sweep(&placement).await?;
            files::undo(hub, without_known(hub, placement).await?).await;
            count += 1;
        }
    }
    Ok(count)
}

/// Does the same with imports, however young, of hubs that do not live: the database has seen their connections end.
///
/// # Errors
/// When the database fails.
pub async fn recover_gone(hub: &Hub) -> Result<usize, Fault> {
    let first = gone(hub).await?;
    if first.is_empty() {
        return Ok(0);
    }
    // One whose connection was cut, by a restart of the database say, has a new one by then.
    tokio::time::sleep(RETURN).await;
    let mut holders = gone(hub).await?;
    holders.retain(|holder| first.contains(holder));
    let mut tx = hub.db.begin();
    let rows = toji_db::journal::of_holders(&mut tx, &holders).await?;
    tx.rollback().await?;
    end(hub, rows).await
}

async fn gone(hub: &Hub) -> Result<Vec<i64>, Fault> {
    let mut tx = hub.db.begin();
    let holders = toji_db::presence::gone(&mut tx).await?;
    tx.rollback().await?;
    Ok(holders)
}

/// Ends the imports of these entries: each is taken over first, so of several hubs one does it, and whoever is still
/// about it cannot commit it any more.
async fn end(hub: &Hub, rows: Vec<Row>) -> Result<usize, Fault> {
    let mut count = 0;
    for row in rows {
        let (id, state): (i64, String) = (row.get("id")?, row.get("state")?);
        let placement = of_value(Some(id), row.value("steps"));
        let mut tx = hub.db.begin_write().await?;
        let claimed = toji_db::journal::claim(&mut tx, id, &state, row.get("holder")?).await?;
        tx.commit().await?;
        if !claimed {
            // It was committed at this moment, has come to its end, or is another hub's.
            continue;
        }
        sweep(&placement).await?;
        match state.as_str() {
            "committed" => files::finish(hub, placement).await,
            _ => files::undo(hub, without_known(hub, placement).await?).await,
        }
        tracing::warn!(journal = id, state, "an import was interrupted");
        count += 1;
    }
    Ok(count)
}

/// Removes what interrupted writes have left under passing names.
async fn sweep(placement: &Placement) -> Result<(), Fault> {
    let Placement { steps, written, note, after, .. } = placement.clone();
    files::blocking(move || {
        let placed = steps.iter().flat_map(|step| [&step.from, &step.to]);
        let links = after.iter().filter_map(|after| match after {
            After::Link(at, _) => Some(at),
            _ => None,
        });
        let paths = placed.chain(&written).chain(&note).chain(links);
        toji_store::sweep(paths.map(PathBuf::as_path))
    })
    .await
}

/// What is noted, but was never committed, of at least `age` seconds ago.
///
/// A note is written and its row committed while the database's only writer is held. Who holds the writer here sees a
/// note without a row only if its call has come to no end, or to a bad one.
async fn notes(hub: &Hub, age: f64) -> Result<Vec<Placement>, Fault> {
    let dir = Path::new(hub.paths.topdir()).join(NOTES);
    let before = hub.now() - age;
    let read = move || {
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io(&dir)(error)),
        };
        let mut texts = Vec::new();
        for entry in entries {
            let path = entry.map_err(Error::io(&dir))?.path();
            let told = match path.metadata().and_then(|meta| meta.modified()) {
                Ok(time) => time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default(),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::io(&path)(error)),
            };
            if age > 0.0 && told.as_secs_f64() > before {
                continue;
            }
            if path.extension().is_some_and(|end| end == "json") {
                texts.push(std::fs::read_to_string(&path).map_err(Error::io(&path))?);
            } else {
                // A note that was not written to its end stands for nothing.
                toji_store::remove_tree(&path)?;
            }
        }
        Ok(texts)
    };
    let mut writer = hub.db.begin_write().await?;
    let texts = files::blocking(read).await?;
    let mut known = Vec::new();
    for row in toji_db::journal::older_than(&mut writer, 0.0).await? {
        known.extend(of_value(None, row.value("steps")).note);
    }
    writer.rollback().await?;
    let mut found = Vec::new();
    for text in texts {
        let placement = of_value(None, &crate::json::loads(&text, "a note of an import")?);
        if placement.note.as_ref().is_some_and(|note| !known.contains(note)) {
            found.push(placement);
        }
    }
    Ok(found)
}

/// Leaves out what belongs to an import that was committed meanwhile: of two imports of one build
/// the broken one must not take the other's files away.
async fn without_known(hub: &Hub, mut placement: Placement) -> Result<Placement, Fault> {
    let places: Vec<&Path> = placement.steps.iter().map(|step| step.to.as_path()).collect();
    let written = placement.written.iter().map(PathBuf::as_path);
    let paths = places.iter().copied().chain(written);
    let paths: Vec<String> = paths.map(|path| files::below(hub, path)).collect();
    let mut tx = hub.db.begin();
    let known = toji_db::journal::known(&mut tx, &paths).await?;
    let mut trees = Vec::new();
    for tree in std::mem::take(&mut placement.trees) {
        // In an object store a move ends where it begins to write: another one may have been committed there.
        if !toji_db::journal::any_below(&mut tx, &files::below(hub, &tree)).await? {
            trees.push(tree);
        }
    }
    tx.rollback().await?;
    placement.trees = trees;
    let is_known = |path: &Path| known.contains(&files::below(hub, path));
    let foreign = places.into_iter().any(is_known);
    placement.steps.retain(|step| !is_known(&step.to));
    // What lies beside another import's files may be that import's, too.
    placement.written.retain(|path| !foreign && !is_known(path));
    Ok(placement)
}
