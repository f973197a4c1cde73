//! `createrepo`: has the metadata of a repository made for one arch.
//!
//! A hub of ours keeps each package's metadata since its import, so it only has to put them together; the result is
//! the one of a builder that uploads metadata, with an empty list of files. What a tag has from external repositories is
//! put to them here. For a hub of Koji's everything is made here.

mod local;
mod outside;

use toji_client::args;
use toji_types::state::RepoState;
use toji_value::{Value, list};

use super::{method, take};
use crate::context::{Context, int_of, is_unknown_method};
use crate::failure::{Failure, Result};

method!("createrepo", 1.5, [repo_id, arch, oldrepo]);

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [repo_id, arch, old] = take(values)?;
    let repo = task.call("repoInfo", args!(&repo_id; "strict" => true)).await?;
    let state = int_of(&repo, "state")?;
    if state != RepoState::Init.number() {
        let id = int_of(&repo, "id")?;
        return Err(Failure::generic(format!("Repo {id} not in INIT state (got {state})")));
    }
    let arch = arch.as_str().ok_or_else(|| Failure::generic("no arch is given"))?;
    match task.hub.call("host.createRepo", (repo_id, arch)).await {
        Ok(_) => {}
        Err(error) if is_unknown_method(&error) => {
            return local::make(task, &repo, arch, &old).await;
        }
        Err(error) => return Err(error.into()),
    }
    let external = external(task, &repo).await?;
    match external.as_slice() {
        [] => Ok(list![task.upload_dir(), list![]]),
        external => outside::join(task, &repo, arch, external).await,
    }
}

/// The external repositories of a repository's tag, the first one first.
async fn external(task: &Context, repo: &Value) -> Result<Vec<Value>> {
    let call = args!(repo.get("tag_id"); "event" => repo.get("create_event"));
    match task.call("getExternalRepoList", call).await? {
        Value::Array(external) => Ok(external),
        other => Err(Failure::generic(format!("getExternalRepoList answered {}", other.repr()))),
    }
}
