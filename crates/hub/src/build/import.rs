//! The import of a finished build: RPMs and logs from the upload area to their final places.
//!
//! Files are checked and hashed first, without holding the database. Then a journal entry is
//! written, the files are placed beside their sources, and the database commits; only after that
//! the sources become links. Whatever ends in between is undone by the call or by
//! [`recover`](crate::Hub::recover).

pub mod merge;
mod noarch;
pub(crate) mod place;

pub use place::recover;

use std::collections::BTreeMap;
use std::path::PathBuf;

use toji_bus::Topic;
use toji_db::build as db;
use toji_db::rpm as rpms;
use toji_store::{Area, Step};
use toji_types::path::{BuildRef, RpmRef};
use toji_types::{BuildState, ChecksumType, Nevra, nvr};
use toji_value::{Fault, Map, Value, map};

use super::source::Source;
use super::{Build, told};
use crate::task::claim;
use crate::{Call, files};

/// What a builder hands over; paths are relative to the upload area.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// The source package.
    pub srpm: String,
    /// The other packages.
    pub rpms: Vec<String>,
    /// The buildroot that a package was made in.
    pub buildroots: Vec<(String, i64)>,
    /// Logs: their directory (empty for none) and path.
    pub logs: Vec<(String, String)>,
}

/// Imports the results of a build in progress and completes it.
///
/// # Errors
/// When a file is missing, broken, or does not belong to the build; nothing is changed then.
pub async fn complete(
    call: &mut Call,
    task_id: i64,
    build_id: i64,
    results: Results,
) -> Result<Build, Fault> {
    let missing = || Fault::generic(format!("No such build: {build_id}"));
    let build = super::by_id(call, build_id).await?.ok_or_else(missing)?;
    call.callback("preImport", || told_of(&results, task_id, build_id, Value::Nil)).await?;
    check_open(&build, task_id)?;
    let buildroots: Vec<i64> = results.buildroots.iter().map(|(_, id)| *id).collect();
    claim::check_buildroots(call, task_id, &buildroots).await?;
    check_files(call, task_id, &results).await?;
    let (sources, logs) = read(call, &results).await?;
    check_sources(&build, &sources)?;
    let volume = volume(call, &build, task_id, &results).await?;
    let stored = Build { volume_id: volume.0, volume: volume.1, ..build.clone() };
    let steps = steps(call, &stored, &sources, &logs)?;
    let after = crate::volume::default_link(call, stored.at()).into_iter().collect();
    let journal =
        place::place(call, build_id, steps, signature_files(call, &stored, &sources), after)
            .await?;

    // From here on the writer is held; nothing below waits for files.
    crate::task::lock_held(call, task_id).await?;
    db::lock(&mut call.tx, build_id).await?;
    let now = super::by_id(call, build_id).await?.ok_or_else(missing)?;
    check_open(&now, task_id)?;
    super::announced(call, &now, BuildState::Complete).await?;
    db::complete(&mut call.tx, build_id, stored.volume_id).await?;
    db::add_type(&mut call.tx, build_id, "rpm").await?;
    for source in &sources {
        let buildroot = results.buildroots.iter().find(|(rel, _)| *rel == source.rel);
        enter(call, &stored, source, buildroot.map(|(_, id)| *id)).await?;
    }
    for log in &logs {
        let path = relative(call, &log_path(call, &stored, log));
        let size = i64::try_from(log.size).unwrap_or(i64::MAX);
        toji_db::journal::set_digest(&mut call.tx, &path, size, &log.sha256).await?;
    }
    if let Some(journal) = journal {
        toji_db::journal::commit(&mut call.tx, journal).await?;
    }
    told(call, &now, BuildState::Complete).await?;
    call.signal(Topic::Repositories);
    let build = super::by_id(call, build_id).await?.ok_or_else(missing)?;
    let shown = || told_of(&results, task_id, build_id, build.shown.clone().into());
    call.callback("postImport", shown).await?;
    Ok(build)
}

/// What plugins are told of the import of a whole build.
fn told_of(results: &Results, task_id: i64, build_id: i64, build: Value) -> Map {
    let buildroots =
        results.buildroots.iter().map(|(rel, id)| (rel.clone().into(), Value::Int(*id)));
    let mut logs: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (dir, rel) in &results.logs {
        logs.entry(dir).or_default().push(rel.into());
    }
    let logs = logs.into_iter().map(|(dir, files)| (dir.to_owned().into(), Value::Array(files)));
    let rpms: Vec<Value> = results.rpms.iter().map(Value::from).collect();
    map! {
        "type" => "build", "srpm" => &results.srpm, "rpms" => rpms,
        "brmap" => buildroots.collect::<Map>(), "task_id" => task_id, "build_id" => build_id,
        "build" => build, "logs" => logs.collect::<Map>(),
    }
}

pub(crate) fn check_open(build: &Build, task_id: i64) -> Result<(), Fault> {
    if build.state != BuildState::Building {
        let state = build.state;
        return Err(Fault::generic(format!("Unable to complete build: state is {state}")));
    }
    if build.task_id != Some(task_id) {
        let known = build.task_id.map_or_else(|| "None".to_owned(), |id| id.to_string());
        let text =
            format!("Unable to complete build: task_id mismatch (build: {known}, rpm: {task_id})");
        return Err(Fault::generic(text));
    }
    Ok(())
}

/// Refuses files that others than the build's tasks and its owner have uploaded.
async fn check_files(call: &mut Call, task_id: i64, results: &Results) -> Result<(), Fault> {
    let logs = results.logs.iter().map(|(_, path)| path.as_str());
    let rpms = results.rpms.iter().map(String::as_str);
    let all: Vec<&str> = rpms.chain(logs).chain([results.srpm.as_str()]).collect();
    claim::check_files(call, claim::Holder::Task(task_id), &all).await
}

/// A log to be stored.
#[derive(Clone, Debug)]
struct Log {
    dir: String,
    path: PathBuf,
    name: String,
    size: u64,
    sha256: String,
}

/// Reads and hashes all files; doubled noarch packages are compared and taken once.
async fn read(call: &Call, results: &Results) -> Result<(Vec<Source>, Vec<Log>), Fault> {
    let area = Area::new(call.hub.paths.work(None));
    let results = results.clone();
    let work = move || -> Result<(Vec<Source>, Vec<Log>), Fault> {
        let mut sources = vec![read_rpm(&area, &results.srpm)?];
        for rel in &results.rpms {
            sources.push(read_rpm(&area, rel)?);
        }
        let sources = noarch::merge(sources)?;
        let logs = results.logs.iter().map(|(dir, rel)| read_log(&area, dir, rel));
        Ok((sources, logs.collect::<Result<_, _>>()?))
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Fault::unexpected("reading of uploaded files ended early"))?
}

/// Opens an uploaded file; links are refused, so that nothing is imported twice.
fn open(area: &Area, rel: &str) -> Result<(std::fs::File, PathBuf), Fault> {
    let shown = || area.root().join(rel).display().to_string();
    let plain = toji_store::normalize(rel).map_err(|e| Fault::generic(e.to_string()))?;
    let path = area.root().join(&plain);
    if std::fs::symlink_metadata(&path).is_ok_and(|m| !m.is_file()) {
        return Err(Fault::generic(format!("{} is not a regular file", shown())));
    }
    let file = area.open(&plain).map_err(|e| match e.is_missing() {
        true => Fault::generic(format!("No such file: {}", shown())),
        false => Fault::generic(e.to_string()),
    })?;
    Ok((file, path))
}

pub(crate) fn read_rpm(area: &Area, rel: &str) -> Result<Source, Fault> {
    let (file, path) = open(area, rel)?;
    Source::read(rel, file, &path).map_err(|e| Fault::generic(chain(&e)))
}

fn read_log(area: &Area, dir: &str, rel: &str) -> Result<Log, Fault> {
    let (_, path) = open(area, rel)?;
    let hashed = toji_store::hash(&path, &[toji_store::Algorithm::Sha256]);
    let (mut sums, size) = hashed.map_err(|e| Fault::generic(e.to_string()))?;
    let name = rel.rsplit('/').next().unwrap_or(rel).to_owned();
    let sha256 = sums.pop().unwrap_or_default();
    Ok(Log { dir: dir.to_owned(), path, name, size, sha256 })
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let part = inner.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        cause = inner.source();
    }
    text
}

/// Refuses packages that are not those of the build.
fn check_sources(build: &Build, sources: &[Source]) -> Result<(), Fault> {
    let Some(srpm) = sources.first() else {
        return Err(Fault::generic("a build needs a source package"));
    };
    if !srpm.is_source {
        return Err(Fault::generic(format!("not a source package: {}", srpm.path.display())));
    }
    let target = target_release(build);
    for (key, known, found) in [
        ("name", build.name.clone(), srpm.name.clone()),
        ("version", build.version.clone(), srpm.version.clone()),
        ("release", target.to_owned(), srpm.release.clone()),
        ("epoch", shown_epoch(build.epoch), shown_epoch(srpm.epoch)),
    ] {
        if known != found {
            let text =
                format!("Unable to complete build: {key} mismatch (build: {known}, rpm: {found})");
            return Err(Fault::generic(text));
        }
    }
    let expected = format!("{}-{}-{target}.src.rpm", build.name, build.version);
    sources.iter().try_for_each(|source| check_srpm(source, &expected))
}

fn shown_epoch(epoch: Option<i64>) -> String {
    epoch.map_or_else(|| "None".to_owned(), |e| e.to_string())
}

/// The release in the packages of a build: a draft's suffix is not in them.
pub(crate) fn target_release(build: &Build) -> &str {
    if build.draft {
        nvr::target_release(&build.release).unwrap_or(&build.release)
    } else {
        &build.release
    }
}

pub(crate) fn check_srpm(source: &Source, expected: &str) -> Result<(), Fault> {
    let found = if source.is_source { source.file_name() } else { source.source_rpm.clone() };
    if found == expected {
        return Ok(());
    }
    let path = source.path.display();
    Err(Fault::generic(format!("srpm mismatch for {path}: {found} (expected {expected})")))
}

/// The volume that the policy gives a build: number and name.
async fn volume(
    call: &mut Call,
    build: &Build,
    task_id: i64,
    results: &Results,
) -> Result<(i64, String), Fault> {
    let (method, args) = crate::task::request(call, task_id).await?;
    let mut data = crate::task::make::policy_values(call, &method, &args).await?;
    let buildroots: Vec<i64> = results.buildroots.iter().map(|(_, id)| *id).collect();
    data.extend(map! {
        "package" => &build.name, "version" => &build.version, "release" => &build.release,
        "buildroots" => buildroots, "import" => true, "import_type" => "rpm",
    });
    let data = crate::policy::data(&data.into())?;
    match crate::volume::by_policy(call, &data, false).await? {
        Some(volume) => Ok((volume.id, volume.name)),
        None => Ok((0, "DEFAULT".to_owned())),
    }
}

pub(crate) fn rpm_ref(source: &Source) -> RpmRef<'_> {
    RpmRef {
        name: &source.name,
        version: &source.version,
        release: &source.release,
        arch: &source.arch,
    }
}

fn rpm_path(call: &Call, build: BuildRef<'_>, source: &Source) -> String {
    let paths = &call.hub.paths;
    format!("{}/{}", paths.build(build), paths.rpm(rpm_ref(source)))
}

fn log_path(call: &Call, build: &Build, log: &Log) -> String {
    let dir = call.hub.paths.build_logs(build.at());
    match log.dir.as_str() {
        "" => format!("{dir}/{}", log.name),
        sub => format!("{dir}/{sub}/{}", log.name),
    }
}

/// A path below the top directory.
pub(crate) fn relative(call: &Call, path: &str) -> String {
    let top = call.hub.paths.topdir();
    path.strip_prefix(top).unwrap_or(path).trim_start_matches('/').to_owned()
}

fn steps(call: &Call, build: &Build, sources: &[Source], logs: &[Log]) -> Result<Vec<Step>, Fault> {
    let names = |parts: &[&str]| {
        toji_store::join(parts).map(drop).map_err(|e| Fault::generic(e.to_string()))
    };
    names(&[&build.name, &build.version, &build.release])?;
    let mut steps: Vec<Step> = Vec::new();
    for source in sources {
        names(&[&source.arch, &source.file_name()])?;
        let to = rpm_path(call, build.at(), source).into();
        steps.push(Step { from: source.path.clone(), to });
    }
    for log in logs {
        names(&[&log.name])?;
        if !log.dir.is_empty() {
            names(&[&log.dir])?;
        }
        let to: PathBuf = log_path(call, build, log).into();
        if steps.iter().any(|step| step.to == to) {
            let shown = to.display();
            return Err(Fault::generic(format!(
                "Error importing build log. {shown} already exists."
            )));
        }
        steps.push(Step { from: log.path.clone(), to });
    }
    Ok(steps)
}

/// Paths and contents of the cached signature headers.
fn signature_files(call: &Call, build: &Build, sources: &[Source]) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = &call.hub.paths;
    let file = |source: &Source| {
        let rel = paths.sighdr(rpm_ref(source), &source.sigkey);
        let path = format!("{}/{rel}", paths.build(build.at()));
        (path.replace("//", "/").into(), source.sighdr.clone())
    };
    sources.iter().map(file).collect()
}

/// Enters one RPM with its signature, checksum and repository metadata.
pub(super) async fn enter(
    call: &mut Call,
    build: &Build,
    source: &Source,
    buildroot_id: Option<i64>,
) -> Result<Map, Fault> {
    enter_with(call, build, source, buildroot_id, None).await
}

/// Enters one RPM with further data of a content generator.
pub(crate) async fn enter_with(
    call: &mut Call,
    build: &Build,
    source: &Source,
    buildroot_id: Option<i64>,
    extra: Option<&Value>,
) -> Result<Map, Fault> {
    let path = relative(call, &rpm_path(call, build.at(), source));
    let size = i64::try_from(source.size).unwrap_or(i64::MAX);
    let call_path = format!("{}/{}", call.hub.paths.work(None), source.rel);
    let new = rpms::New {
        build_id: build.id,
        buildroot_id,
        name: source.name.clone(),
        version: source.version.clone(),
        release: source.release.clone(),
        epoch: source.epoch,
        arch: source.arch.clone(),
        draft: build.draft,
        payloadhash: source.payloadhash.clone(),
        digests: source.digests.clone(),
        size,
        buildtime: source.buildtime,
        extra: extra.map(crate::json::dumps),
    };
    let taken = |e: toji_db::Error| match e {
        toji_db::Error::Unique { .. } => {
            Fault::generic(format!("rpm {} is already imported", source.file_name()))
        }
        other => other.into(),
    };
    let told = |id: Option<i64>| {
        let rpm = map! {
            "id" => id, "build_id" => build.id, "buildroot_id" => buildroot_id,
            "name" => &source.name, "version" => &source.version, "release" => &source.release,
            "epoch" => source.epoch, "arch" => &source.arch, "buildtime" => source.buildtime,
            "size" => size, "payloadhash" => source.digests.sigmd5.clone(), "external_repo_id" => 0,
            "draft" => build.draft,
        };
        map! {
            "type" => "rpm", "rpm" => rpm, "build" => build.shown.clone(),
            "filepath" => call_path.clone(), "fileinfo" => Value::Nil,
        }
    };
    call.callback("preImport", || told(None)).await?;
    let id = rpms::insert(&mut call.tx, &new).await.map_err(taken)?;
    call.callback("postImport", || told(Some(id))).await?;
    let tx = &mut call.tx;
    rpms::insert_signature(tx, id, &source.sigkey, &source.sighash).await?;
    let sha256 = ChecksumType::Sha256.number();
    rpms::insert_checksum(tx, id, &source.sigkey, sha256, &source.sha256).await?;
    toji_db::journal::set_digest(tx, &path, size, &source.sha256).await?;
    let pieces = source.fragments(&format!("toplink/{path}"));
    for (kind, data) in pieces.map_err(|e| Fault::generic(chain(&e)))? {
        rpms::insert_fragment(tx, id, kind, data).await?;
    }
    let shown = map! {
        "id" => id, "build_id" => build.id, "buildroot_id" => buildroot_id,
        "name" => &source.name, "version" => &source.version, "release" => &source.release,
        "epoch" => source.epoch, "arch" => &source.arch, "draft" => build.draft,
        "buildtime" => source.buildtime, "size" => size, "payloadhash" => &source.payloadhash,
        "external_repo_id" => 0,
    };
    call.emit("rpm.import", &format!("build:{}", build.id), shown.clone());
    Ok(shown)
}

/// Imports one RPM that an administrator uploaded, into the build it belongs to; the build of a
/// source package is made if it does not exist.
///
/// # Errors
/// When the file is broken or its build does not exist.
pub async fn single(call: &mut Call, rel: &str) -> Result<Map, Fault> {
    let user = call.login()?.user_id;
    let area = Area::new(call.hub.paths.work(None));
    let owned = rel.to_owned();
    let read = tokio::task::spawn_blocking(move || read_rpm(&area, &owned)).await;
    let source = read.map_err(|_| Fault::unexpected("reading of an upload ended early"))??;
    let build = build_of(call, &source, user).await?;
    if matches!(build.state, BuildState::Failed | BuildState::Canceled | BuildState::Deleted) {
        return Err(Fault::generic(format!("Build is {}: {}", build.state, build.nvr())));
    }
    let steps = steps(call, &build, std::slice::from_ref(&source), &[])?;
    if let Some(step) = steps.first()
        && tokio::fs::symlink_metadata(&step.to).await.is_ok()
    {
        let shown = step.to.display();
        let text = format!("Error importing archive file, {shown} already exists");
        return Err(Fault::generic(text));
    }
    let written = signature_files(call, &build, std::slice::from_ref(&source));
    let journal = place::place(call, build.id, steps, written, Vec::new()).await?;
    db::add_type(&mut call.tx, build.id, "rpm").await?;
    let mut shown = enter(call, &build, &source, None).await?;
    for tag in rpms::tags_of_build(&mut call.tx, build.id).await? {
        let kind = toji_types::TagUpdate::Import.number();
        rpms::tag_updated(&mut call.tx, tag, kind, user).await?;
    }
    if let Some(journal) = journal {
        toji_db::journal::commit(&mut call.tx, journal).await?;
    }
    call.signal(Topic::Repositories);
    shown.extend(map! {
        "sourcepackage" => source.is_source.then_some(1_i64), "sourcerpm" => if source.is_source {
            Value::Nil
        } else {
            Value::Str(source.source_rpm.clone())
        },
        "build" => build.shown, "brootid" => Value::Nil,
    });
    Ok(shown)
}

/// The build that an RPM belongs to.
async fn build_of(call: &mut Call, source: &Source, user: i64) -> Result<Build, Fault> {
    let (name, version, release) = if source.is_source {
        (source.name.clone(), source.version.clone(), source.release.clone())
    } else {
        let nevra = Nevra::parse(&source.source_rpm).map_err(|e| Fault::generic(e.to_string()))?;
        (nevra.nvr.name, nevra.nvr.version, nevra.nvr.release)
    };
    let missing = || Fault::generic("No such build");
    let id = match db::find(&mut call.tx, &name, &version, &release).await? {
        Some(id) => id,
        None if !source.is_source => return Err(missing()),
        None => {
            let new = db::New {
                pkg_id: crate::build::package_id(call, &name).await?,
                version,
                release,
                epoch: source.epoch,
                state: BuildState::Complete.number(),
                owner: user,
                times: crate::build::now_and_now(call)?,
                ..db::New::default()
            };
            super::create(call, &name, new, &Map::new()).await?
        }
    };
    super::by_id(call, id).await?.ok_or_else(missing)
}

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
    files::blocking(move || {
        steps.iter().try_for_each(toji_store::place)?;
        steps.iter().try_for_each(toji_store::link_back)
    })
    .await
}
