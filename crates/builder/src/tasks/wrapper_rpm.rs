//! `wrapperRPM`: makes packages around the archives of a build, from a template of a spec file.

mod artifacts;
mod template;

use std::path::{Path, PathBuf};

use toji_client::args;
use toji_value::{Default, Map, Value, map};

use super::build::repository::{Planned, plan_without};
use super::build_srpm_from_scm::{allow, bring_in};
use super::rebuild_srpm::build_srpm;
use super::{build_arch, find_arch, method, need_listed, take};
use crate::buildroot::{Newest, Room, TOPDIR, Wish};
use crate::context::{Context, int, int_of, text_of};
use crate::failure::{Failure, Result};
use crate::scm::Scm;
use crate::source;
use artifacts::{Artifacts, Typed};
use template::file_name;

method!("wrapperRPM", 1.5, [spec_url, build_target, build, task, opts = Default::Nil]);

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [url, target, build, about, opts] = take(values)?;
    if !build.truthy() && !about.truthy() {
        return Err(Failure::build("build and/or task must be specified"));
    }
    let (files, values) = describe(task, &build, &about).await?;
    let mut scm = Scm::of(task, url.as_str().unwrap_or_default())?;
    allow(task, &mut scm, &opts).await?;
    let (mut room, arch) = open(task, &target, &opts).await?;
    let checkout = scm.checkout(task, &task.make_dir("scm")?).await?;
    let template = template::find(&checkout.tree).ok_or_else(|| {
        Failure::build(format!("no spec file template found at URL: {}", url.display()))
    })?;
    let dir = template.parent().unwrap_or(&checkout.tree).to_owned();
    files.fetch(task, &dir).await?;
    let spec = template::fill(task, &template, &values).await?;
    let spec_name = file_name(&spec);
    task.upload(&spec, &spec_name).await?;
    let text = std::fs::read(&spec).map_err(Failure::local("read the spec file"))?;
    source::check_spec(&String::from_utf8_lossy(&text))?;
    let srpm = make_source(task, &mut room, &dir, &spec_name).await?;
    let own = own_build(&opts, about.truthy());
    let new = match own {
        true => Some(begin(task, &srpm, &target, &checkout.source, &opts).await?),
        false => None,
    };
    let made = async {
        let made = make(task, room, &srpm, &arch, &spec_name, checkout.source, &opts).await?;
        if !about.truthy() {
            hand_over(task, &made, &build, new, &opts).await?;
        }
        Ok(made)
    };
    match (made.await, new) {
        (Err(failure), Some(id)) => {
            task.call("host.failBuild", (task.id, id)).await?;
            Err(failure)
        }
        (Ok(made), Some(id)) if !about.truthy() && !opts.get("skip_tag").truthy() => {
            super::tag(task, int_of(&target, "dest_tag")?, id).await?;
            Ok(Value::Struct(made))
        }
        (made, _) => made.map(Value::Struct),
    }
}

/// Whether the packages become a build of their own, which a parent never asks for.
fn own_build(opts: &Value, is_child: bool) -> bool {
    opts.get("create_build").truthy() && !opts.get("scratch").truthy() && !is_child
}

/// The files, and the values of the template.
async fn describe(task: &Context, build: &Value, about: &Value) -> Result<(Artifacts, Value)> {
    let typed = match build.truthy() {
        true => Some(Typed::of(task, build).await?),
        false => None,
    };
    let (files, what) = if about.truthy() {
        let id = int_of(about, "id")?;
        (Artifacts::of_task(task, id).await?, format!("task {id}"))
    } else {
        artifacts::need_complete(build)?;
        let kind = typed.as_ref().map_or("", |typed| typed.kind);
        let nvr = ["name", "version", "release"].map(|key| build.get(key).display());
        (Artifacts::of_build(task, build, kind).await?, nvr.join("-"))
    };
    if files.is_empty() {
        return Err(Failure::build(format!("no output found for {what}")));
    }
    let mut values = Map::new();
    files.tell(&mut values);
    match &typed {
        Some(typed) => typed.tell(build, &mut values),
        None => artifacts::tell_result(task, about, &mut values).await?,
    }
    Ok((files, Value::Struct(values)))
}

/// The buildroot of the tag's group for wrappers, and its arch.
async fn open<'t>(task: &'t Context, target: &Value, opts: &Value) -> Result<(Room<'t>, String)> {
    let tag = int_of(target, "build_tag")?;
    let builds = super::texts(opts.get("wait_builds"));
    let current = opts.get("wait_repo").truthy();
    let wanted = opts.get("repo_id").as_int().filter(|id| *id != 0);
    let planned = match wanted {
        Some(_) => None,
        None => plan_without(task, tag, &builds, current).await?,
    };
    let (repo, event, newest) = match planned {
        Some(Planned { repo, event, plan }) => {
            (repo, event, Newest::of(&Value::Struct(map! {"plan" => plan})))
        }
        None => {
            let repo = match wanted {
                Some(id) => task.call("repoInfo", args!(id; "strict" => true)).await?,
                None => task.get_repo(tag, &builds, current).await?,
            };
            let event = repo.get("create_event").clone();
            (repo, event, None)
        }
    };
    let repo_id = int_of(&repo, "id")?;
    let arch = find_arch(task, "noarch", tag, &event).await?;
    let (like, group) = (None, "wrapper-rpm-build");
    let wish =
        Wish { tag, arch: &arch, repo_id, newest, like, again: false, group, network: false };
    Ok((Room::new(task, &wish).await?, arch))
}

/// Makes the source package of the filled template and the files beside it.
async fn make_source(
    task: &Context,
    room: &mut Room<'_>,
    dir: &Path,
    spec: &str,
) -> Result<PathBuf> {
    let made = async {
        if room.is_mock() {
            room.source_of(dir, None, spec, None).await?;
            return room.collect_srpm();
        }
        room.fill(&[]).await?;
        room.begin("wrapperRPM").await?;
        let mut log = task.log("build.log")?;
        bring_in(room, dir, None)?;
        let sources = format!("{TOPDIR}/SOURCES");
        let define = format!("_sourcedir {sources}");
        let more = ["--define", define.as_str()];
        build_srpm(room, &format!("{sources}/{spec}"), &more, &mut log).await?;
        room.collect_srpm()
    };
    let made = made.await;
    task.log_paths().await?;
    let made = made?;
    // The next build of it goes to the same place.
    let kept = task.make_dir("own")?.join(file_name(&made));
    std::fs::rename(&made, &kept).map_err(Failure::local("keep the source package"))?;
    Ok(kept)
}

/// Begins a build of the packages' own.
async fn begin(
    task: &Context,
    srpm: &Path,
    target: &Value,
    source: &Map,
    opts: &Value,
) -> Result<i64> {
    let package = source::header(srpm)?;
    let header = package.header();
    let bad = Failure::local::<toji_rpmfile::Error>;
    let name = header.name().map_err(bad("name"))?.into_owned();
    let mut extra = map! {"source" => map! {"original_url" => source.value("url")}};
    let metadata = opts.get("custom_user_metadata");
    if metadata.truthy() {
        extra.insert("custom_user_metadata", metadata);
    }
    let mut data = map! {
        "name" => name.as_str(),
        "version" => header.version().map_err(bad("version"))?.into_owned(),
        "release" => header.release().map_err(bad("release"))?.into_owned(),
        "epoch" => header.epoch(),
        "task_id" => task.id,
        "source" => source.value("source"),
        "extra" => extra,
    };
    if opts.get("draft").truthy() {
        data.insert("draft", opts.get("draft"));
    }
    let config = (int_of(target, "dest_tag")?, name.as_str());
    let config = task.call("getPackageConfig", config).await?;
    if !opts.get("skip_tag").truthy() {
        need_listed(&config, &name, text_of(target, "dest_tag_name")?)?;
    }
    int("host.initBuild", task.call("host.initBuild", (Value::Struct(data),)).await?)
}

/// Builds the packages and uploads them; gives the task's result.
async fn make(
    task: &Context,
    mut room: Room<'_>,
    srpm: &Path,
    arch: &str,
    spec: &str,
    source: Map,
    opts: &Value,
) -> Result<Map> {
    let built = build_arch::build(task, &mut room, srpm, arch).await;
    task.log_paths().await?;
    built?;
    let rpms = room.collect("RPMS")?;
    if rpms.is_empty() {
        return Err(Failure::build("no rpms found"));
    }
    let srpm = room.collect_srpm()?;
    let mut names = Vec::new();
    for file in std::iter::once(&srpm).chain(&rpms) {
        let name = file_name(file);
        task.upload_result(file, &name).await?;
        names.push(Value::from(name));
    }
    let buildroot = room.expire().await?;
    let dir = format!("{}/", task.upload_dir());
    let mut logs: Vec<Value> = vec![spec.into()];
    for log in task.log_paths().await? {
        logs.push(log.strip_prefix(&dir).unwrap_or(&log).into());
    }
    let mut made = map! {
        "buildroot_id" => buildroot,
        "srpm" => names.remove(0),
        "rpms" => names,
        "logs" => logs,
        "source" => source,
    };
    let metadata = opts.get("custom_user_metadata");
    if opts.get("create_build").truthy() && metadata.truthy() {
        made.insert("custom_user_metadata", metadata);
    }
    Ok(made)
}

/// Hands the packages to the hub: as scratch results, as the new build, or into the build that they are about.
async fn hand_over(
    task: &Context,
    made: &Map,
    build: &Value,
    new: Option<i64>,
    opts: &Value,
) -> Result<()> {
    let dir = task.upload_dir();
    let whole = |name: &Value| format!("{dir}/{}", name.display());
    let list = |key: &str| -> Vec<String> {
        made.value(key).as_array().unwrap_or_default().iter().map(whole).collect()
    };
    let (srpm, rpms) = (whole(made.value("srpm")), list("rpms"));
    let logs = map! {"noarch" => list("logs")};
    if opts.get("scratch").truthy() {
        let call = args!(task.id, srpm, rpms; "logs" => logs);
        return task.call("host.moveBuildToScratch", call).await.map(drop);
    }
    let Some(new) = new else {
        let call = (task.id, int_of(build, "id")?, Value::Struct(made.clone()));
        return task.call("host.importWrapperRPMs", call).await.map(drop);
    };
    let all = std::iter::once(&srpm).chain(&rpms);
    let mut roots = Map::new();
    for path in all {
        roots.insert(path.clone(), made.value("buildroot_id"));
    }
    let call = args!(task.id, new, srpm, rpms, roots; "logs" => logs);
    task.call("host.completeBuild", call).await.map(drop)
}
