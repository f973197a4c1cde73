//! What nobody needs any more: repositories that failed, expire, and are deleted with their files.

use std::path::Path;

use toji_db::{Time, repo as sql};
use toji_types::{RepoState, TaskState};
use toji_value::Fault;

use super::remove::remove;
use crate::repo::{queue, state};
use crate::{Call, Hub};

/// One sweep; what fails is logged and comes again. Files are removed beside what goes on.
pub async fn run(hub: &Hub) {
    match mark(hub).await {
        Ok(paths) => {
            for path in paths {
                remove(hub, Path::new(&path)).await;
            }
        }
        Err(fault) => tracing::warn!(%fault, "sweeping repositories failed"),
    }
}

/// Moves repositories on and returns the directories of those that are deleted now.
async fn mark(hub: &Hub) -> Result<Vec<String>, Fault> {
    let mut call = hub.internal().await?;
    call.tx.lock(queue::LOCK).await?;
    let ages = call.hub.config.repo.clone();
    let ended = [TaskState::Canceled as i64, TaskState::Failed as i64];
    let cutoff = before(&call, ages.init_timeout)?;
    for id in sql::stuck(&mut call.tx, RepoState::Init as i64, cutoff, &ended).await? {
        tracing::warn!(repo = id, "repository was never finished");
        state::set(&mut call, id, RepoState::Problem).await?;
    }
    let (cutoff, dist) =
        (before(&call, ages.repo_lifetime)?, before(&call, ages.dist_repo_lifetime)?);
    for id in sql::expirable(&mut call.tx, RepoState::Ready as i64, cutoff, dist).await? {
        tracing::info!(repo = id, "repository expires");
        state::set(&mut call, id, RepoState::Expired).await?;
    }
    let mut paths = Vec::new();
    let unused = [RepoState::Expired as i64, RepoState::Problem as i64];
    let cutoff = before(&call, ages.expired_repo_lifetime)?;
    for row in sql::deletable(&mut call.tx, &unused, cutoff).await? {
        let (id, tag): (i64, String) = (row.get("id")?, row.get("tag_name")?);
        tracing::info!(repo = id, "repository is deleted");
        state::set(&mut call, id, RepoState::Deleted).await?;
        paths.push(match row.value("dist").truthy() {
            true => hub.paths.distrepo(id, &tag, None),
            false => hub.paths.repo(id, &tag),
        });
    }
    call.commit().await?;
    Ok(paths)
}

fn before(call: &Call, age: f64) -> Result<Time, Fault> {
    Ok(Time::from_epoch(call.now() - age)?)
}
