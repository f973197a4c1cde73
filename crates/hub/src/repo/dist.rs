//! Repositories for distribution: signed packages of a tag, linked into a directory of their own.

pub mod metadata;
mod multilib;
pub mod place;
mod sign;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toji_db::lookup::Names;
use toji_types::arch::canonical;
use toji_types::{RepoState, TaskState};
use toji_value::{Args, Fault, Map, Value, map};

use crate::dispatch::invoke;
use crate::files::{self, Placement};
use crate::tag::{self, Tag, When};
use crate::task::{make, transition};
use crate::{Call, check, lookup};

/// Makes a dist repository in the state INIT with its directory, and the task that fills it;
/// returns the task's number.
///
/// # Errors
/// `GenericError` for an unknown tag or volume, `ParameterError` for values of a wrong type.
pub async fn request(
    call: &mut Call,
    tag_info: &Value,
    keys: &Value,
    mut opts: Map,
) -> Result<i64, Fault> {
    check::list(keys)?;
    let tag = tag::need(call, tag_info, When::Now).await?;
    super::init::check_place(&tag.name)?;
    let asked = match opts.value("event") {
        Value::Nil => None,
        other => Some(check::whole(other)?),
    };
    let volume = match opts.value("volume") {
        Value::Nil => None,
        info => Some(call.need(Names::Volume, &info.clone()).await?.name),
    };
    let arches = arches(&opts)?;
    // A Koji hub finds out when it makes the task.
    call.user_id().ok_or_else(|| Fault::generic("task must have an owner"))?;
    let told = |event: Option<i64>, repo: Option<i64>, opts: &Map| {
        let arches: Vec<Value> = arches.iter().map(Value::from).collect();
        map! {
            "tag" => tag.to_map(false), "with_src" => false, "with_debuginfo" => false,
            "event" => event, "repo_id" => repo, "dist" => true, "keys" => keys,
            "arches" => arches, "task_opts" => opts.clone(), "with_separate_src" => false,
        }
    };
    call.callback("preRepoInit", || told(asked, None, &opts)).await?;
    let event = match asked.filter(|event| *event != 0) {
        Some(event) => event,
        None => call.event().await?,
    };
    let repo_id = toji_db::repo::insert_dist(&mut call.tx, tag.id, event).await?;
    let dirs = Dirs::of(call, repo_id, &tag.name, volume.as_deref());
    let info = map! {
        "id" => repo_id, "tag" => &tag.name, "tag_id" => tag.id, "keys" => keys,
        "volume" => volume.clone(), "task_opts" => opts.clone(),
    };
    let mut args = told(Some(event), Some(repo_id), &opts);
    args.insert("repodir", dirs.dir.display().to_string());
    prepare(call, dirs, arches, &opts, &info.into()).await?;
    let body = map! { "repo_id" => repo_id, "tag" => &tag.name, "tag_id" => tag.id };
    call.emit("repo.init", &format!("repo:{repo_id}"), body);
    call.callback("postRepoInit", || args).await?;
    opts.insert("event", event);
    cancel_others(call, tag_info, &tag).await?;
    let args = vec![tag_info.clone(), Value::Int(repo_id), keys.clone(), Value::Struct(opts)];
    let options = make::Options {
        priority: Some(15),
        channel: Some("createrepo".into()),
        ..make::Options::default()
    };
    make::make(call, "distRepo", args, options).await
}

/// The arches that are asked for, each once.
fn arches(opts: &Map) -> Result<BTreeSet<String>, Fault> {
    // A Koji hub's own error (code 1) where there are none.
    let given = opts.get("arch").and_then(Value::as_array);
    let given = given.ok_or_else(|| Fault::unexpected("task_opts has no list 'arch'"))?;
    let one = |arch: &Value| {
        let name = arch.display();
        let plain =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let wrong = || Fault::generic(format!("Invalid arch: {name}"));
        plain.then(|| canonical(&name).to_owned()).ok_or_else(wrong)
    };
    given.iter().map(one).collect()
}

/// Where a dist repository is, and the link to it if that is another volume.
struct Dirs {
    dir: PathBuf,
    link: Option<PathBuf>,
}

impl Dirs {
    fn of(call: &Call, id: i64, tag: &str, volume: Option<&str>) -> Dirs {
        let paths = &call.hub.paths;
        let base = PathBuf::from(paths.distrepo(id, tag, None));
        match volume.filter(|name| *name != "DEFAULT") {
            None => Dirs { dir: base, link: None },
            Some(_) => Dirs { dir: paths.distrepo(id, tag, volume).into(), link: Some(base) },
        }
    }
}

/// Makes the directory with one for each arch, comps and a description; it goes if the call fails.
async fn prepare(
    call: &mut Call,
    dirs: Dirs,
    arches: BTreeSet<String>,
    opts: &Map,
    info: &Value,
) -> Result<(), Fault> {
    let comps = match opts.value("comps") {
        value if !value.truthy() => None,
        value => {
            let rel = toji_store::normalize(check::text(value)?);
            let rel = rel.map_err(|e| Fault::generic(e.to_string()))?;
            Some(Path::new(&call.hub.paths.work(None)).join(rel))
        }
    };
    let plan = Placement {
        trees: vec![dirs.dir.clone()],
        written: dirs.link.iter().cloned().collect(),
        ..Placement::default()
    };
    call.files.placed(plan);
    let text = format!("{:#}\n", info.to_json());
    files::blocking(move || {
        fn io(path: &Path) -> impl FnOnce(std::io::Error) -> toji_store::Error {
            toji_store::Error::io(path)
        }
        for arch in arches {
            let dir = dirs.dir.join(arch);
            std::fs::create_dir_all(&dir).map_err(io(&dir))?;
        }
        std::fs::create_dir_all(&dirs.dir).map_err(io(&dirs.dir))?;
        if let Some(comps) = comps {
            let groups = dirs.dir.join("groups");
            std::fs::create_dir_all(&groups).map_err(io(&groups))?;
            std::fs::copy(&comps, groups.join("comps.xml")).map_err(io(&comps))?;
        }
        let file = dirs.dir.join("repo.json");
        std::fs::write(&file, text).map_err(io(&file))?;
        let Some(link) = dirs.link else { return Ok(()) };
        let parent = link.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(parent).map_err(io(parent))?;
        let target = toji_store::relative_link(parent, &dirs.dir);
        std::os::unix::fs::symlink(target, &link).map_err(io(&link))
    })
    .await
}

/// Cancels earlier tasks for the same tag, where the tag asks for that.
async fn cancel_others(call: &mut Call, info: &Value, tag: &Tag) -> Result<(), Fault> {
    let args = Args { positional: vec![Value::Int(tag.id)], keywords: Map::new() };
    let config = Box::pin(invoke(call, "getBuildConfig", args)).await?;
    if !config.get("extra").get("distrepo.cancel_others").truthy() {
        return Ok(());
    }
    let states = [TaskState::Free, TaskState::Open, TaskState::Assigned];
    let states: Vec<i64> = states.iter().map(|state| state.number()).collect();
    for row in toji_db::task::of_method(&mut call.tx, "distRepo", &states).await? {
        let request: Option<String> = row.get("request")?;
        let args = crate::task::text::read_request(request.as_deref().unwrap_or_default())?;
        if args.first() == Some(info) {
            transition::cancel_full(call, row.get("id")?, false).await?;
        }
    }
    Ok(())
}

/// A dist repository in the state INIT.
///
/// # Errors
/// `GenericError` for another state, and when there is no such repository.
pub async fn in_making(call: &mut Call, repo_id: i64) -> Result<toji_db::Row, Fault> {
    let found = toji_db::repo::get(&mut call.tx, lookup::fit(repo_id)).await?;
    let repo = found.ok_or_else(|| Fault::generic("query returned no rows"))?;
    let state = RepoState::try_from(repo.get::<i64>("state")?);
    let state = state.map_err(|e| Fault::generic(e.to_string()))?;
    if state != RepoState::Init {
        return Err(Fault::generic(format!("Repo is in state: {state}")));
    }
    if !repo.value("dist").truthy() {
        return Err(Fault::generic(format!("Repo {repo_id} is not a dist repo")));
    }
    Ok(repo)
}

/// The directory of one arch of a dist repository.
///
/// # Errors
/// `GenericError` when the repository has no such arch.
pub fn arch_dir(call: &Call, repo: &toji_db::Row, arch: &str) -> Result<PathBuf, Fault> {
    let dir = super::assemble::directory(&call.hub, repo)?.join(canonical(arch));
    match !arch.contains('/') && dir.is_dir() {
        true => Ok(dir),
        false => Err(Fault::generic(format!("Repo arch directory missing: {}", dir.display()))),
    }
}
