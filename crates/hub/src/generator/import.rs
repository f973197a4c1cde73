//! The import of a content generator's build: everything is checked first, then files are placed,
//! then rows are entered.

use toji_db::lookup::Names;
use toji_db::{archive as db, build as builds};
use toji_types::{BuildState, nvr};
use toji_value::{Fault, Map, Value, map};

use super::build::Planned;
use super::component::Components;
use super::metadata::{Metadata, need};
use super::output::{self, Roots};
use super::{access, has_token, root};
use crate::build::intake::{At, Intake};
use crate::build::{self, Build, told, typed, volume};
use crate::lookup::Entry;
use crate::{Call, policy};

/// Imports a build and returns it.
///
/// # Errors
/// When something does not fit; nothing is changed then.
pub async fn import(
    call: &mut Call,
    metadata: Value,
    directory: &str,
    token: &Value,
) -> Result<Map, Fault> {
    let metadata = Metadata::read(call, metadata, directory).await?;
    let version = metadata.get("metadata_version")?;
    if !version.as_f64().is_some_and(|n| n == 0.0) {
        return Err(Fault::generic(format!("No such metadata version: {}", version.repr())));
    }
    let cg = generator(call, &metadata).await?;
    let planned = Planned::read(call, &metadata, &cg, token).await?;
    let mut components = Components::load(call, &all_components(&metadata)).await?;
    let roots = root::read(&metadata, &cg, &mut components)?;
    let outputs =
        output::read(call, &metadata, directory, &roots, &planned, &mut components).await?;
    let metadata_only = outputs.iter().any(|output| output.metadata_only);
    check_policy(call, &planned, &cg, metadata_only).await?;
    let chosen = choose_volume(call, &planned, &cg).await?;
    let reserved_id = match (&planned.reserved, planned.draft) {
        (None, true) => Some(reserve_id(call).await?),
        _ => None,
    };
    let told = map! {
        "type" => "cg", "metadata" => metadata.map.clone(), "directory" => directory,
    };
    call.callback("preImport", || told.clone()).await?;
    let at = place(&planned, chosen.as_ref(), reserved_id);
    for dir in [at.dir(call), at.default_dir(call)] {
        let (store, place) = (call.hub.store.clone(), dir.clone());
        if crate::files::blocking(move || store.exists(&place)).await? {
            let shown = dir.display();
            return Err(Fault::generic(format!("Destination directory already exists: {shown}")));
        }
    }
    let keep = [at.dir(call), at.default_dir(call)];
    let mut intake = Intake::new(call, at.clone())?;
    let made_in = output::take(call, outputs, &planned, &mut intake).await?;
    intake.write(at.dir(call).join("metadata.json"), metadata.text.clone().into_bytes());
    write_log(call, &components, &mut intake);
    let journal = intake.place(call, planned.reserved.as_ref().map(|b| b.id)).await?;

    // From here on the writer is held; nothing below waits for files.
    let volume_id = chosen.map(|volume| volume.id);
    let id = match &planned.reserved {
        Some(old) => complete(call, old, &planned, volume_id, token).await?,
        None => {
            let pkg_id = build::package_id(call, &planned.name).await?;
            let new = new_build(call, &planned, &cg, volume_id, reserved_id)?;
            let new = builds::New { pkg_id, ..new };
            let given = given(&planned);
            build::create_keeping(call, &planned.name, new, &given, &keep).await?
        }
    };
    for (btype, info) in planned.types.iter() {
        typed::make(call, id, btype, info).await?;
    }
    let missing = || Fault::generic(format!("No such build: {id}"));
    let build = build::by_id(call, id).await?.ok_or_else(missing)?;
    enter(call, intake, &build, journal, &roots, &made_in).await?;
    let shown = build::by_id(call, id).await?.ok_or_else(missing)?.shown;
    let args = || {
        let mut args = told;
        args.insert("build", shown.clone());
        args
    };
    call.callback("postImport", args).await?;
    Ok(shown)
}

async fn enter(
    call: &mut Call,
    mut intake: Intake,
    build: &Build,
    journal: Option<i64>,
    roots: &[root::Root],
    made_in: &Roots,
) -> Result<(), Fault> {
    let mut ids = Vec::with_capacity(roots.len());
    for one in roots {
        ids.push(root::enter(call, one).await?);
    }
    let of = |places: &[usize]| places.iter().map(|place| ids[*place]).collect::<Vec<_>>();
    intake.set_buildroots(&of(&made_in.archives), &of(&made_in.rpms));
    intake.enter(call, build, journal).await.map(drop)
}

/// The one content generator of all buildroots, which the caller may act as.
async fn generator(call: &mut Call, metadata: &Metadata) -> Result<Entry, Fault> {
    let mut found: Option<(Value, Entry)> = None;
    for root in metadata.list("buildroots")? {
        let name = need(root, "content_generator")?.as_struct().map(|cg| need(cg, "name"));
        let name = name.ok_or_else(|| Fault::unexpected("content_generator is no mapping"))??;
        if found.as_ref().is_some_and(|(known, _)| known == name) {
            continue;
        }
        let cg = call.need(Names::ContentGenerator, name).await?;
        if found.as_ref().is_some_and(|(_, known)| known.id != cg.id) {
            let text = "Koji now support only one content-generator per import";
            return Err(Fault::generic(text));
        }
        found = Some((name.clone(), cg));
    }
    let id = found.map_or(Value::Nil, |(_, cg)| Value::Int(cg.id));
    access(call, &id).await
}

/// Components of buildroots and files; what is malformed is refused where it is used.
fn all_components(metadata: &Metadata) -> Vec<&Map> {
    let parts = ["buildroots", "output"].map(|key| metadata.map.value(key));
    let items = parts.into_iter().filter_map(Value::as_array).flatten();
    let lists = items.filter_map(|item| item.get("components").as_array());
    lists.flatten().filter_map(Value::as_struct).collect()
}

async fn check_policy(
    call: &mut Call,
    planned: &Planned,
    cg: &Entry,
    metadata_only: bool,
) -> Result<(), Fault> {
    let types: Vec<String> = planned.types.keys().map(str::to_owned).collect();
    let data = map! {
        "package" => &planned.name, "version" => &planned.version, "release" => &planned.release,
        "btypes" => types, "source" => planned.source.clone(), "draft" => planned.draft,
        "metadata_only" => metadata_only, "cg_list" => vec![cg.id],
    };
    let data = policy::data(&data.into())?;
    call.assert_policy("cg_import", &data, false).await
}

async fn choose_volume(
    call: &mut Call,
    planned: &Planned,
    cg: &Entry,
) -> Result<Option<Entry>, Fault> {
    let data = map! {
        "package" => &planned.name, "version" => &planned.version, "release" => &planned.release,
        "source" => planned.source.clone(), "cg_list" => vec![cg.id], "import" => true,
        "import_type" => "cg",
    };
    volume::choose(call, data).await
}

/// The number that a new draft will have, which its release and so its paths contain.
async fn reserve_id(call: &mut Call) -> Result<i64, Fault> {
    if call.tx.has_writes() {
        return Ok(builds::reserve_id(&mut call.tx).await?);
    }
    let mut tx = call.hub.db.begin_write().await?;
    let id = builds::reserve_id(&mut tx).await?;
    tx.commit().await?;
    Ok(id)
}

fn place(planned: &Planned, volume: Option<&Entry>, reserved_id: Option<i64>) -> At {
    let own = planned.reserved.as_ref().map(|build| build.volume.as_str());
    let volume = volume.map(|v| v.name.as_str()).or(own).unwrap_or("DEFAULT").to_owned();
    let release = match (&planned.reserved, reserved_id) {
        (Some(build), _) => build.release.clone(),
        (None, Some(id)) => nvr::draft_release(&planned.release, id),
        (None, None) => planned.release.clone(),
    };
    At { volume, name: planned.name.clone(), version: planned.version.clone(), release }
}

/// The log of what could not be found, beside the build's other logs.
fn write_log(call: &Call, components: &Components, intake: &mut Intake) {
    if components.log.is_empty() {
        return;
    }
    for line in &components.log {
        tracing::warn!(line, "import of a content generator");
    }
    let text = components.log.join("\n") + "\nCG import was SUCCESSFUL.\n";
    let path = intake.log_dir(call).join("cg_import.log");
    intake.write(path, text.into_bytes());
}

/// Completes a reserved build; what was checked before the files were placed is checked again.
async fn complete(
    call: &mut Call,
    old: &Build,
    planned: &Planned,
    volume_id: Option<i64>,
    token: &Value,
) -> Result<i64, Fault> {
    let id = old.id;
    builds::lock(&mut call.tx, id).await?;
    let missing = || Fault::generic(format!("No such build: {id}"));
    let now = build::by_id(call, id).await?.ok_or_else(missing)?;
    if now.state != BuildState::Building {
        return Err(Fault::generic(format!("Build ID {id} is not in BUILDING state")));
    }
    if !has_token(call, id, token).await? {
        return Err(Fault::generic(format!("Token doesn't match build ID {id}")));
    }
    let done = db::Completion {
        extra: Some(planned.extra.clone().into()),
        owner: planned.owner.map_or_else(|| call.actor(), Ok)?,
        source: planned.source.clone(),
        task_id: planned.task_id,
        volume_id,
    };
    build::announced(call, &now, BuildState::Complete).await?;
    db::complete_reserved(&mut call.tx, id, &done).await?;
    told(call, &now, BuildState::Complete).await?;
    Ok(id)
}

fn new_build(
    call: &Call,
    planned: &Planned,
    cg: &Entry,
    volume_id: Option<i64>,
    id: Option<i64>,
) -> Result<builds::New, Fault> {
    let time = |seconds: f64| toji_db::Time::from_epoch(seconds).map(Some);
    Ok(builds::New {
        version: planned.version.clone(),
        release: planned.release.clone(),
        epoch: planned.epoch,
        draft: planned.draft,
        state: BuildState::Complete.number(),
        task_id: planned.task_id,
        owner: planned.owner.map_or_else(|| call.actor(), Ok)?,
        source: planned.source.clone(),
        extra: Some(planned.extra.clone().into()),
        volume_id: volume_id.unwrap_or(0),
        cg_id: Some(cg.id),
        times: (time(planned.start)?, time(planned.end)?),
        id,
        ..builds::New::default()
    })
}

/// The build as a message shows it.
fn given(planned: &Planned) -> Map {
    map! {
        "name" => &planned.name, "version" => &planned.version, "release" => &planned.release,
        "extra" => planned.extra.clone(), "source" => planned.source.clone(),
        "epoch" => planned.epoch, "draft" => planned.draft, "task_id" => planned.task_id,
    }
}
