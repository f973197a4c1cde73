//! Removes directories of repositories: out of sight in one step, from the disk beside what goes on.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use tokio::sync::Semaphore;

use crate::Hub;

/// What the name of a directory begins with that nobody reads any more.
pub(super) const GONE: &str = ".deleted-";
/// Directories that are removed at a time, as many as kojira does.
static AT_WORK: Semaphore = Semaphore::const_new(4);

/// Removes a repository's directory; on another volume, what the link points to and the link.
///
/// Readers find all of it, or nothing. What is left by an interruption is removed by the next [`super::prune`].
pub(super) async fn remove(hub: &Hub, path: &Path) {
    let others = !hub.config.repo.ignore_other_volumes;
    let owned = path.to_owned();
    let hidden = tokio::task::spawn_blocking(move || hide(&owned, others)).await;
    match hidden {
        Ok(Ok(Some(hidden))) => later(hidden),
        Ok(Ok(None)) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, path = %path.display(), "cannot remove a deleted repository");
        }
        Err(error) => tracing::warn!(%error, "cannot remove a deleted repository"),
    }
}

/// Removes a hidden directory as soon as few others are removed.
pub(super) fn later(hidden: PathBuf) {
    tokio::spawn(async move {
        let _place = AT_WORK.acquire().await;
        if let Err(error) = tokio::fs::remove_dir_all(&hidden).await
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %hidden.display(), "cannot remove a deleted repository");
        }
    });
}

/// Renames the directory, and removes the link that leads to one on another volume.
fn hide(path: &Path, others: bool) -> io::Result<Option<PathBuf>> {
    let absent = |error: &io::Error| error.kind() == ErrorKind::NotFound;
    let kind = match std::fs::symlink_metadata(path) {
        Err(error) if absent(&error) => return Ok(None),
        other => other?,
    };
    if !kind.is_symlink() {
        return rename(path).map(Some);
    }
    if !others {
        tracing::warn!(link = %path.display(), "a deleted repository on another volume stays");
        return Ok(None);
    }
    let hidden = match std::fs::canonicalize(path) {
        // only a directory of the same name is the repository's
        Ok(real) if real.file_name() == path.file_name() => Some(rename(&real)?),
        Ok(real) => {
            tracing::warn!(link = %path.display(), target = %real.display(), "odd volume link");
            None
        }
        Err(error) if absent(&error) => None,
        Err(error) => return Err(error),
    };
    std::fs::remove_file(path)?;
    Ok(hidden)
}

fn rename(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let hidden = path.with_file_name(format!("{GONE}{name}"));
    std::fs::rename(path, &hidden)?;
    Ok(hidden)
}
