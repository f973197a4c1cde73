//! RPMs that are made around the archives of a build.

use toji_store::Area;
use toji_types::BuildState;
use toji_value::{Fault, Map, Value};

use super::super::import::place;
use super::super::intake::{At, Intake};
use super::super::{Build, import};
use super::{buildroot, member, read, task_dir, texts};
use crate::{Call, task};

/// Adds the RPMs and logs of a wrapper task to an import, if there are any.
pub(super) async fn add_if_any(
    call: &mut Call,
    intake: &mut Intake,
    build: &Build,
    task_id: i64,
    results: &Value,
) -> Result<(), Fault> {
    let Some(results) = results.as_struct().filter(|results| !results.is_empty()) else {
        return Ok(());
    };
    let dir = task_dir(call, task_id, results).await?;
    add(call, intake, build, task_id, (&dir, results)).await
}

async fn add(
    call: &mut Call,
    intake: &mut Intake,
    build: &Build,
    task_id: i64,
    (dir, results): (&str, &Map),
) -> Result<(), Fault> {
    if matches!(build.state, BuildState::Failed | BuildState::Canceled | BuildState::Deleted) {
        return Err(Fault::generic(format!("Build is {}: {}", build.state, build.nvr())));
    }
    let root = buildroot(call, task_id, results).await?;
    let mut paths = vec![member(results, "srpm")?.display()];
    paths.extend(texts(results, "rpms")?);
    let (area, store) = (Area::new(call.hub.paths.work(None)), call.hub.store.clone());
    let dir_of_rpms = dir.to_owned();
    let work = move || -> Result<Vec<_>, Fault> {
        let read =
            |path: &String| import::read_rpm(&store, &area, &format!("{dir_of_rpms}/{path}"));
        paths.iter().map(read).collect()
    };
    let sources = tokio::task::spawn_blocking(work).await;
    let sources = sources.map_err(|_| Fault::unexpected("reading of rpms ended early"))??;
    for source in sources {
        intake.rpm(call, source, root, None).await?;
    }
    for log in read(call, dir, texts(results, "logs")?, false).await? {
        // A wrapper is for every arch.
        intake.log(call, &log, "noarch").await?;
    }
    Ok(())
}

/// Imports the RPMs of a wrapper task into a finished build that has none yet.
///
/// # Errors
/// When the build is not finished, has RPMs, or a file is missing or broken.
pub async fn wrapper(
    call: &mut Call,
    task_id: i64,
    build_id: i64,
    results: &Map,
) -> Result<(), Fault> {
    task::check_open(call, task_id).await?;
    let missing = || Fault::generic(format!("No such build: {build_id}"));
    let build = super::super::by_id(call, build_id).await?.ok_or_else(missing)?;
    task::claim::check_build(call, task_id, &build).await?;
    check(call, &build).await?;
    let mut intake = Intake::new(call, At::of(&build, &build.volume))?;
    let dir = call.hub.paths.taskrelpath(task_id);
    add(call, &mut intake, &build, task_id, (&dir, results)).await?;
    let journal = intake.place(call, Some(build.id)).await?;
    task::lock_held(call, task_id).await?;
    place::hold(call, &build).await?;
    let now = super::super::by_id(call, build_id).await?.ok_or_else(missing)?;
    check(call, &now).await?;
    intake.enter(call, &now, journal).await.map(drop)
}

async fn check(call: &mut Call, build: &Build) -> Result<(), Fault> {
    let nvr = build.nvr();
    if build.state != BuildState::Complete {
        let state = build.state.name().to_lowercase();
        return Err(Fault::generic(format!(
            "cannot import wrapper rpms for {nvr}: build state is {state}, not complete"
        )));
    }
    if toji_db::build::has_rpms(&mut call.tx, build.id).await? {
        let text = format!("wrapper rpms for {nvr} have already been imported");
        return Err(Fault::generic(text));
    }
    Ok(())
}
