//! `kiwiBuild`: the parent of an image build with KIWI: a child for each arch, import, tagging.

use std::io::Read as _;
use std::path::Path;

use toji_client::args;
use toji_types::arch::canonical;
use toji_value::{Default, Map, Value, map};

use super::build_srpm_from_scm::allow;
use super::{method, take, texts};
use crate::context::{Context, int_of, text_of, upload_dir};
use crate::failure::{Failure, Result};
use crate::kiwi::{About, Description, DescriptionError};
use crate::scm::Scm;
use crate::wait::Wait;

method!("kiwiBuild", 4.0, [target, arches, desc_url, desc_path, opts = Default::Nil]);

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [target, arches, url, path, opts] = take(values)?;
    let target = task.call("getBuildTarget", args!(target; "strict" => true)).await?;
    let tag = target.get("build_tag").clone();
    let repo = task.get_repo(int_of(&target, "build_tag")?, &[], false).await?;
    let config = task.call("getBuildConfig", (tag.clone(),)).await?;
    let arches = wanted(&config, &texts(&arches))?;
    let mut opts = opts.as_struct().cloned().unwrap_or_default();
    let scratch = opts.value("scratch").truthy();
    opts.insert("scratch", scratch);
    let optional = texts(opts.value("optional_arches"));
    opts.insert("optional_arches", optional.clone());
    let extra = config.get("extra").as_struct();
    if extra.and_then(|extra| extra.get("mock.new_chroot")).is_some_and(|new| !new.truthy()) {
        opts.insert("mount_dev", true);
    }
    let About { mut name, mut version, profile } = about(task, &url, &path, &opts).await?;
    let profile = opts.value("profile").as_str().map(str::to_owned).or(profile);
    if let Some(profile) = profile.filter(|profile| !profile.is_empty()) {
        name = format!("{name}-{profile}");
    }
    if let Some(other) = opts.value("version").as_str().filter(|other| !other.is_empty()) {
        version = other.to_owned();
    }
    let mut release = opts.value("release").display();
    if !opts.value("release").truthy() {
        let call = map! {"name" => name.as_str(), "version" => version.as_str()};
        release = task.call("getNextRelease", (Value::Struct(call),)).await?.display();
    }
    let build = match scratch {
        true => Value::Nil,
        false => begin(task, (&name, &version, &release), &target, &opts).await?,
    };
    if !build.is_nil() {
        release = build.get("release").display();
    }
    let what = [name.as_str().into(), version.as_str().into(), release.as_str().into()];
    let rest = [target.clone(), tag, repo, url, path, Value::Struct(opts.clone())];
    let made = make(task, &arches, &optional, (&what, &rest), &build).await;
    let children = match made {
        Ok(children) => children,
        Err(failure) => {
            if !scratch {
                task.call("host.failBuild", (task.id, int_of(&build, "id")?)).await?;
            }
            return Err(failure);
        }
    };
    if !scratch && !opts.value("skip_tag").truthy() {
        super::tag(task, int_of(&target, "dest_tag")?, int_of(&build, "id")?).await?;
    }
    let top = task.config().topdir.display().to_string();
    let of_child = |id: &i64| format!("{top}/work/{}", upload_dir(*id));
    let place = match scratch {
        true => children.iter().map(of_child).collect::<Vec<_>>().join(", "),
        false => format!("{top}/packages/{name}/{version}/{release}/images"),
    };
    let kind = if scratch { "Scratch " } else { "" };
    Ok(format!("{kind}image build results in: {place}").into())
}

/// The arches of the images: those of the build tag, unless some of them are named.
fn wanted(config: &Value, arches: &[String]) -> Result<Vec<String>> {
    let all = config.get("arches").as_str().unwrap_or_default();
    let all: Vec<String> = all.split_whitespace().map(|arch| canonical(arch).to_owned()).collect();
    if all.is_empty() {
        let (name, id) = (config.get("name").display(), config.get("id").display());
        return Err(Failure::build(format!("No arches for tag {name} [{id}]")));
    }
    let known = |arch: &&String| all.iter().any(|one| one == canonical(arch));
    match arches.iter().find(|arch| !known(arch)) {
        Some(arch) => Err(Failure::build(format!("Invalid arch for build tag: {arch}"))),
        None if arches.is_empty() => Ok(all),
        None => Ok(arches.to_vec()),
    }
}

/// Checks the description out and reads what it says.
async fn about(task: &Context, url: &Value, path: &Value, opts: &Map) -> Result<About> {
    let tree = checkout(task, url, &Value::Struct(opts.clone())).await?;
    read(&tree, path)?.1.about().map_err(|error| wrong(path, &error))
}

/// Checks the descriptions out.
pub(super) async fn checkout(
    task: &Context,
    url: &Value,
    opts: &Value,
) -> Result<std::path::PathBuf> {
    let mut scm = Scm::of(task, url.as_str().unwrap_or_default())?;
    allow(task, &mut scm, opts).await?;
    Ok(scm.checkout(task, &task.make_dir("scm")?).await?.tree)
}

/// Bytes of a description; real ones have some kilobytes.
const LONGEST: u64 = 1 << 20;

/// A description of a tree, with its text.
pub(super) fn read(tree: &Path, path: &Value) -> Result<(String, Description)> {
    let relative = Path::new(path.as_str().unwrap_or_default());
    let opened = toji_sandbox::results::open(tree, relative);
    let read = |file: std::fs::File| std::io::read_to_string(file.take(LONGEST + 1));
    let text = opened.and_then(read);
    let text = text.map_err(Failure::local(format!("read {}", relative.display())))?;
    if text.len() as u64 > LONGEST {
        let text = format!("{} is longer than {LONGEST} bytes", relative.display());
        return Err(Failure::build(text));
    }
    let description = Description::parse(&text).map_err(|error| wrong(path, &error))?;
    Ok((text, description))
}

/// What is wrong with a description, in the plugin's words.
pub(super) fn wrong(path: &Value, error: &DescriptionError) -> Failure {
    let path = path.display();
    let name = path.rsplit('/').next().unwrap_or_default();
    match error {
        DescriptionError::Xml | DescriptionError::Image => {
            Failure::generic(format!("Kiwi description {name} {error}"))
        }
        DescriptionError::Version => Failure::build(error.to_string()),
        DescriptionError::Include(_) => Failure::generic(error.to_string()),
    }
}

/// Begins the build of the image.
async fn begin(
    task: &Context,
    (name, version, release): (&str, &str, &str),
    target: &Value,
    opts: &Map,
) -> Result<Value> {
    let dest = text_of(target, "dest_tag_name")?;
    if !opts.value("skip_tag").truthy() {
        let config = task.call("getPackageConfig", (dest, name)).await?;
        let refused = |how| Failure::build(format!("package (image) {name} {how} for tag {dest}"));
        match config.get("blocked").truthy() {
            _ if config.is_nil() => return Err(refused("not in list")),
            true => return Err(refused("is blocked")),
            false => {}
        }
    }
    let build = map! {"name" => name, "version" => version, "release" => release, "epoch" => 0i64};
    task.call("host.initImageBuild", (task.id, Value::Struct(build))).await
}

/// Has the images made, and hands them to the hub; the numbers of the tasks.
async fn make(
    task: &Context,
    arches: &[String],
    optional: &[String],
    (what, rest): (&[Value; 3], &[Value; 6]),
    build: &Value,
) -> Result<Vec<i64>> {
    let (mut children, mut can_fail) = (Vec::new(), Vec::new());
    for arch in arches {
        let args = what.iter().cloned().chain([arch.as_str().into()]).chain(rest.iter().cloned());
        let labels = map! {"label" => arch, "arch" => arch};
        let child = task.subtask("createKiwiImage", args.collect(), labels).await?;
        children.push(child);
        if optional.contains(arch) {
            can_fail.push(child);
        }
    }
    let results = task.wait_with(&children, &can_fail, Wait::STRICT).await?;
    let failed = |result: &Value| !result.get("faultCode").is_nil();
    if results.values().all(failed) {
        return Err(Failure::generic("all subtasks failed"));
    }
    let mut all = Map::new();
    for (id, result) in results {
        all.insert(id.to_string(), result);
    }
    match build.is_nil() {
        true => task.call("host.moveImageBuildToScratch", (task.id, Value::Struct(all))).await?,
        false => {
            let call = (task.id, int_of(build, "id")?, Value::Struct(all));
            task.call("host.completeImageBuild", call).await?
        }
    };
    Ok(children)
}
