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
    let (old, tag) = old.ok_or_else(|| Fault::generic("query returned no rows"))?;
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
    let body = map! { "id" => repo_id, "old" => from.name(), "new" => to.name(), "tag_id" => tag };
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
