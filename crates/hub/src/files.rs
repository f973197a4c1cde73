//! Files that change with a call: placed before its commit, finished after it, undone without it.

use std::path::PathBuf;

use toji_store::Step;
use toji_value::Fault;

use crate::Hub;

/// What a call does to files.
#[derive(Debug, Default)]
pub struct Files {
    placed: Vec<Placement>,
    gone: Vec<PathBuf>,
}

/// Files that were placed for one import.
#[derive(Clone, Debug)]
pub struct Placement {
    /// Its row in the journal, if it has one.
    pub journal: Option<i64>,
    /// What was placed.
    pub steps: Vec<Step>,
    /// Files that were written beside the placed ones.
    pub written: Vec<PathBuf>,
}

/// How far a call was with its files, for savepoints.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mark {
    placed: usize,
    gone: usize,
}

impl Files {
    /// Remembers files that were placed.
    pub fn placed(&mut self, placement: Placement) {
        self.placed.push(placement);
    }

    /// Removes files or directories after the commit.
    pub fn remove(&mut self, paths: impl IntoIterator<Item = String>) {
        self.gone.extend(paths.into_iter().map(PathBuf::from));
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { placed: self.placed.len(), gone: self.gone.len() }
    }

    /// Forgets what came after a mark and takes the files back.
    pub(crate) async fn roll_back(&mut self, hub: &Hub, mark: Mark) {
        self.gone.truncate(mark.gone);
        for placement in self.placed.split_off(mark.placed) {
            undo(hub, placement).await;
        }
    }

    /// After the commit: old paths become links, what is to go goes.
    pub(crate) async fn finish(self, hub: &Hub) {
        for placement in self.placed {
            finish(hub, placement).await;
        }
        if self.gone.is_empty() {
            return;
        }
        let removed =
            blocking(move || self.gone.iter().try_for_each(|path| toji_store::remove_tree(path)));
        if let Err(fault) = removed.await {
            tracing::error!(error = %fault, "files of a deleted build could not be removed");
        }
    }
}

/// Makes the old paths links and forgets the journal's row.
pub(crate) async fn finish(hub: &Hub, placement: Placement) {
    let steps = placement.steps;
    let linked = blocking(move || steps.iter().try_for_each(toji_store::link_back)).await;
    if let Err(fault) = linked {
        tracing::error!(error = %fault, "an imported file could not be linked at its old path");
        return;
    }
    if let Some(id) = placement.journal {
        forget(hub, id).await;
    }
}

/// Takes placed files away again and forgets the journal's row.
pub(crate) async fn undo(hub: &Hub, placement: Placement) {
    let stop = PathBuf::from(hub.paths.topdir());
    let Placement { journal, steps, written } = placement;
    let undone = blocking(move || {
        for path in written {
            toji_store::remove_file(&path, &stop)?;
        }
        steps.iter().try_for_each(|step| toji_store::undo(step, &stop))
    });
    if let Err(fault) = undone.await {
        tracing::error!(error = %fault, "a placed file could not be taken back");
        return;
    }
    if let Some(id) = journal {
        forget(hub, id).await;
    }
}

async fn forget(hub: &Hub, id: i64) {
    let done = async {
        let mut tx = hub.db.begin_write().await?;
        toji_db::journal::remove(&mut tx, id).await?;
        tx.commit().await
    };
    if let Err(error) = done.await {
        tracing::error!(%error, id, "an entry of the import journal could not be removed");
    }
}

/// Runs work with files on a thread that may block.
///
/// # Errors
/// The work's own, as a generic fault; the text names the file.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, toji_store::Error> + Send + 'static,
) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|e| Fault::generic(e.to_string())),
        Err(_) => Err(Fault::unexpected("work with files ended early, the hub's log tells more")),
    }
}
