//! Scratch builds for further arches that are merged into a build.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toji_db::rpm as rpms;
use toji_store::Area;
use toji_types::{BuildState, Nevra, TagUpdate, TaskState};
use toji_value::{Fault, Map, Value};

use super::read::{read_log, read_rpm};
use super::{enter, place, signature_files, steps};
use crate::build::Build;
use crate::task::params;
use crate::{Call, build, task};

/// What one task made for one arch; paths are relative to the root of all files.
#[derive(Default)]
struct Part {
    arch: String,
    rpms: Vec<String>,
    logs: Vec<String>,
    buildroot: i64,
}

/// Imports the arch packages of a scratch build into the build of the same source package.
///
/// # Errors
/// `ImportError` when the two do not belong together.
pub async fn scratch(call: &mut Call, task_id: i64) -> Result<i64, Fault> {
    let (source, url) = scratch_task(call, task_id).await?;
    let (srpm, parts) = outputs(call, task_id).await?;
    let found = target(call, &srpm).await?;
    if let Some(url) = url {
        let (method, args) = task::request(call, found.task_id.unwrap_or_default()).await?;
        let own = params::named(&method, &args).unwrap_or_default();
        let own = own.value("src").display();
        if own != url {
            return Err(Fault::import(format!(
                "SCM URLs for the task and build do not match: {source}, {own}"
            )));
        }
    }
    check_rpms(call, task_id, &found, &srpm, &parts).await?;
    import(call, &found, parts).await?;
    Ok(found.id)
}

/// The source of a scratch build that is over, and again if it is of a repository.
async fn scratch_task(call: &mut Call, task_id: i64) -> Result<(String, Option<String>), Fault> {
    let row = toji_db::task::get(&mut call.tx, task_id).await?;
    let row = row.ok_or_else(|| Fault::import(format!("No such task: {task_id}")))?;
    let refuse = |what: &str| Err(Fault::import(format!("task {task_id} {what}")));
    let (method, args) = task::request(call, task_id).await?;
    if row.get::<i64>("state")? != TaskState::Closed.number() {
        return refuse("did not complete successfully");
    }
    if method != "build" {
        return refuse("is not a build task");
    }
    let named = params::named(&method, &args).unwrap_or_default();
    if !named.value("opts").get("scratch").truthy() {
        return refuse("is not a scratch build");
    }
    let source = named.value("src").display();
    let url = source.contains("://").then(|| source.clone());
    Ok((source, url))
}

/// The name of the source package, and what each arch's task made.
async fn outputs(call: &mut Call, task_id: i64) -> Result<(String, Vec<Part>), Fault> {
    let mut srpm: Option<String> = None;
    let mut parts = Vec::new();
    for child in toji_db::task::children(&mut call.tx, task_id).await? {
        if child.value("method").as_str() != Some("buildArch") {
            continue;
        }
        let id: i64 = child.get("id")?;
        let mut part = output(call, id, &mut srpm).await?;
        if part.rpms.is_empty() {
            continue;
        }
        if part.logs.is_empty() {
            return Err(Fault::import(format!("task {id} is missing logs")));
        }
        let newest = toji_db::buildroot::newest_of_task(&mut call.tx, id).await?;
        let missing = || Fault::import(format!("no buildroot associated with task {id}"));
        part.buildroot = newest.ok_or_else(missing)?;
        parts.push(part);
    }
    match srpm {
        Some(srpm) if !parts.is_empty() => Ok((srpm, parts)),
        _ => Err(Fault::import(format!("nothing to do for task {task_id}"))),
    }
}

/// Sorts the output of one task.
async fn output(call: &Call, id: i64, srpm: &mut Option<String>) -> Result<Part, Fault> {
    let top = PathBuf::from(call.hub.paths.topdir());
    let dir = call.hub.paths.task(id, None);
    let area = Area::new(&dir);
    let entries = crate::files::blocking(move || area.walk("")).await?;
    let mut names: Vec<String> = entries.into_iter().map(|entry| entry.path).collect();
    names.sort();
    let mut part = Part::default();
    for name in names {
        let base = name.rsplit('/').next().unwrap_or(&name).to_owned();
        if base.ends_with(".src.rpm") {
            match srpm {
                Some(known) if *known != base => {
                    return Err(Fault::import(format!(
                        "task srpm names do not match: {known}, {base}"
                    )));
                }
                _ => *srpm = Some(base),
            }
        } else if base.ends_with(".noarch.rpm") {
            continue;
        } else if base.ends_with(".rpm") {
            let arch = Nevra::parse(&base).map_err(|e| Fault::import(e.to_string()))?.arch;
            if part.arch.is_empty() {
                part.arch = arch;
            } else if part.arch != arch {
                let known = &part.arch;
                return Err(Fault::import(format!(
                    "multiple arches generated by task {id}: {known}, {arch}"
                )));
            }
            part.rpms.push(real(&top, &dir, &name)?);
        } else if base.ends_with(".log") {
            part.logs.push(real(&top, &dir, &name)?);
        }
    }
    Ok(part)
}

/// Where a file of a task really is: the scratch build was moved, a link was left.
fn real(top: &Path, dir: &str, name: &str) -> Result<String, Fault> {
    let path = Path::new(dir).join(name);
    let missing = || Fault::generic(format!("No such file: {}", path.display()));
    let (path, top) =
        (path.canonicalize().map_err(|_| missing())?, top.canonicalize().map_err(|_| missing())?);
    let below = path.strip_prefix(&top).map_err(|_| missing())?;
    Ok(below.to_string_lossy().into_owned())
}

/// The build of a source package, which must be complete and no draft.
async fn target(call: &mut Call, srpm: &str) -> Result<Build, Fault> {
    let nvr = Nevra::parse(srpm).map_err(|e| Fault::import(e.to_string()))?.nvr;
    let name = format!("{}-{}-{}", nvr.name, nvr.version, nvr.release);
    let found = build::find(call, &Value::from(&name)).await?;
    let found = found.ok_or_else(|| Fault::import(format!("no such build: {name}")))?;
    let nvr = found.nvr();
    if found.draft {
        return Err(Fault::import(format!("build to import is a draft build: {nvr}")));
    }
    if found.state != BuildState::Complete {
        return Err(Fault::import(format!("{nvr} did not complete successfully")));
    }
    if found.task_id.is_none() {
        return Err(Fault::import(format!("no task for {nvr}")));
    }
    Ok(found)
}

/// Refuses arches that the build has already.
async fn check_rpms(
    call: &mut Call,
    task_id: i64,
    found: &Build,
    srpm: &str,
    parts: &[Part],
) -> Result<(), Fault> {
    let filter = rpms::Filter { build: Some(found.id), ..rpms::Filter::default() };
    let rows = rpms::list(&mut call.tx, filter, &toji_db::QueryOpts::default()).await?;
    let none = Map::new();
    let mut arches = BTreeSet::new();
    for row in rows.as_array().unwrap_or_default() {
        let row = row.as_struct().unwrap_or(&none);
        match row.str("arch").unwrap_or_default() {
            "src" => {
                let own = format!("{}.src.rpm", row.value("nvr").display());
                if own != srpm {
                    return Err(Fault::import(format!(
                        "task and build srpm names do not match: {srpm}, {own}"
                    )));
                }
            }
            "noarch" => {}
            arch => drop(arches.insert(arch.to_owned())),
        }
    }
    let nvr = found.nvr();
    if arches.is_empty() {
        return Err(Fault::import(format!("no arch-specific rpms found for {nvr}")));
    }
    let own: BTreeSet<&str> = parts.iter().map(|part| part.arch.as_str()).collect();
    let doubled: Vec<&str> = own.into_iter().filter(|arch| arches.contains(*arch)).collect();
    if !doubled.is_empty() {
        let doubled = doubled.join(", ");
        return Err(Fault::import(format!(
            "task {task_id} and {nvr} produce rpms with the same arches: {doubled}"
        )));
    }
    Ok(())
}

async fn import(call: &mut Call, found: &Build, parts: Vec<Part>) -> Result<(), Fault> {
    let (area, store) = (Area::new(call.hub.paths.topdir()), call.hub.store.clone());
    let work = move || -> Result<(Vec<_>, Vec<_>), Fault> {
        let (mut sources, mut logs) = (Vec::new(), Vec::new());
        for part in parts {
            for rel in &part.rpms {
                sources.push((read_rpm(&store, &area, rel)?, part.buildroot));
            }
            for rel in &part.logs {
                logs.push(read_log(&store, &area, &part.arch, rel)?);
            }
        }
        Ok((sources, logs))
    };
    let read = tokio::task::spawn_blocking(work).await;
    let (sources, logs) = read.map_err(|_| Fault::unexpected("reading of files ended early"))??;
    let plain: Vec<_> = sources.iter().map(|(source, _)| source.clone()).collect();
    place::hold(call, found).await?;
    let planned = steps(call, found, &plain, &logs)?;
    for step in &planned {
        let (store, to) = (call.hub.store.clone(), step.to.clone());
        if crate::files::blocking(move || store.exists(&to)).await? {
            let (name, to) = (step.to.extension().unwrap_or_default(), step.to.display());
            let what = if name == "log" { "build log" } else { "archive file" };
            return Err(Fault::generic(format!("Error importing {what}. {to} already exists.")));
        }
    }
    let headers = signature_files(call, found, &plain);
    let journal = place::place(call, found.id, planned, headers, Vec::new()).await?;
    for (source, buildroot) in &sources {
        enter(call, found, source, Some(*buildroot)).await?;
    }
    let user = call.actor()?;
    for tag in rpms::tags_of_build(&mut call.tx, found.id).await? {
        rpms::tag_updated(&mut call.tx, tag, TagUpdate::Import.number(), user).await?;
    }
    if let Some(journal) = journal {
        toji_db::journal::commit(&mut call.tx, journal).await?;
    }
    call.signal(toji_bus::Topic::Repositories);
    Ok(())
}
