//! `buildMaven`: checks out a source tree and has Maven deploy what it makes of it.

use std::path::{Path, PathBuf};

use toji_client::args;
use toji_repodata::pom::{self, Gav};
use toji_sandbox::results;
use toji_value::{Default, Map, Value, map};

use super::build_srpm_from_scm::{allow, copy_tree};
use super::{find_arch, method, repo_id, take, texts};
use crate::buildroot::{Room, Wish};
use crate::context::{Context, int_of, text_of};
use crate::failure::{Failure, Result};
use crate::logs::Log;
use crate::maven::{self, OWN, PATCHES, PLACE, SOURCES, Settings};
use crate::rich::{Capability, Need};
use crate::scm::Scm;

method!("buildMaven", 1.5, [url, build_tag, opts = Default::Nil]);

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [url, tag, opts] = take(values)?;
    let mut sources = Scm::of(task, url.as_str().unwrap_or_default())?;
    allow(task, &mut sources, &opts).await?;
    let tree = sources.checkout(task, &task.make_dir("scm")?).await?.tree;
    let own = task.make_dir("own")?;
    pack(&tree, &own.join(SOURCES))?;
    let patches = patches(task, &opts).await?;
    if let Some(patches) = &patches {
        pack(patches, &own.join(PATCHES))?;
    }
    let repo = task.call("repoInfo", args!(repo_id(&opts)?; "strict" => true)).await?;
    let mut room = open(task, &tag, &repo).await?;
    let built = build(task, &mut room, &repo, (&tree, patches.as_deref()), &opts).await;
    task.log_paths().await?;
    deliver(task, room, &own, &built?).await
}

/// The directory of the patches that are to be applied.
async fn patches(task: &Context, opts: &Value) -> Result<Option<PathBuf>> {
    let Some(url) = opts.get("patches").as_str().filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let mut scm = Scm::of(task, url)?;
    allow(task, &mut scm, opts).await?;
    let place = scm.without_common().checkout(task, &task.make_dir("patches")?).await?;
    Ok(Some(place.tree))
}

fn pack(tree: &Path, to: &Path) -> Result<()> {
    crate::zip::pack(tree, to).map_err(Failure::local("pack the sources"))
}

/// Applies the files that end in `.patch`, in the order of their names, inside.
async fn apply(task: &Context, room: &Room<'_>) -> Result<()> {
    let dir = room.inside("maven/patches")?;
    let all = results::list(&dir).map_err(Failure::local("read the patches"))?;
    let top = |path: &&PathBuf| path.parent() == Some(Path::new(""));
    let mut names: Vec<String> = all.iter().filter(top).map(|p| p.display().to_string()).collect();
    names.retain(|name| name.ends_with(".patch"));
    if names.is_empty() {
        return Err(Failure::build("no patches found at the given place"));
    }
    let mut log = task.log("patches.log")?;
    for name in names {
        let file = format!("{PLACE}/patches/{name}");
        let words = ["patch", "--verbose", "--no-backup-if-mismatch", "-p1", "-i", &file];
        if !room.run(&words, &format!("{PLACE}/build"), &mut log).await?.success() {
            return Err(Failure::build("error applying patches, see patches.log for details"));
        }
    }
    Ok(())
}

/// The buildroot of the tag's group for Maven, which may use the network: Maven fetches from the tag's repository.
async fn open<'t>(task: &'t Context, tag: &Value, repo: &Value) -> Result<Room<'t>> {
    let (tag, repo_id) = (int_of(tag, "id")?, int_of(repo, "id")?);
    let arch = find_arch(task, "noarch", tag, repo.get("create_event")).await?;
    let (newest, group) = (None, "maven-build");
    let wish =
        Wish { tag, arch: &arch, repo_id, newest, group, network: true, like: None, again: false };
    Room::new(task, &wish).await
}

async fn build(
    task: &Context,
    room: &mut Room<'_>,
    repo: &Value,
    (tree, patches): (&Path, Option<&Path>),
    opts: &Value,
) -> Result<Gav> {
    if room.is_mock() {
        return Err(Failure::own("this builder does not build with Maven in roots of mock"));
    }
    let more = texts(opts.get("packages"));
    let needs: Vec<Need> = more.iter().map(|name| Need::of(Capability::new(name, 0, ""))).collect();
    room.fill(&needs).await?;
    let settings = Settings {
        task: task.id,
        topurl: task.hub.files_url(),
        tag: text_of(repo, "tag_name")?,
        repo_id: int_of(repo, "id")?,
        deps: opts.get("deps"),
    };
    bring_in(room, tree, patches, &settings.text()?)?;
    room.begin("buildMaven").await?;
    if patches.is_some() {
        apply(task, room).await?;
    }
    let mut log = task.log("build.log")?;
    let run = mvn(room, opts, &mut log).await;
    let list = |dir: &str| maven::artifacts(&room.inside(dir)?, &task.config().maven_repo_ignore);
    let (used, made) = (list(&format!("{OWN}/repository"))?, list("maven/output")?);
    // A failed deployment leaves files that nobody knows, which must not hide the failure.
    let call = args!(room.id, task.id, used; "ignore" => made, "project" => true,
        "ignore_unknown" => run.is_err(), "extra_deps" => opts.get("deps"));
    task.call("host.updateMavenBuildRootList", call).await?;
    run?;
    let project = texts(opts.get("maven_options"));
    let name = maven::project_file(&project)?;
    let file = results::open(&room.inside("maven/build")?, Path::new(name))
        .map_err(|_| Failure::build(format!("{name} does not exist")))?;
    pom::read(file, name).map_err(|error| Failure::generic(error.to_string()))
}

async fn mvn(room: &Room<'_>, opts: &Value, log: &mut Log) -> Result<()> {
    let there = room.run(&["sh", "-c", "command -v mvn"], PLACE, log).await?;
    if !there.success() {
        return Err(Failure::build("/usr/bin/mvn was not found in the buildroot"));
    }
    let words = maven::command(opts);
    let argv: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = room.run(&argv, &format!("{PLACE}/build"), log).await?;
    if outcome.success() {
        return Ok(());
    }
    let reason = outcome.reason;
    Err(Failure::buildroot(format!(
        "error building Maven package, mvn {reason}; see build.log for more information"
    )))
}

fn bring_in(room: &Room<'_>, tree: &Path, patches: Option<&Path>, settings: &str) -> Result<()> {
    let home = room.home()?;
    let failed = || Failure::local::<std::io::Error>("copy the sources into the buildroot");
    for dir in [format!("{OWN}/repository"), "maven/output".to_owned()] {
        std::fs::create_dir_all(home.join(dir)).map_err(failed())?;
    }
    for (from, to) in [(Some(tree), "maven/build"), (patches, "maven/patches")] {
        if let Some(from) = from {
            std::fs::create_dir_all(home.join(to)).map_err(failed())?;
            copy_tree(from, &home.join(to)).map_err(failed())?;
        }
    }
    std::fs::write(home.join(OWN).join("settings.xml"), settings).map_err(failed())?;
    Ok(room.root()?.hand_over(&home)?)
}

/// Uploads what Maven deployed, and the archives of the sources under names that tell whose they are.
async fn deliver(task: &Context, room: Room<'_>, own: &Path, info: &Gav) -> Result<Value> {
    let made = room.inside("maven/output")?;
    let copies = task.make_dir("result")?;
    let (mut files, mut logs) = (Map::new(), Vec::new());
    for (count, path) in
        results::list(&made).map_err(Failure::local("read the results"))?.into_iter().enumerate()
    {
        let copy = copies.join(count.to_string());
        results::copy(&made, &path, &copy).map_err(Failure::local("copy the results"))?;
        let name = path.display().to_string();
        task.upload_result(&copy, &name).await?;
        match path.extension().is_some_and(|end| end == "log") {
            true => logs.push(Value::from(name)),
            false => add(&mut files, &path),
        }
    }
    let start = format!("{}-{}", info.artifact_id, info.version);
    for archive in [SOURCES, PATCHES] {
        let (file, name) = (own.join(archive), format!("{start}-{archive}"));
        if file.exists() {
            task.upload_result(&file, &name).await?;
            add(&mut files, &PathBuf::from(name));
        }
    }
    let buildroot = room.expire().await?;
    let dir = format!("{}/", task.upload_dir());
    let own_logs = task.log_paths().await?;
    logs.extend(own_logs.iter().map(|path| Value::from(path.strip_prefix(&dir).unwrap_or(path))));
    let (group, artifact, version) = info.parts();
    let info = map! {"group_id" => group, "artifact_id" => artifact, "version" => version};
    Ok(Value::Struct(map! {
        "maven_info" => Value::Struct(info),
        "buildroot_id" => buildroot,
        "logs" => logs,
        "files" => Value::Struct(files),
    }))
}

/// Adds a file to the list of its directory.
fn add(files: &mut Map, path: &Path) {
    let dir = path.parent().unwrap_or(Path::new("")).display().to_string();
    let name = Value::from(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
    let mut list = files.get(&dir).and_then(Value::as_array).unwrap_or_default().to_vec();
    list.push(name);
    files.insert(dir, list);
}
