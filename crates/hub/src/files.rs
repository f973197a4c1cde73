//! Files that change with a call: placed before its commit, finished after it, undone without it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toji_db::Hold;
use toji_store::{Error, Fence, Step, Store};
use toji_value::Fault;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::Hub;

/// How often an entry of the journal is told to be worked on; recovery takes older ones for interrupted.
const PULSE: Duration = Duration::from_secs(60);

/// What a call does to files.
#[derive(Debug, Default)]
pub struct Files {
    placed: Vec<Placement>,
    gone: Vec<PathBuf>,
    /// Rows of the journal whose files were taken back; they go after the call's transaction, which may hold the
    /// database's only writer.
    stale: Vec<i64>,
    /// Tags whose newest repository is to be found through the `latest` link; whether for distribution.
    published: Vec<(i64, bool)>,
    /// End the pulses of the call's entries.
    alive: Vec<DropGuard>,
}

/// Files that were placed for one import or move.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    /// Its row in the journal.
    pub journal: Option<i64>,
    /// What is known of that row: whether this hub may still do it, on a database that others use.
    pub hold: Option<Arc<Hold>>,
    /// Whether the row is one of the call's own transaction, and goes with it.
    pub own: bool,
    /// The file that stands for the row until the row is committed, for a row of the call's own transaction.
    pub note: Option<PathBuf>,
    /// What was placed.
    pub steps: Vec<Step>,
    /// Files that were written beside the placed ones.
    pub written: Vec<PathBuf>,
    /// Directories that were made with all that is in them.
    pub trees: Vec<PathBuf>,
    /// What is done once the change is committed, in this order.
    pub after: Vec<After>,
}

impl Placement {
    /// What every step with files of this placement must pass.
    pub(crate) fn fence(&self) -> Option<Fence> {
        let (hold, entry) = (self.hold.clone()?, self.journal?);
        Some(Arc::new(move || hold.check(entry).map_err(|unsure| unsure.to_string())))
    }

    /// Whether a step was refused: nothing more is done to the files.
    pub(crate) fn is_lost(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.refused().is_some())
    }

    /// Where files are written or placed.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &Path> {
        let placed = self.steps.iter().map(|step| step.to.as_path());
        placed.chain(self.written.iter().map(PathBuf::as_path))
    }

    /// Whether it places a file, or makes the directory that it is in, or one that is in it.
    pub(crate) fn touches(&self, path: &Path) -> bool {
        let tree = |tree: &PathBuf| path.starts_with(tree) || tree.starts_with(path);
        self.targets().any(|own| own == path) || self.trees.iter().any(tree)
    }

    /// Whether files below a directory are changed, now or after the commit.
    pub(crate) fn changes(&self, dir: &Path) -> bool {
        let later = self.after.iter().map(|after| match after {
            After::Remove(path) | After::Rename(path, _) | After::Link(path, _) => path.as_path(),
        });
        self.targets().chain(later).any(|path| path.starts_with(dir))
    }
}

/// Something that is done to files once the change is committed; doing it again changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// Removes a file, a link or a directory.
    Remove(PathBuf),
    /// Gives a file or directory another name, in place of a link; one that is gone was renamed
    /// before.
    Rename(PathBuf, PathBuf),
    /// Makes the first path a link with the second as its text, in place of an older link.
    Link(PathBuf, PathBuf),
}

impl After {
    fn run(&self, store: &Store) -> Result<(), Error> {
        match self {
            After::Remove(path) => store.remove_tree(path),
            After::Rename(from, to) => store.rename(from, to),
            After::Link(at, target) => {
                if !store.link(at, target)? {
                    tracing::error!(path = %at.display(), "content where a link should be");
                }
                Ok(())
            }
        }
    }
}

/// How far a call was with its files, for savepoints.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mark {
    placed: usize,
    gone: usize,
    published: usize,
}

impl Files {
    /// Remembers files that were placed.
    pub fn placed(&mut self, placement: Placement) {
        self.placed.push(placement);
    }

    /// Whether an entry of the journal is the call's own.
    pub(crate) fn has_entry(&self, id: i64) -> bool {
        self.placed.iter().any(|placement| placement.journal == Some(id))
    }

    /// Tells that an entry of the journal is being worked on, as long as the call lasts: copying a large build takes longer
    /// than recovery waits.
    pub(crate) fn keep_alive(&mut self, hub: &Hub, id: i64, hold: Option<Arc<Hold>>) {
        let (ended, hub) = (CancellationToken::new(), hub.clone());
        self.alive.push(ended.clone().drop_guard());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = ended.cancelled() => return,
                    () = tokio::time::sleep(PULSE) => {}
                }
                if let Err(error) = toji_db::journal::pulse(&hub.db, id, hold.as_deref()).await {
                    tracing::warn!(%error, journal = id, "a long change of files could not be told of");
                }
            }
        });
    }

    /// Removes files or directories after the commit.
    pub fn remove(&mut self, paths: impl IntoIterator<Item = String>) {
        self.gone.extend(paths.into_iter().map(PathBuf::from));
    }

    /// Has the `latest` link of a tag follow after the commit.
    pub(crate) fn publish(&mut self, tag: i64, dist: bool) {
        self.published.push((tag, dist));
    }

    pub(crate) fn mark(&self) -> Mark {
        let published = self.published.len();
        Mark { placed: self.placed.len(), gone: self.gone.len(), published }
    }

    /// Forgets what came after a mark and takes the files back; the transaction goes on.
    pub(crate) async fn roll_back(&mut self, hub: &Hub, mark: Mark) {
        self.gone.truncate(mark.gone);
        self.published.truncate(mark.published);
        for placement in self.placed.split_off(mark.placed) {
            self.stale.extend(take_back(hub, placement).await);
        }
    }

    /// Takes all files back, after the end of a transaction that was not committed.
    pub(crate) async fn abandon(mut self, hub: &Hub) {
        self.roll_back(hub, Mark::default()).await;
        forget(hub, &self.stale).await;
    }

    /// After the commit: old paths become links, what is to go goes.
    pub(crate) async fn finish(self, hub: &Hub) {
        for placement in self.placed {
            finish(hub, placement).await;
        }
        forget(hub, &self.stale).await;
        for (tag, dist) in self.published {
            crate::repo::latest::follow(hub, tag, dist).await;
        }
        if self.gone.is_empty() {
            return;
        }
        let store = hub.store.clone();
        let removed =
            blocking(move || self.gone.iter().try_for_each(|path| store.remove_tree(path)));
        if let Err(fault) = removed.await {
            tracing::error!(error = %fault, "files of a deleted build could not be removed");
        }
    }
}

/// Makes the old paths links and forgets the journal's row.
pub(crate) async fn finish(hub: &Hub, placement: Placement) {
    let fence = placement.fence();
    let Placement { journal, note, steps, after, .. } = placement;
    let store = hub.store.clone();
    let done = fenced(fence, move || {
        steps.iter().try_for_each(|step| store.link_back(step))?;
        after.iter().try_for_each(|after| after.run(&store))?;
        // Before the row goes: a note without a row would mean that nothing was committed.
        note.iter().try_for_each(|note| toji_store::remove_tree(note))
    });
    if let Err(fault) = done.await {
        tracing::error!(error = %fault, "files of a change that is made could not be put in order");
        return;
    }
    forget(hub, journal.as_slice()).await;
}

/// Takes placed files away again and forgets the journal's row.
pub(crate) async fn undo(hub: &Hub, placement: Placement) {
    let stale = take_back(hub, placement).await;
    forget(hub, stale.as_slice()).await;
}

/// Takes placed files away again; gives the journal's row, if it is to go now.
pub(crate) async fn take_back(hub: &Hub, placement: Placement) -> Option<i64> {
    let fence = placement.fence();
    let stop = PathBuf::from(hub.paths.topdir());
    let Placement { journal, own, note, steps, written, trees, .. } = placement;
    // A row of the call's own transaction was taken back with it.
    let stale = journal.filter(|_| note.is_none() && !own);
    let written = match unrecorded(hub, written).await {
        Ok(written) => written,
        Err(fault) => {
            tracing::error!(error = %fault, "a written file is not taken back");
            return None;
        }
    };
    let store = hub.store.clone();
    let undone = fenced(fence, move || {
        for tree in trees {
            store.remove_tree(&tree)?;
            if let Some(parent) = tree.parent() {
                store.remove_file(&parent.join(".none"), &stop)?;
            }
        }
        for path in written {
            store.remove_file(&path, &stop)?;
        }
        steps.iter().try_for_each(|step| store.undo(step, &stop))?;
        note.iter().try_for_each(|note| toji_store::remove_tree(note))
    });
    if let Err(fault) = undone.await {
        tracing::error!(error = %fault, "a placed file could not be taken back");
        return None;
    }
    stale
}

/// Leaves out what another call has written, too, and has committed: the same signature has the same file.
async fn unrecorded(hub: &Hub, mut paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, Fault> {
    if paths.is_empty() {
        return Ok(paths);
    }
    let names: Vec<String> = paths.iter().map(|path| below(hub, path)).collect();
    let mut tx = hub.db.begin();
    let known = toji_db::journal::known(&mut tx, &names).await?;
    tx.rollback().await?;
    paths.retain(|path| !known.contains(&below(hub, path)));
    Ok(paths)
}

/// A path relative to the top directory, as the database has it.
pub(crate) fn below(hub: &Hub, path: &Path) -> String {
    path.strip_prefix(hub.paths.topdir()).unwrap_or(path).to_string_lossy().into_owned()
}

pub(crate) async fn forget(hub: &Hub, ids: &[i64]) {
    if ids.is_empty() {
        return;
    }
    let done = async {
        let mut tx = hub.db.begin_write().await?;
        for id in ids {
            toji_db::journal::remove(&mut tx, *id).await?;
        }
        tx.commit().await
    };
    if let Err(error) = done.await {
        tracing::error!(%error, ?ids, "entries of the import journal could not be removed");
    }
    hub.ended.notify_waiters();
}

/// Runs work with files on a thread that may block, of which every step passes a fence.
///
/// # Errors
/// The work's own, as [`blocking`] has them.
pub(crate) async fn fenced<T: Send + 'static>(
    fence: Option<Fence>,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Fault> {
    blocking(move || toji_store::behind(fence, work)).await
}

/// Runs work with files on a thread that may block.
///
/// # Errors
/// The work's own, as a generic fault; the text names the file.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, toji_store::Error> + Send + 'static,
) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|e| match e {
            // At another hub, or later at this one, it may be done.
            Error::Fenced(_) => Fault::lock(e.to_string()),
            e => Fault::generic(e.to_string()),
        }),
        Err(_) => Err(Fault::unexpected("work with files ended early, the hub's log tells more")),
    }
}
