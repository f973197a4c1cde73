//! What is done with the journal of imports after a crash.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toji_db::{Engine, Hold, Row, presence};
use toji_store::Error;
use toji_value::Fault;

use super::others;
use super::place::{NOTES, of_value};
use crate::Hub;
use crate::files::{self, After, Placement};

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
    let hold = hub.db.hold(true);
    let mut claimed = Vec::new();
    for row in rows {
        let (id, state): (i64, String) = (row.get("id")?, row.get("state")?);
        let mut tx = hub.db.begin_write().await?;
        // Otherwise it was committed at this moment, has come to its end, or is another hub's.
        if toji_db::journal::claim(&mut tx, id, &state, row.get("holder")?).await? {
            claimed.push(row);
        }
        tx.commit().await?;
    }
    let mut count = end(hub, claimed, hold, Then::Forget).await?;
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
/// A hub whose process this machine knows to have ended is known to be gone. Any other one may go on for a while without
/// the database's word, or come back; it is kept away, and waited for, until it certainly does nothing more. What it
/// was at in that moment is looked for once more, later, by [`look_again`].
///
/// # Errors
/// When the database fails.
pub async fn recover_gone(hub: &Hub) -> Result<usize, Fault> {
    let (dead, unseen) = gone(hub).await?;
    let count = of_dead(hub, &dead).await?;
    Ok(count + of_unseen(hub, unseen).await?)
}

/// Does so with imports of hubs whose processes have ended on this machine: there is nothing to wait for.
///
/// # Errors
/// When the database fails.
pub async fn recover_dead(hub: &Hub) -> Result<usize, Fault> {
    let (dead, _) = gone(hub).await?;
    of_dead(hub, &dead).await
}

/// Looks once more at what imports of hubs have left that were only thought to be gone.
///
/// # Errors
/// When the database fails.
pub async fn look_again(hub: &Hub) -> Result<usize, Fault> {
    if hub.db.present().is_none() {
        return Ok(0);
    }
    let hold = hub.db.hold(true);
    let mut tx = hub.db.begin_write().await?;
    let age = presence::settled(hub.db.trust()).as_secs_f64();
    let rows = toji_db::journal::claim_kept(&mut tx, age).await?;
    tx.commit().await?;
    end(hub, rows, hold, Then::Forget).await
}

/// Hubs that do not live and have left something: those whose processes have ended, and others with how long they go on.
async fn gone(hub: &Hub) -> Result<(Vec<i64>, Vec<(i64, Duration)>), Fault> {
    let mut tx = hub.db.begin();
    let rows = presence::gone(&mut tx).await?;
    tx.rollback().await?;
    let (mut dead, mut unseen) = (Vec::new(), Vec::new());
    for row in rows {
        let (process, trust) = presence::signature(row.value("steps"));
        match process.is_some_and(|process| crate::process::has_ended(&process)) {
            true => dead.push(row.get("holder")?),
            false => unseen.push((row.get("holder")?, trust.unwrap_or(presence::TRUST))),
        }
    }
    Ok((dead, unseen))
}

async fn of_dead(hub: &Hub, holders: &[i64]) -> Result<usize, Fault> {
    if holders.is_empty() {
        return Ok(0);
    }
    let hold = hub.db.hold(true);
    let mut tx = hub.db.begin_write().await?;
    let rows = toji_db::journal::claim_all(&mut tx, holders).await?;
    tx.commit().await?;
    end(hub, rows, hold, Then::Forget).await
}

/// The same for hubs that may go on for some time after their locks were free.
async fn of_unseen(hub: &Hub, unseen: Vec<(i64, Duration)>) -> Result<usize, Fault> {
    let Some(longest) = unseen.iter().map(|(_, trust)| *trust).max() else { return Ok(0) };
    let holders: Vec<i64> = unseen.into_iter().map(|(holder, _)| holder).collect();
    let hold = hub.db.hold(true);
    let mut tx = hub.db.begin_write().await?;
    // As long as this transaction lasts nobody's word is given to them any more.
    let holders = presence::keep_away(&mut tx, &holders).await?;
    if holders.is_empty() {
        return Ok(0);
    }
    let begin = presence::boot_time();
    while presence::boot_time() - begin < presence::certain(longest) {
        if presence::is_awaited(&mut tx, &holders).await? {
            // It lives, and has lost its connection only: it goes on with what it was at.
            tx.rollback().await?;
            return Ok(0);
        }
        tokio::time::sleep(longest / 20).await;
    }
    let rows = toji_db::journal::claim_all(&mut tx, &holders).await?;
    tx.commit().await?;
    end(hub, rows, hold, Then::Keep).await
}

/// What becomes of an entry whose work was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// It is over.
    Forget,
    /// It is looked at once more: whose it was may have been at a last step.
    Keep,
}

/// Ends the imports of entries that were taken over: of several hubs one has done so, and whoever is still about them cannot
/// commit them any more.
async fn end(hub: &Hub, rows: Vec<Row>, hold: Option<Hold>, then: Then) -> Result<usize, Fault> {
    let count = rows.len();
    for row in rows {
        let (id, state): (i64, String) = (row.get("id")?, row.get("state")?);
        let mut placement = of_value(Some(id), row.value("steps"));
        placement.hold = hold.as_ref().map(|hold| Arc::new(hold.of_another()));
        tracing::warn!(journal = id, state, "an import was interrupted");
        if state == "committed" {
            sweep(&placement).await?;
            files::finish(hub, placement).await;
            continue;
        }
        let shared = hub.db.engine() == Engine::Postgres;
        let anew = shared && others::placed_anew(hub, &placement).await?;
        let mut taken_back = None;
        if !anew {
            sweep(&placement).await?;
            taken_back = files::take_back(hub, without_known(hub, placement).await?).await;
        }
        if anew || (then == Then::Keep && taken_back.is_some()) {
            let mut tx = hub.db.begin_write().await?;
            toji_db::journal::keep(&mut tx, id).await?;
            tx.commit().await?;
            hub.ended.notify_waiters();
        } else {
            files::forget(hub, taken_back.as_slice()).await;
        }
    }
    Ok(count)
}

/// Removes what interrupted writes have left under passing names.
async fn sweep(placement: &Placement) -> Result<(), Fault> {
    let Placement { steps, written, note, after, .. } = placement.clone();
    files::fenced(placement.fence(), move || {
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
