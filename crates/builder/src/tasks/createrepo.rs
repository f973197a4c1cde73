//! `createrepo`: has the metadata of a repository made for one arch.
//!
//! A hub of ours keeps each package's metadata since its import, so it only has to put them together; the result is
//! the one of a builder that uploads metadata, with an empty list of files. For a hub of Koji's they are made here.

mod local;

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
    match task.hub.call("host.createRepo", (repo_id, arch.clone())).await {
        Ok(_) => Ok(list![task.upload_dir(), list![]]),
        Err(error) if is_unknown_method(&error) => {
            let arch = arch.as_str().ok_or_else(|| Failure::generic("no arch is given"))?;
            local::make(task, &repo, arch, &old).await
        }
        Err(error) => Err(error.into()),
    }
}
