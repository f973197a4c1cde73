//! The completion of builds that are no plain RPM builds, from what their tasks have made.

mod image;
mod maven;
mod scratch;
mod win;
mod wrapper;

pub use image::{image, images};
pub use maven::maven;
pub use scratch::{Source as ScratchFile, to_scratch};
pub use win::win;
pub use wrapper::wrapper;

use toji_db::build as db;
use toji_types::BuildState;
use toji_value::{Fault, FromValue, Map, Value};

use super::intake::Intake;
use super::typed::lacks;
use super::{Build, import};
use crate::archive::file::{self, Found, Wanted};
use crate::lookup::Entry;
use crate::tagging::notice;
use crate::{Call, task};

/// A member of a task's results.
fn member<'r>(results: &'r Map, key: &str) -> Result<&'r Value, Fault> {
    results.get(key).ok_or_else(|| lacks(key))
}

fn number(results: &Map, key: &str) -> Result<i64, Fault> {
    i64::from_value(member(results, key)?.clone())
}

fn texts(results: &Map, key: &str) -> Result<Vec<String>, Fault> {
    Vec::from_value(member(results, key)?.clone())
}

/// The buildroot that results name, which the task or one right below it must have made.
async fn buildroot(call: &mut Call, task_id: i64, results: &Map) -> Result<Option<i64>, Fault> {
    let Some(id) = Option::<i64>::from_value(member(results, "buildroot_id")?.clone())? else {
        return Ok(None);
    };
    task::claim::check_buildroots(call, task_id, &[id]).await?;
    Ok(Some(id))
}

/// The directory of a task's files, relative to the work directory; the task must be the one that
/// the caller holds, or one right below it.
///
/// # Errors
/// `ActionNotAllowed` for other tasks.
async fn task_dir(call: &mut Call, task_id: i64, results: &Map) -> Result<String, Fault> {
    let made_by = number(results, "task_id")?;
    task::check_part(call, task_id, made_by).await?;
    Ok(call.hub.paths.taskrelpath(made_by))
}

/// Reads and hashes files of a task, all of which must exist.
async fn read(
    call: &Call,
    dir: &str,
    names: Vec<String>,
    maven: bool,
) -> Result<Vec<Found>, Fault> {
    let mut wanted = Vec::with_capacity(names.len());
    for name in &names {
        wanted.push(Wanted { rel: file::join(&[dir, name])?, verify: None, maven });
    }
    let mut all = Vec::with_capacity(names.len());
    for (found, name) in file::read(call, wanted).await?.into_iter().zip(names) {
        all.push(found.ok_or_else(|| file::missing(call, &format!("{dir}/{name}")))?);
    }
    Ok(all)
}

/// The build in progress of a task.
///
/// # Errors
/// When it does not exist, is not in progress, or belongs to another task.
async fn in_progress(call: &mut Call, task_id: i64, build_id: i64) -> Result<Build, Fault> {
    task::check_open(call, task_id).await?;
    let missing = || Fault::generic(format!("No such build: {build_id}"));
    let build = super::by_id(call, build_id).await?.ok_or_else(missing)?;
    import::check_open(&build, task_id)?;
    super::typed::reject_draft(build.draft)?;
    Ok(build)
}

/// What the volume policy is told of a build that is completed.
fn policy_data(build: &Build, kind: &str) -> Map {
    toji_value::map! {
        "build" => build.shown.clone(), "package" => &build.name, "import" => true,
        "import_type" => kind,
    }
}

/// Enters everything and completes the build.
async fn finish(
    call: &mut Call,
    task_id: i64,
    build: &Build,
    volume: Entry,
    mut intake: Intake,
    images: Vec<image::Components>,
) -> Result<Build, Fault> {
    let journal = intake.place(call, Some(build.id)).await?;
    // From here on the writer is held; nothing below waits for files.
    task::lock_held(call, task_id).await?;
    db::lock(&mut call.tx, build.id).await?;
    let missing = || Fault::generic(format!("No such build: {}", build.id));
    let now = super::by_id(call, build.id).await?.ok_or_else(missing)?;
    import::check_open(&now, task_id)?;
    let stored = Build { volume_id: volume.id, volume: volume.name, ..now.clone() };
    image::add_components(call, &mut intake, images).await?;
    intake.enter(call, &stored, journal).await?;
    super::announced(call, &now, BuildState::Complete).await?;
    db::complete(&mut call.tx, build.id, volume.id).await?;
    super::told(call, &now, BuildState::Complete).await?;
    let done = super::by_id(call, build.id).await?.ok_or_else(missing)?;
    notice::built(call, task_id, done.id).await?;
    Ok(done)
}
