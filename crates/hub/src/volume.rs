//! Volumes: which one a build belongs on, and the move of builds between them.
//!
//! A build lies on one volume. On every other one that it was reached by, a link leads there: from
//! the default volume straight to the build, from the others to the default volume.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use toji_db::build as db;
use toji_db::lookup::Names;
use toji_policy::Data;
use toji_store::{Item, Kind};
use toji_types::path::BuildRef;
use toji_types::{BuildState, TagUpdate};
use toji_value::{Fault, Value, map};

use crate::build::Build;
use crate::build::import::{others, place};
use crate::files::{self, After, Placement};
use crate::lookup::Entry;
use crate::{Call, build, policy, task};

/// The volume where the links of all others are.
const DEFAULT: &str = "DEFAULT";

/// The volume that the policy gives; nothing where it gives none that exists.
///
/// # Errors
/// With `strict`, when the policy is wrong or gives none.
pub async fn by_policy(call: &mut Call, data: &Data, strict: bool) -> Result<Option<Entry>, Fault> {
    let name = match call.evaluate("volume", data).await {
        Ok(outcome) => outcome.and_then(|outcome| outcome.action().map(str::to_owned)),
        Err(fault) if strict => return Err(fault),
        Err(fault) => {
            tracing::error!(error = %fault, "the volume policy is wrong");
            None
        }
    };
    let Some(name) = name else {
        tracing::warn!("the volume policy has no rule for a build");
        return if strict { Err(Fault::generic("No volume policy match")) } else { Ok(None) };
    };
    let found = call.find(Names::Volume, &Value::from(&name)).await?;
    if found.is_none() {
        if strict {
            return Err(Fault::generic(format!("Policy returned no such volume: {name}")));
        }
        tracing::error!(volume = name, "the volume policy names a volume that does not exist");
    }
    Ok(found)
}

/// The volume that the policy gives a build that exists.
///
/// # Errors
/// With `strict`, when the policy is wrong or gives none.
pub async fn of_build(
    call: &mut Call,
    build: &Build,
    strict: bool,
) -> Result<Option<Entry>, Fault> {
    let mut values = map! { "build" => build.id };
    let other = build.shown.value("extra").get("container_koji_task_id").as_int();
    if let Some(task_id) = build.task_id.or(other) {
        let (method, args) = task::request(call, task_id).await?;
        values.extend(task::make::policy_values(call, &method, &args).await?);
    }
    let data = policy::data(&values.into())?;
    by_policy(call, &data, strict).await
}

/// Moves a build to the volume that the policy gives it.
///
/// # Errors
/// With `strict`, when the policy is wrong; when the build cannot be moved.
pub async fn apply_policy(call: &mut Call, build: &Build, strict: bool) -> Result<(), Fault> {
    match of_build(call, build, strict).await? {
        Some(volume) if volume.id != build.volume_id => change(call, build, &volume, true).await,
        _ => Ok(()),
    }
}

/// Moves a build to a volume.
///
/// # Errors
/// With `strict`, when it is there already; for a build in progress, and for directories that are
/// not as they should be.
pub async fn change(
    call: &mut Call,
    build: &Build,
    volume: &Entry,
    strict: bool,
) -> Result<(), Fault> {
    if build.volume_id == volume.id {
        if strict {
            let (nvr, volume) = (build.nvr(), &build.volume);
            return Err(Fault::generic(format!("Build {nvr} already on volume {volume}")));
        }
        return Ok(());
    }
    if !matches!(build.state, BuildState::Complete | BuildState::Deleted) {
        return Err(Fault::generic(format!("Build {} is {}", build.nvr(), build.state)));
    }
    let dir = PathBuf::from(call.hub.paths.volumedir(Some(&volume.name)));
    let store = call.hub.store.clone();
    if !files::blocking(move || store.is_dir(&dir)).await? {
        let text = format!("Directory entry missing for volume {}", volume.name);
        return Err(Fault::generic(text));
    }
    check_places(call, build, volume).await?;
    let moved = Move { to: BuildRef { volume: Some(&volume.name), ..build.at() }, leave: None };
    let copied = relocate(call, build, &moved).await?;
    place::hold(call, build).await?;
    copied.unchanged(call, build).await?;
    let (old, new) = (Value::Int(build.volume_id), Value::Int(volume.id));
    build::changing(call, build, "volume_id", old.clone(), new.clone()).await?;
    db::set_volume(&mut call.tx, build.id, volume.id).await?;
    settle(call, build, &moved, TagUpdate::VolumeChange).await?;
    if let Some(journal) = copied.journal {
        toji_db::journal::commit(&mut call.tx, journal).await?;
    }
    let body = map! {
        "id" => build.id, "attribute" => "volume_id", "old" => build.volume_id,
        "new" => volume.id, "nvr" => build.nvr(), "name" => &build.name,
        "owner_id" => build.owner_id,
    };
    call.emit("build.change", &format!("build:{}", build.id), body);
    build::changed(call, build.id, "volume_id", old, new).await
}

/// Refuses a move when another volume holds something in the build's name.
async fn check_places(call: &mut Call, build: &Build, to: &Entry) -> Result<(), Fault> {
    for name in db::volumes(&mut call.tx).await? {
        let at = BuildRef { volume: Some(&name), ..build.at() };
        let dir = call.hub.paths.build(at);
        if name == build.volume {
            continue;
        }
        let (store, path) = (call.hub.store.clone(), PathBuf::from(&dir));
        let item = files::blocking(move || store.item(&path)).await?;
        let link = item.as_ref().is_some_and(|item| matches!(item.kind, Kind::Link(_)));
        if item.is_none() || (name == DEFAULT && link) {
            continue;
        }
        let what = match name == to.name {
            true => "Destination directory exists",
            false => "Unexpected cross-volume content",
        };
        return Err(Fault::generic(format!("{what}: {dir}")));
    }
    Ok(())
}

/// Where a build goes.
pub(crate) struct Move<'a> {
    /// Its new place.
    pub(crate) to: BuildRef<'a>,
    /// A link that stays at the old place, with this text.
    pub(crate) leave: Option<PathBuf>,
}

/// Copies a build to its new place; the old one goes when the call has succeeded.
///
/// # Errors
/// When the build's directory is missing or cannot be copied.
pub(crate) async fn relocate(
    call: &mut Call,
    build: &Build,
    moved: &Move<'_>,
) -> Result<Copied, Fault> {
    let paths = call.hub.paths.clone();
    let old = PathBuf::from(paths.build(build.at()));
    let new = PathBuf::from(paths.build(moved.to));
    let (store, place) = (call.hub.store.clone(), old.clone());
    let (there, dir) =
        files::blocking(move || Ok((store.exists(&place)?, store.is_dir(&place)?))).await?;
    if !there {
        return Err(Fault::generic(format!("Build directory missing: {}", old.display())));
    }
    if !dir {
        return Err(Fault::generic(format!("Not a directory: {}", old.display())));
    }
    let name = new.file_name().unwrap_or_default().to_string_lossy();
    let mut staged = new.with_file_name(format!(".{name}.moving"));
    let mut after = vec![After::Rename(staged.clone(), new.clone()), After::Remove(old.clone())];
    if call.hub.store.at(&new).is_some() {
        // Objects cannot be renamed together. Nobody looks where the row does not point to, so they go there at once; what an
        // interrupted move has left is in the journal, and that there is one move at a time is seen to by the entry.
        staged = new.clone();
        after.remove(0);
    }
    after.extend(moved.leave.clone().map(|target| After::Link(old.clone(), target)));
    after.extend(default_link(call, moved.to));
    if moved.leave.is_some() && call.hub.store.at(&old).is_some() {
        // No link can stay there, so the one on the default volume leads on.
        let base = BuildRef { volume: Some(DEFAULT), ..build.at() };
        let base = PathBuf::from(paths.build(base));
        let target = toji_store::relative_link(base.parent().unwrap_or(Path::new("/")), &new);
        after.push(After::Link(base, target));
    }
    let plan = Placement { trees: vec![staged.clone()], after, ..Placement::default() };
    let store = call.hub.store.clone();
    let state = Arc::new(OnceLock::new());
    let (seen, from) = (state.clone(), old.clone());
    let copy = move || {
        // It is told once.
        let _ = seen.set(store.state(&from)?);
        store.remove_tree(&staged)?;
        store.copy_tree(&from, &staged)
    };
    let journal = place::carry_out_alone(call, build, plan, copy).await?;
    Ok(Copied { journal, from: old, state })
}

/// The files of a build in their new place, before the commit.
pub(crate) struct Copied {
    /// The entry, which the call's transaction must mark as committed.
    pub(crate) journal: Option<i64>,
    from: PathBuf,
    /// What there was when copying began.
    state: Arc<OnceLock<Vec<Item>>>,
}

impl Copied {
    /// Refuses what was copied when something was written at the old place since; whoever writes there holds the build until
    /// that is committed, as the caller does now.
    pub(crate) async fn unchanged(&self, call: &Call, build: &Build) -> Result<(), Fault> {
        let (store, from) = (call.hub.store.clone(), self.from.clone());
        let now = files::blocking(move || store.state(&from)).await?;
        if self.state.get().is_some_and(|before| *before == now)
            && !others::unfinished(call, &self.from).await?
        {
            return Ok(());
        }
        let text = format!("The files of build {} were changed meanwhile, try again", build.nvr());
        Err(Fault::generic(text))
    }
}

/// The link on the default volume to a build on another one; nothing for one that lies there.
pub(crate) fn default_link(call: &Call, at: BuildRef<'_>) -> Option<After> {
    let volume = at.volume.filter(|name| *name != DEFAULT)?;
    let base = PathBuf::from(call.hub.paths.build(BuildRef { volume: Some(DEFAULT), ..at }));
    let dir = call.hub.paths.build(BuildRef { volume: Some(volume), ..at });
    let target = toji_store::relative_link(base.parent()?, Path::new(&dir));
    Some(After::Link(base, target))
}

/// Enters what follows from a move: digests by their new paths, metadata with the new place, tags
/// whose repositories change.
pub(crate) async fn settle(
    call: &mut Call,
    build: &Build,
    moved: &Move<'_>,
    update: TagUpdate,
) -> Result<(), Fault> {
    let user = call.actor()?;
    let top = call.hub.paths.topdir().to_owned();
    let below =
        |path: String| path.strip_prefix(&top).unwrap_or(&path).trim_start_matches('/').to_owned();
    let (old, new) =
        (below(call.hub.paths.build(build.at())), below(call.hub.paths.build(moved.to)));
    toji_db::journal::move_digests(&mut call.tx, &old, &new).await?;
    toji_db::fragment::forget(&mut call.tx, build.id).await?;
    for tag in toji_db::rpm::tags_of_build(&mut call.tx, build.id).await? {
        toji_db::rpm::tag_updated(&mut call.tx, tag, update.number(), user).await?;
    }
    call.signal(toji_bus::Topic::Repositories);
    Ok(())
}
