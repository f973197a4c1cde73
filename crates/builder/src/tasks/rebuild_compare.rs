//! `rebuildCompare`: builds a finished build again, from its source package and its lockfiles, and compares the packages.

use std::fs;
use std::path::{Path, PathBuf};

use toji_client::{Download, args};
use toji_types::PathInfo;
use toji_types::path::{BuildRef, RpmRef};
use toji_value::{Default, Map, Value, map};

use super::{method, take, texts};
use crate::comparison::{Compared, table};
use crate::context::{Context, int_of, text_of};
use crate::failure::{Failure, Result};
use crate::wait::Wait;

method!("rebuildCompare", 0.2, [build, opts = Default::Nil]);

/// The file with all differences, beside the task's logs.
const REPORT: &str = "rebuild-compare.log";

/// A buildroot of the build, and the task that builds again what was built there.
struct Root {
    id: i64,
    task: i64,
    host: String,
}

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [build, _] = take(values)?;
    let build = task.call("getBuild", args!(build; "strict" => true)).await?;
    let rpms = task.call("listRPMs", args!(int_of(&build, "id")?)).await?;
    let rpms = rpms.as_array().unwrap_or_default();
    let source = rpms.iter().find(|rpm| is_source(rpm));
    let source = source.ok_or_else(|| Failure::build("the build has no source package"))?;
    let dir = task.make_dir("first")?;
    let stored = fetch(task, &build, source, &dir).await?;
    let name = stored.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let srpm = task.upload_result(&stored, &name).await?;
    let roots = rebuild(task, rpms, &srpm).await?;
    let children: Vec<i64> = roots.iter().map(|root| root.task).collect();
    let results = task.wait(&children, Wait::STRICT).await?;

    let mut log = task.log(REPORT)?;
    log.line(format!("build {}", build.get("nvr").display()));
    for root in &roots {
        log.line(again_on(task, root).await?);
    }
    let mut all = Vec::new();
    for rpm in rpms.iter().filter(|rpm| !is_source(rpm)) {
        let root = roots.iter().find(|root| rpm.get("buildroot_id").as_int() == Some(root.id));
        let made = root.and_then(|root| results.get(&root.task));
        let made = made.map(|result| texts(result.get("rpms"))).unwrap_or_default();
        all.push(one(task, &build, rpm, made).await?);
    }
    log.line(table(&all).trim_end());
    let equal = all.iter().all(|rpm| rpm.equal);
    let rpms: Vec<Value> = all.iter().map(Compared::value).collect();
    let report = format!("{}/{REPORT}", task.upload_dir());
    let logs = task.log_paths().await?;
    Ok(map! {
        "build_id" => int_of(&build, "id")?, "equal" => equal, "rpms" => rpms, "report" => report, "logs" => logs,
    }
    .into())
}

/// Whether it is a source package.
pub(crate) fn is_source(rpm: &Value) -> bool {
    matches!(rpm.get("arch").as_str(), Some("src" | "nosrc"))
}

/// Begins to build anew what each buildroot of the build has made.
async fn rebuild(task: &Context, rpms: &[Value], srpm: &str) -> Result<Vec<Root>> {
    let made = rpms.iter().filter(|rpm| !is_source(rpm));
    let mut ids: Vec<i64> = made.filter_map(|rpm| rpm.get("buildroot_id").as_int()).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Err(Failure::build("it is not known in which buildroots the packages were made"));
    }
    let mut roots = Vec::new();
    for id in ids {
        let info = task.call("getBuildroot", args!(id; "strict" => true)).await?;
        let first = task.call("getTaskInfo", args!(info.get("task_id"); "request" => true)).await?;
        let request = first.get("request").as_array().unwrap_or_default();
        let [_, tag, arch, _, opts] = request else {
            return Err(not_plain(id));
        };
        if first.get("method").as_str() != Some("buildArch") {
            return Err(not_plain(id));
        }
        // The options say of which state the tag's settings are.
        let mut opts = opts.as_struct().cloned().unwrap_or_default();
        opts.insert("like", id);
        let args = vec![srpm.into(), tag.clone(), arch.clone(), false.into(), opts.into()];
        let label = format!("{}-{id}", arch.as_str().unwrap_or_default());
        let options: Map = map! { "label" => label, "arch" => info.get("arch").clone() };
        let child = task.subtask("buildArch", args, options).await?;
        roots.push(Root { id, task: child, host: info.get("host_name").display() });
    }
    Ok(roots)
}

fn not_plain(root: i64) -> Failure {
    Failure::build(format!("buildroot {root} is none of a build from a source package"))
}

/// Which builder has built, the first time and now.
async fn again_on(task: &Context, root: &Root) -> Result<String> {
    let info = task.call("getTaskInfo", (root.task,)).await?;
    let host = task.call("getHost", (info.get("host_id").clone(),)).await?;
    let (id, first, host) = (root.id, &root.host, host.get("name").display());
    Ok(format!("buildroot {id} of {first}: again by {host} in task {}", root.task))
}

/// Compares one package of the build with the new one, which is among those that were made.
async fn one(task: &Context, build: &Value, rpm: &Value, made: Vec<String>) -> Result<Compared> {
    let stored = fetch(task, build, rpm, &task.make_dir("first")?).await?;
    let name = stored.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let path = made.into_iter().find(|path| path.rsplit('/').next() == Some(&name));
    let again = match path {
        Some(path) => Some(download(task, &format!("work/{path}"), "again").await?),
        None => None,
    };
    let both = (stored, again);
    let compared = tokio::task::spawn_blocking(move || {
        let compared = Compared::new(&name, Some(&both.0), both.1.as_deref());
        // There may be many, and large ones.
        [Some(both.0), both.1].into_iter().flatten().for_each(|file| drop(fs::remove_file(file)));
        compared
    });
    compared.await.map_err(Failure::local("compare the packages"))?
}

/// Fetches a package of the build from its place.
pub(crate) async fn fetch(
    task: &Context,
    build: &Value,
    rpm: &Value,
    dir: &Path,
) -> Result<PathBuf> {
    let paths = PathInfo::new("");
    let at = RpmRef {
        name: text_of(rpm, "name")?,
        version: text_of(rpm, "version")?,
        release: text_of(rpm, "release")?,
        arch: text_of(rpm, "arch")?,
    };
    let place = BuildRef {
        volume: build.get("volume_name").as_str(),
        name: text_of(build, "package_name")?,
        version: text_of(build, "version")?,
        release: text_of(build, "release")?,
    };
    let url = format!("{}/{}", paths.build(place), paths.rpm(at));
    let file = dir.join(url.rsplit('/').next().unwrap_or_default());
    let url = url.trim_start_matches('/');
    task.hub.download(&Download { url, ..Download::default() }, &file).await?;
    Ok(file)
}

async fn download(task: &Context, url: &str, dir: &str) -> Result<PathBuf> {
    let file = task.make_dir(dir)?.join(url.rsplit('/').next().unwrap_or_default());
    task.hub.download(&Download { url, ..Download::default() }, &file).await?;
    Ok(file)
}
