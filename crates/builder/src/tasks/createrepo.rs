//! `createrepo`: has the metadata of a repository made for one arch.
//!
//! The hub keeps each package's metadata since its import, so it only has to put them together;
//! the result is the one of a builder that uploads metadata, with an empty list of files.

use toji_client::args;
use toji_types::state::RepoState;
use toji_value::{Value, list};

use super::{method, take};
use crate::context::{Context, int_of};
use crate::failure::{Failure, Result};

method!("createrepo", 1.5, [repo_id, arch, oldrepo]);

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [repo_id, arch, _] = take(values)?;
    let repo = task.call("repoInfo", args!(&repo_id; "strict" => true)).await?;
    let state = int_of(&repo, "state")?;
    if state != RepoState::Init.number() {
        let id = int_of(&repo, "id")?;
        return Err(Failure::generic(format!("Repo {id} not in INIT state (got {state})")));
    }
    task.call("host.createRepo", (repo_id, arch)).await?;
    Ok(list![task.upload_dir(), list![]])
}
