//! Moves and writes that would meet at one build's files: of two that are in the journal, at least one sees the other.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use toji_db::Engine;
use toji_value::Fault;

use super::place::of_value;
use crate::Call;
use crate::build::Build;
use crate::files::{After, Placement};

/// How long a move waits for what others write below the build's directory.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two looks for them. Other hubs' work is known from the database alone, and takes some milliseconds.
const LOOK: Duration = Duration::from_millis(20);

/// Whether nobody else works with the files of a build that is to move; what others write is waited for.
pub(super) async fn alone(call: &Call, build: &Build, plan: &Placement) -> Result<bool, Fault> {
    let dir = PathBuf::from(call.hub.paths.build(build.at()));
    let end = Instant::now() + PATIENCE;
    // Who holds SQLite's writer would wait for those who wait for it.
    let may_wait = !(call.tx.has_writes() && call.tx.engine() == Engine::Sqlite);
    loop {
        let others = others(call, plan).await?;
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
        tokio::time::sleep(LOOK).await;
    }
}

/// Refuses to write where a move is copying from.
///
/// # Errors
/// With the code of [`Fault::lock`]: it may be tried again.
pub(super) async fn stays_there(call: &Call, plan: &Placement) -> Result<(), Fault> {
    let others = others(call, plan).await?;
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
    let others = others(call, &Placement::default()).await?;
    Ok(others.iter().any(|(state, other)| state == "committed" && other.changes(dir)))
}

/// What is under way besides a plan and what its call has done before, with its state.
async fn others(call: &Call, plan: &Placement) -> Result<Vec<(String, Placement)>, Fault> {
    let mut tx = call.hub.db.begin();
    let rows = toji_db::journal::older_than(&mut tx, 0.0).await?;
    tx.rollback().await?;
    let mut found = Vec::new();
    for row in rows {
        let id: i64 = row.get("id")?;
        if plan.journal != Some(id) && !call.files.has_entry(id) {
            found.push((row.get("state")?, of_value(Some(id), row.value("steps"))));
        }
    }
    Ok(found)
}
