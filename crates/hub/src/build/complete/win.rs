//! The completion of Windows builds.

use toji_value::{Fault, FromValue, Map, Value};

use super::super::intake::{At, Intake};
use super::super::{Build, volume};
use super::{buildroot, finish, in_progress, member, policy_data, read, task_dir, texts, wrapper};
use crate::Call;
use crate::archive::import::{Incoming, btype, content};
use crate::archive::kind::Kinds;

/// Imports what the tasks of a Windows build have made, and completes it.
///
/// # Errors
/// When a file is missing or of an unknown type; nothing is changed then.
pub async fn win(
    call: &mut Call,
    task_id: i64,
    build_id: i64,
    results: &Map,
    rpms: &Value,
) -> Result<Build, Fault> {
    let build = in_progress(call, task_id, build_id).await?;
    if toji_db::archive::win_build(&mut call.tx, build_id).await?.is_none() {
        return Err(Fault::generic(format!("no such Windows build: {build_id}")));
    }
    let volume = volume::for_task(call, task_id, policy_data(&build, "win")).await?;
    let mut intake = Intake::new(call, At::of(&build, &volume.name))?;
    let dir = task_dir(call, task_id, results).await?;
    let root = buildroot(call, task_id, results).await?;
    let kinds = Kinds::read(call).await?;
    let kind_of_build = btype(call, "win").await?;
    let output = Map::from_value(member(results, "output")?.clone())?;
    for rel in output.keys() {
        let unknown = || Fault::build(format!("unsupported file type: {rel}"));
        kinds.find(rel)?.ok_or_else(unknown)?;
    }
    let paths = output.keys().map(str::to_owned).collect();
    let files = read(call, &dir, paths, false).await?;
    for (found, (rel, info)) in files.into_iter().zip(output.iter()) {
        let mut info = Map::from_value(info.clone())?;
        info.insert("relpath", parent(rel));
        let content = content("win", &info.into(), None)?;
        let kind = kinds.need(rel)?;
        let new = Incoming::new(found, kind, kind_of_build.clone(), content);
        intake.archive(call, Incoming { buildroot_id: root, ..new }).await?;
    }
    let logs = texts(results, "logs")?;
    for (log, rel) in read(call, &dir, logs.clone(), false).await?.iter().zip(&logs) {
        let subdir = match parent(rel) {
            "" => "win".to_owned(),
            dir => format!("win/{dir}"),
        };
        intake.log(call, log, &subdir).await?;
    }
    wrapper::add_if_any(call, &mut intake, &build, task_id, rpms).await?;
    finish(call, task_id, &build, volume, intake, Vec::new()).await
}

/// The directory of a path.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}
