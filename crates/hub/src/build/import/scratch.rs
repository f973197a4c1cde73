//! The results of scratch builds, which no row stands for.

use toji_store::Step;
use toji_value::Fault;

use super::read::read;
use super::{Results, check_files};
use crate::{Call, files};

/// Moves the results of a scratch build to the owner's directory.
///
/// # Errors
/// When a file is missing or broken.
pub async fn to_scratch(
    call: &mut Call,
    task_id: i64,
    owner: &str,
    results: Results,
) -> Result<(), Fault> {
    check_files(call, task_id, &results).await?;
    let (sources, logs) = read(call, &results).await?;
    let names = toji_store::join(&[owner]);
    names.map_err(|e| Fault::generic(e.to_string()))?;
    let dir = format!("{}/{owner}/task_{task_id}", call.hub.paths.scratch());
    let mut steps = Vec::new();
    for source in &sources {
        let to = format!("{dir}/{}", source.file_name()).into();
        steps.push(Step { from: source.path.clone(), to });
    }
    for log in &logs {
        let sub = if log.dir.is_empty() { String::new() } else { format!("/{}", log.dir) };
        let checked =
            toji_store::join(&[if sub.is_empty() { "logs" } else { &log.dir }, &log.name]);
        checked.map_err(|e| Fault::generic(e.to_string()))?;
        let to = format!("{dir}/logs{sub}/{}", log.name).into();
        steps.push(Step { from: log.path.clone(), to });
    }
    // A scratch build has no rows that could disagree with its files; trying again repeats it.
    let store = call.hub.store.clone();
    files::blocking(move || {
        steps.iter().try_for_each(|step| store.place(step))?;
        steps.iter().try_for_each(|step| store.link_back(step))
    })
    .await
}
