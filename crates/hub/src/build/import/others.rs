//! Moves and writes that would meet at one build's files: of two that are in the journal, at least one sees the other.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use toji_db::Engine;
use toji_value::Fault;

use super::place::of_value;
use crate::build::Build;
use crate::files::{After, Placement};
use crate::{Call, Hub};

/// How long a move waits for what others write below the build's directory.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two looks for them: the end of this hub's work is told, other hubs' is known from the database alone.
const LOOK: Duration = Duration::from_millis(100);

/// Whether nobody else works with the files of a build that is to move; what others write is waited for.
pub(super) async fn alone(call: &Call, build: &Build, plan: &Placement) -> Result<bool, Fault> {
    let dir = PathBuf::from(call.hub.paths.build(build.at()));
    let end = Instant::now() + PATIENCE;
    // Who holds SQLite's writer would wait for those who wait for it.
    let may_wait = !(call.tx.has_writes() && call.tx.engine() == Engine::Sqlite);
    loop {
        let ended = call.hub.ended.notified();
        tokio::pin!(ended);
        // What ends from now on is heard of.
        ended.as_mut().enable();
        let others = others(call, plan, Which::All).await?;
        let moves = |other: &Placement| {
            let same = other.trees.iter().any(|tree| plan.trees.contains(tree));
            same || (!other.trees.is_empty() && other.changes(&dir))
        };
        // Of two moves none waits.
        if others.iter().any(|(_, other)| moves(other)) {
            return Ok(false);
        }
        if !others.iter().any(|(_, other)| other.changes(&dir)) {
            return Ok(true);
        }
        if !may_wait || Instant::now() > end {
            return Ok(false);
        }
        // The time has passed, or something has ended: either way it is looked again.
        let _ = tokio::time::timeout(LOOK, ended).await;
    }
}

/// Refuses to write where a move is copying from, and what another one's work is being taken back of.
///
/// # Errors
/// With the code of [`Fault::lock`]: it may be tried again.
pub(super) async fn stays_there(call: &Call, plan: &Placement) -> Result<(), Fault> {
    let others = others(call, plan, Which::Moves).await?;
    for (_, other) in others.iter().filter(|(state, _)| state == "undoing") {
        // Whoever has left it may have worked for the same call, which came here as it got no answer.
        if let Some(path) = plan.targets().find(|path| other.touches(path)) {
            let text =
                format!("What a hub has left is being removed, try again: {}", path.display());
            return Err(Fault::lock(text));
        }
    }
    let moves = |other: &Placement, path: &Path| {
        let left = |after: &After| matches!(after, After::Remove(dir) if path.starts_with(dir));
        !other.trees.is_empty() && other.after.iter().any(left)
    };
    for path in plan.targets() {
        if others.iter().any(|(_, other)| moves(other, path)) {
            let text = format!("The build's files are being moved, try again: {}", path.display());
            return Err(Fault::lock(text));
        }
    }
    Ok(())
}

/// Whether somebody's work below a directory is committed and not done yet.
///
/// # Errors
/// When the database fails.
pub(crate) async fn unfinished(call: &Call, dir: &Path) -> Result<bool, Fault> {
    let others = others(call, &Placement::default(), Which::Committed).await?;
    Ok(others.iter().any(|(_, other)| other.changes(dir)))
}

/// Whether somebody who lives places the same files as what is to be taken back, which is its own entry no more.
///
/// Both are in the journal before they look, so one of the two sees the other.
pub(super) async fn placed_anew(hub: &Hub, old: &Placement) -> Result<bool, Fault> {
    let mut tx = hub.db.begin();
    let rows = toji_db::journal::older_than(&mut tx, 0.0).await?;
    tx.rollback().await?;
    for row in rows {
        let (id, state): (i64, String) = (row.get("id")?, row.get("state")?);
        if old.journal == Some(id) || !["placing", "committed"].contains(&state.as_str()) {
            continue;
        }
        let other = of_value(Some(id), row.value("steps"));
        let trees = other.trees.iter().map(PathBuf::as_path);
        if other.targets().chain(trees).any(|path| old.touches(path)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Which entries of the journal are asked for: most calls can meet few of them.
enum Which {
    All,
    Moves,
    Committed,
}

/// What is under way besides a plan and what its call has done before, with its state.
async fn others(
    call: &Call,
    plan: &Placement,
    which: Which,
) -> Result<Vec<(String, Placement)>, Fault> {
    let mut tx = call.hub.db.begin();
    let rows = match which {
        Which::All => toji_db::journal::older_than(&mut tx, 0.0).await?,
        Which::Moves => toji_db::journal::moves(&mut tx).await?,
        Which::Committed => toji_db::journal::committed(&mut tx).await?,
    };
    tx.rollback().await?;
    let mut found = Vec::new();
    for row in rows {
        let (id, state): (i64, String) = (row.get("id")?, row.get("state")?);
        // What is only looked at once more is under way nowhere.
        if state == "undone" {
            continue;
        }
        if plan.journal != Some(id) && !call.files.has_entry(id) {
            found.push((state, of_value(Some(id), row.value("steps"))));
        }
    }
    Ok(found)
}
