//! The states of repositories.

use toji_bus::Topic;
use toji_db::{Row, repo as sql};
use toji_types::RepoState;
use toji_value::{Fault, Value, map};

use super::Wanted;
use crate::Call;

/// Moves a repository to a state; staying is allowed and changes nothing.
///
/// A repository that becomes ready fulfils the requests that it fits.
///
/// # Errors
/// A generic fault for a move that is not legal or a repository that does not exist.
pub async fn set(call: &mut Call, repo_id: i64, to: RepoState) -> Result<(), Fault> {
    let old = sql::lock_state(&mut call.tx, repo_id).await?;
    let old = old.ok_or_else(|| Fault::generic("query returned no rows"))?;
    let from = RepoState::try_from(old).map_err(|e| Fault::generic(e.to_string()))?;
    if from == to {
        return Ok(());
    }
    if from == RepoState::Deleted {
        return Err(Fault::generic(format!("Repo {repo_id} is deleted")));
    }
    if !from.can_become(to) {
        let text = format!("Invalid repo state transition for repo {repo_id}: {from} -> {to}");
        return Err(Fault::generic(text));
    }
    sql::set_state(&mut call.tx, repo_id, to as i64).await?;
    if to == RepoState::Ready {
        fulfil(call, repo_id).await?;
    }
    let body = map! { "id" => repo_id, "old" => from.name(), "new" => to.name() };
    call.emit("repo.state", &format!("repo:{repo_id}"), body);
    call.signal(Topic::Repositories);
    Ok(())
}

/// Ends the active requests that a ready repository fits.
async fn fulfil(call: &mut Call, repo_id: i64) -> Result<(), Fault> {
    let Some(repo) = sql::get(&mut call.tx, repo_id).await? else { return Ok(()) };
    if repo.value("dist").truthy() {
        return Ok(());
    }
    let tag: i64 = repo.get("tag_id")?;
    let mut done = Vec::new();
    for request in sql::requests_of_tag(&mut call.tx, tag).await? {
        let open = request.value("repo_id").is_nil();
        if open && wanted(&request)?.fits(&repo) {
            done.push(request.get("id")?);
        }
    }
    if !done.is_empty() {
        sql::end_requests(&mut call.tx, &done, Some(repo_id)).await?;
    }
    Ok(())
}

/// What a request asks for.
pub(super) fn wanted(request: &Row) -> Result<Wanted, Fault> {
    let opts = match request.value("opts") {
        Value::Struct(opts) => opts.clone(),
        _ => toji_value::Map::new(),
    };
    Ok(Wanted { min_event: request.get("min_event")?, at_event: request.get("at_event")?, opts })
}

/// Points the `latest` link of a tag at a repository, unless it has special options or there is a newer one.
///
/// A link that cannot be made is logged: it is a convenience.
///
/// # Errors
/// When the database fails.
pub async fn link_latest(call: &mut Call, repo_id: i64) -> Result<bool, Fault> {
    let Some(repo) = sql::get(&mut call.tx, repo_id).await? else { return Ok(false) };
    let dist = repo.value("dist").truthy();
    if repo.value("custom_opts").truthy() && !dist {
        return Ok(false);
    }
    let (tag, event) = (repo.get("tag_id")?, repo.get("create_event")?);
    if sql::has_newer(&mut call.tx, tag, RepoState::Ready as i64, dist, event).await? {
        return Ok(false);
    }
    let name: String = repo.get("tag_name")?;
    let path = if dist {
        call.hub.paths.distrepo(repo_id, &name, None)
    } else {
        call.hub.paths.repo(repo_id, &name)
    };
    let link = std::path::Path::new(&path).with_file_name("latest");
    match replace_link(&link, repo_id).await {
        Ok(()) => Ok(true),
        Err(error) => {
            tracing::warn!(%error, link = %link.display(), "cannot point the latest link");
            Ok(false)
        }
    }
}

/// Replaces the link in one step, so that readers always find one.
async fn replace_link(link: &std::path::Path, repo_id: i64) -> std::io::Result<()> {
    let fresh = link.with_file_name(format!(".latest.{repo_id}"));
    match tokio::fs::remove_file(&fresh).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    tokio::fs::symlink(repo_id.to_string(), &fresh).await?;
    tokio::fs::rename(&fresh, link).await
}
