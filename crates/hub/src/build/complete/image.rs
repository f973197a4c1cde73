//! The completion of image builds.

use toji_store::Area;
use toji_value::{Fault, FromValue, Map, Value};

use super::super::intake::{At, Intake};
use super::super::{Build, volume};
use super::{finish, in_progress, member, policy_data, read, task_dir, texts, wrapper};
use crate::archive::import::{Content, Incoming, btype, check_type};
use crate::archive::kind::Kinds;
use crate::lookup::Entry;
use crate::rpm::known::{self, Own};
use crate::{Call, task};

/// RPMs of the archives in a range.
pub(super) struct Components {
    archives: std::ops::Range<usize>,
    rpms: Vec<Value>,
}

/// Task methods whose logs do not come from one arch.
const WHOLE: [&str; 4] = ["appliance", "image", "indirectionimage", "livecd"];

/// Imports what the tasks of an image build have made, and completes it.
///
/// # Errors
/// When a file is missing or of an unknown type, or an RPM is not known; nothing is changed then.
pub async fn image(
    call: &mut Call,
    task_id: i64,
    build_id: i64,
    results: &Map,
) -> Result<Build, Fault> {
    let build = in_progress(call, task_id, build_id).await?;
    let volume = volume::for_task(call, task_id, policy_data(&build, "image")).await?;
    let mut intake = Intake::new(call, At::of(&build, &volume.name))?;
    let components = add_all(call, &mut intake, &build, task_id, results).await?;
    finish(call, task_id, &build, volume, intake, components).await
}

/// Imports images into a build and leaves its state.
///
/// # Errors
/// As [`image`].
pub async fn images(
    call: &mut Call,
    task_id: i64,
    build: &Build,
    results: &Map,
) -> Result<(), Fault> {
    task::check_open(call, task_id).await?;
    task::claim::check_build(call, task_id, build).await?;
    super::super::typed::reject_draft(build.draft)?;
    let mut intake = Intake::new(call, At::of(build, &build.volume))?;
    let components = add_all(call, &mut intake, build, task_id, results).await?;
    let journal = intake.place(call, Some(build.id)).await?;
    task::lock_held(call, task_id).await?;
    toji_db::build::lock(&mut call.tx, build.id).await?;
    add_components(call, &mut intake, components).await?;
    intake.enter(call, build, journal).await.map(drop)
}

async fn add_all(
    call: &mut Call,
    intake: &mut Intake,
    build: &Build,
    task_id: i64,
    results: &Map,
) -> Result<Vec<Components>, Fault> {
    let image = btype(call, "image").await?;
    check_type(call, build.id, &image).await?;
    let (method, _) = task::request(call, task_id).await?;
    let mut all = Vec::new();
    for (name, sub) in results.iter() {
        let sub = Map::from_value(sub.clone())?;
        if !sub.contains_key("task_id") {
            tracing::warn!(task = task_id, image = name, "no image, its task failed");
            continue;
        }
        all.push(add(call, intake, task_id, &image, &method, &sub).await?);
        wrapper::add_if_any(call, intake, build, task_id, sub.value("rpmresults")).await?;
    }
    Ok(all)
}

async fn add(
    call: &mut Call,
    intake: &mut Intake,
    task_id: i64,
    image: &Entry,
    method: &str,
    results: &Map,
) -> Result<Components, Fault> {
    let dir = task_dir(call, task_id, results).await?;
    let kinds = Kinds::read(call).await?;
    let names = texts(results, "files")?;
    for name in &names {
        let unknown = || Fault::build(format!("Unsupported file type: {name}"));
        kinds.find(name)?.ok_or_else(unknown)?;
    }
    let arch = member(results, "arch")?.display();
    let first = intake.archives_mut().len();
    for found in read(call, &dir, names, false).await? {
        let kind = kinds.need(&found.name)?;
        let content = Content::Image { arch: arch.clone() };
        intake.archive(call, Incoming::new(found, kind, image.clone(), content)).await?;
    }
    add_logs(call, intake, &dir, &arch, WHOLE.contains(&method)).await?;
    let rpms = member(results, "rpmlist")?;
    let rpms = Vec::<Value>::from_value(rpms.clone())?;
    known::check(call, &rpms).await?;
    Ok(Components { archives: first..intake.archives_mut().len(), rpms })
}

/// Adds the logs in a task's directory; those of one arch, and doubled ones, go to a directory of
/// the arch.
async fn add_logs(
    call: &mut Call,
    intake: &mut Intake,
    dir: &str,
    arch: &str,
    whole: bool,
) -> Result<(), Fault> {
    let area = Area::new(call.hub.paths.work(None));
    let task_dir = dir.to_owned();
    let entries = crate::files::blocking(move || area.walk(&task_dir)).await?;
    let is_log = |path: &String| !path.contains('/') && path.ends_with(".log");
    let names: Vec<String> = entries.into_iter().map(|entry| entry.path).filter(is_log).collect();
    let top = intake.log_dir(call).join("image");
    for log in read(call, dir, names, false).await? {
        let mut to = top.join(&log.name);
        if !whole || intake.is_taken(&to).await {
            let arch = toji_store::join(&[arch]).map_err(|e| Fault::generic(e.to_string()))?;
            to = top.join(arch).join(&log.name);
        }
        intake.log_at(&log, to).await?;
    }
    Ok(())
}

/// Puts the RPMs of images to their archives; those of other places are entered if they are new.
pub(super) async fn add_components(
    call: &mut Call,
    intake: &mut Intake,
    all: Vec<Components>,
) -> Result<(), Fault> {
    for components in all {
        let ids = known::resolve(call, &components.rpms, Own::Finished).await?;
        for archive in &mut intake.archives_mut()[components.archives] {
            if !archive.filename.ends_with("xml") {
                archive.rpms.clone_from(&ids);
            }
        }
    }
    Ok(())
}
