//! The import of a finished build: RPMs and logs from the upload area to their final places.
//!
//! Files are checked and hashed first, without holding the database. Then a journal entry is
//! written, the files are placed beside their sources, and the database commits; only after that
//! the sources become links. Whatever ends in between is undone by the call or by
//! [`recover`](crate::Hub::recover).

pub mod merge;
mod noarch;
pub(crate) mod others;
pub(crate) mod place;
mod read;
mod recovery;
mod scratch;
mod single;

pub(crate) use read::read_rpm;
pub use recovery::{look_again, recover, recover_dead, recover_gone};
pub use scratch::to_scratch;
pub use single::single;

use std::collections::BTreeMap;
use std::path::PathBuf;

use toji_bus::Topic;
use toji_db::build as db;
use toji_db::rpm as rpms;
use toji_store::Step;
use toji_types::path::{BuildRef, RpmRef};
use toji_types::{BuildState, ChecksumType, nvr};
use toji_value::{Fault, Map, Value, map};

use super::source::Source;
use super::{Build, told};
use crate::Call;
use crate::task::claim;
use read::{Log, chain, read};

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
    let (sigkey, sighash) = (source.sigkey.clone(), source.sighash.clone());
    let signed = rpms::signer::Signed { rpm: id, sigkey, sighash, signers: source.signers.clone() };
    rpms::signer::insert(tx, &[signed]).await?;
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
    let mut body = shown.clone();
    body.extend(map! {
        "package" => &build.name, "owner_id" => build.owner_id, "task_id" => build.task_id,
    });
    call.emit("rpm.import", &format!("build:{}", build.id), body);
    if build.state == BuildState::Complete {
        crate::statement::ask(call, build.id).await?;
    }
    Ok(shown)
}
