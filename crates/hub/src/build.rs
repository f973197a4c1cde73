//! Builds: finding them as callers name them, making, ending and taking them up again.

pub mod complete;
pub mod fresh;
pub mod import;
pub mod intake;
pub mod promote;
pub mod release;
pub mod remove;
pub mod source;
pub mod typed;
pub mod volume;

use std::path::PathBuf;

use toji_db::build as db;
use toji_types::path::BuildRef;
use toji_types::{BuildState, Nvr};
use toji_value::{Fault, Map, Value, map};

use crate::Call;
use crate::lookup::fit;

/// A build.
#[derive(Clone, Debug)]
pub struct Build {
    /// Its number.
    pub id: i64,
    /// Package name.
    pub name: String,
    /// Upstream's version.
    pub version: String,
    /// The packager's release; of a draft with its suffix.
    pub release: String,
    /// The epoch.
    pub epoch: Option<i64>,
    /// Where it stands.
    pub state: BuildState,
    /// Whether it is a draft.
    pub draft: bool,
    /// The task that makes or made it.
    pub task_id: Option<i64>,
    /// The user it belongs to.
    pub owner_id: i64,
    /// The package.
    pub package_id: i64,
    /// The volume that it is stored on.
    pub volume_id: i64,
    /// The name of that volume.
    pub volume: String,
    /// The build as `getBuild` shows it.
    pub shown: Map,
}

impl Build {
    fn of(row: toji_db::Row) -> Result<Self, Fault> {
        let state = BuildState::try_from(row.get::<i64>("state")?);
        Ok(Build {
            id: row.get("id")?,
            name: row.get("name")?,
            version: row.get("version")?,
            release: row.get("release")?,
            epoch: row.get("epoch")?,
            state: state.map_err(|e| Fault::generic(e.to_string()))?,
            draft: row.get("draft")?,
            task_id: row.get("task_id")?,
            owner_id: row.get("owner_id")?,
            package_id: row.get("package_id")?,
            volume_id: row.get("volume_id")?,
            volume: row.get("volume_name")?,
            shown: row.into_map(),
        })
    }

    /// Name, version and release.
    pub fn nvr(&self) -> String {
        format!("{}-{}-{}", self.name, self.version, self.release)
    }

    /// What its paths are made of.
    pub fn at(&self) -> BuildRef<'_> {
        BuildRef {
            volume: Some(&self.volume),
            name: &self.name,
            version: &self.version,
            release: &self.release,
        }
    }
}

/// The number of the build that a caller names: a number is taken as it is.
///
/// # Errors
/// A generic fault for a value that names no build.
pub async fn find_id(call: &mut Call, info: &Value) -> Result<Option<i64>, Fault> {
    let (name, version, release) = match info {
        Value::Int(id) => return Ok(Some(*id)),
        Value::Bool(truth) => return Ok(Some(i64::from(*truth))),
        Value::Str(nvr) => {
            let nvr = Nvr::parse(nvr).map_err(|e| Fault::generic(e.to_string()))?;
            (nvr.name, nvr.version, nvr.release)
        }
        Value::Struct(map) => {
            let part = |key: &str| map.get(key).map(Value::display);
            match (part("name"), part("version"), part("release")) {
                (Some(name), Some(version), Some(release)) => (name, version, release),
                _ => return Err(Fault::generic("did not provide name, version, and release")),
            }
        }
        other => {
            let text = format!("Invalid type for argument: <class '{}'>", other.type_name());
            return Err(Fault::generic(text));
        }
    };
    Ok(db::find(&mut call.tx, &name, &version, &release).await?)
}

/// The build that a caller names, or nothing.
///
/// # Errors
/// A generic fault for a value that names no build.
pub async fn find(call: &mut Call, info: &Value) -> Result<Option<Build>, Fault> {
    match find_id(call, info).await? {
        Some(id) => by_id(call, id).await,
        None => Ok(None),
    }
}

/// The build that a caller names.
///
/// # Errors
/// A generic fault when there is none.
pub async fn need(call: &mut Call, info: &Value) -> Result<Build, Fault> {
    let Some(id) = find_id(call, info).await? else {
        return Err(Fault::generic(format!("No such build: {}", info.repr())));
    };
    let missing = || Fault::generic(format!("No such build: {}", info.display()));
    by_id(call, id).await?.ok_or_else(missing)
}

/// The build with this number, or nothing.
///
/// # Errors
/// When the database fails.
pub async fn by_id(call: &mut Call, id: i64) -> Result<Option<Build>, Fault> {
    db::get(&mut call.tx, fit(id)).await?.map(Build::of).transpose()
}

/// Runs the callback before a change of an attribute of a build; [`changed`] belongs after it.
pub(crate) async fn changing(
    call: &mut Call,
    build: &Build,
    attribute: &str,
    old: Value,
    new: Value,
) -> Result<(), Fault> {
    let args = || {
        map! { "attribute" => attribute, "old" => old, "new" => new, "info" => build.shown.clone() }
    };
    call.callback("preBuildStateChange", args).await
}

/// Runs the callback after a change, with the build as it is now.
pub(crate) async fn changed(
    call: &mut Call,
    id: i64,
    attribute: &str,
    old: Value,
    new: Value,
) -> Result<(), Fault> {
    if !call.listens("postBuildStateChange") {
        return Ok(());
    }
    let info = by_id(call, id).await?.map(|build| build.shown).unwrap_or_default();
    let args = || map! { "attribute" => attribute, "old" => old, "new" => new, "info" => info };
    call.callback("postBuildStateChange", args).await
}

/// Runs the callback before a change of state.
pub(crate) async fn announced(call: &mut Call, build: &Build, to: BuildState) -> Result<(), Fault> {
    let (old, new) = (build.state.number(), to.number());
    changing(call, build, "state", old.into(), new.into()).await
}

/// Tells of a change of state, with the build as it was before; [`announced`] comes before the change.
pub(crate) async fn told(call: &mut Call, build: &Build, to: BuildState) -> Result<(), Fault> {
    let mut body = map! {
        "id" => build.id, "old" => build.state.name(), "new" => to.name(), "nvr" => build.nvr(),
        "task_id" => build.task_id, "owner_id" => build.owner_id,
    };
    body.insert("name", &build.name);
    call.emit("build.state", &format!("build:{}", build.id), body);
    crate::statement::follow(call, build, to).await?;
    let (old, new) = (build.state.number(), to.number());
    changed(call, build.id, "state", old.into(), new.into()).await
}

/// Cancels a build in progress, without its task; tells whether it was in progress.
///
/// # Errors
/// When the database fails.
pub async fn cancel(call: &mut Call, id: i64) -> Result<bool, Fault> {
    db::lock(&mut call.tx, id).await?;
    let Some(build) = by_id(call, id).await? else { return Ok(false) };
    if build.state != BuildState::Building {
        return Ok(false);
    }
    announced(call, &build, BuildState::Canceled).await?;
    db::end(&mut call.tx, id, BuildState::Canceled).await?;
    db::clear_reservation(&mut call.tx, id).await?;
    told(call, &build, BuildState::Canceled).await?;
    if let Some(task) = build.task_id {
        crate::tagging::notice::built(call, task, id).await?;
    }
    Ok(true)
}

/// Marks a build in progress as failed.
///
/// # Errors
/// When it is not in progress.
pub async fn fail(call: &mut Call, build: &Build) -> Result<(), Fault> {
    if build.state != BuildState::Building {
        let state = build.state;
        return Err(Fault::generic(format!("Unable to complete build: state is {state}")));
    }
    announced(call, build, BuildState::Failed).await?;
    db::end(&mut call.tx, build.id, BuildState::Failed).await?;
    told(call, build, BuildState::Failed).await
}

/// Makes a build, or takes up a failed or cancelled one of the same name again.
///
/// # Errors
/// When there is a build of this name that is in progress, complete or deleted; `given` is what the
/// caller asked for, for the message.
pub async fn create(call: &mut Call, name: &str, new: db::New, given: &Map) -> Result<i64, Fault> {
    create_keeping(call, name, new, given, &[]).await
}

/// Makes a build as [`create`] does; of files that an earlier try left behind, those at `keep` are
/// the new build's own.
pub(crate) async fn create_keeping(
    call: &mut Call,
    name: &str,
    new: db::New,
    given: &Map,
    keep: &[PathBuf],
) -> Result<i64, Fault> {
    let state = BuildState::try_from(new.state).map_err(|e| Fault::generic(e.to_string()))?;
    for (part, text) in [("version", &new.version), ("release", &new.release)] {
        if toji_store::join(&[text]).is_err() || text.contains('-') {
            return Err(Fault::generic(format!("Invalid {part} for a build: {text:?}")));
        }
    }
    if let Some(id) = db::find(&mut call.tx, name, &new.version, &new.release).await? {
        db::lock(&mut call.tx, id).await?;
        let old = by_id(call, id).await?;
        let old = old.ok_or_else(|| Fault::generic(format!("No such build: {id}")))?;
        if new.draft {
            let text = format!("Target build already exists: {} (id={id})", old.nvr());
            return Err(Fault::generic(text));
        }
        recycle(call, &old, &new, state, given, keep).await?;
        return Ok(id);
    }
    if call.listens("preBuildStateChange") {
        let mut info = shown(given, &new);
        info.extend(map! { "name" => name, "version" => &new.version, "release" => &new.release });
        let args = map! {
            "attribute" => "state", "old" => Value::Nil, "new" => new.state, "info" => info,
        };
        call.callback("preBuildStateChange", || args).await?;
    }
    let id = db::insert(&mut call.tx, &new).await?;
    if let Some(build) = by_id(call, id).await? {
        let mut body = map! {
            "id" => id, "old" => Value::Nil, "new" => state.name(), "nvr" => build.nvr(),
            "task_id" => build.task_id, "owner_id" => build.owner_id,
        };
        body.insert("name", name);
        call.emit("build.state", &format!("build:{id}"), body);
        changed(call, id, "state", Value::Nil, state.number().into()).await?;
    }
    Ok(id)
}

/// What was asked for, as a Koji hub shows it: the caller's members first, then the defaults.
fn shown(given: &Map, new: &db::New) -> Map {
    let mut shown = given.clone();
    let extra = new.extra.as_ref().map(|extra| extra.to_json().to_string());
    shown.insert("pkg_id", new.pkg_id);
    shown.insert("extra", extra);
    for (key, value) in [
        ("state", Value::Int(new.state)),
        ("start_time", "NOW".into()),
        ("completion_time", "NOW".into()),
        ("source", Value::Nil),
        ("owner", Value::Int(new.owner)),
        ("task_id", Value::Nil),
        ("volume_id", Value::Int(new.volume_id)),
        ("draft", Value::Bool(new.draft)),
    ] {
        if !shown.contains_key(key) || key == "owner" {
            shown.insert(key, value);
        }
    }
    shown
}

async fn recycle(
    call: &mut Call,
    old: &Build,
    new: &db::New,
    state: BuildState,
    given: &Map,
    keep: &[PathBuf],
) -> Result<(), Fault> {
    if old.state == BuildState::Building {
        // The controlling task was started again.
        if state == old.state && new.task_id == old.task_id {
            return Ok(());
        }
        let task = old.task_id.map_or_else(|| "None".to_owned(), |id| id.to_string());
        return Err(Fault::generic(format!("Build already in progress (task {task})")));
    }
    if !matches!(old.state, BuildState::Failed | BuildState::Canceled) {
        let (id, state) = (old.id, old.state);
        let shown = Value::Struct(shown(given, new)).repr();
        let text = format!("Build already exists (id={id}, state={state}): {shown}");
        return Err(Fault::generic(text));
    }
    let traces = db::traces(&mut call.tx, old.id).await?;
    for (kind, what) in
        [("tags", "has tag history"), ("rpms", "has rpm data"), ("archives", "has archive data")]
    {
        if traces.get::<bool>(kind)? {
            let text = format!("Build already exists. Unable to recycle, {what}");
            return Err(Fault::generic(text));
        }
    }
    announced(call, old, state).await?;
    db::clear_types(&mut call.tx, old.id).await?;
    db::recycle(&mut call.tx, old.id, new).await?;
    remove::stray_files(call, old, keep).await?;
    told(call, old, state).await
}

/// The number of a package name, which is made if it is new.
///
/// # Errors
/// When the database fails.
pub async fn package_id(call: &mut Call, name: &str) -> Result<i64, Fault> {
    toji_store::join(&[name]).map_err(|e| Fault::generic(e.to_string()))?;
    let names = toji_db::lookup::Names::Package;
    Ok(call.find_or_make(names, &name.into()).await?.id)
}

/// The present moment twice, for builds that are complete from their start.
pub(crate) fn now_and_now(
    call: &Call,
) -> Result<(Option<toji_db::Time>, Option<toji_db::Time>), Fault> {
    let now = Some(toji_db::Time::from_epoch(call.now())?);
    Ok((now, now))
}
