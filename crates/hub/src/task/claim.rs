//! What a builder says is its task's (files, buildroots, builds, repositories), checked: builders are not trusted.

use std::collections::BTreeSet;

use toji_db::{Row, claim as db};
use toji_store::Area;
use toji_types::arch::canonical;
use toji_value::{Fault, Value};

use super::{Locked, check_open, text};
use crate::Call;
use crate::build::Build;

/// Whether the host takes tasks of this channel and arch, as the scheduler would give it; one that is being revoked takes none.
///
/// # Errors
/// When the database fails.
pub(crate) async fn suits(call: &mut Call, task: &Locked, host: i64) -> Result<bool, Fault> {
    if !db::hold_host(&mut call.tx, host).await? {
        return Ok(false);
    }
    let Some(row) = db::arches_in_channel(&mut call.tx, host, task.channel_id).await? else {
        return Ok(false);
    };
    let arches: Option<String> = row.get("arches")?;
    let wanted = canonical(&task.arch);
    let arches = arches.unwrap_or_default();
    Ok(wanted == "noarch" || arches.split_whitespace().any(|arch| canonical(arch) == wanted))
}

/// Refuses buildroots that neither the task nor one right below it has made.
///
/// # Errors
/// `GenericError` for one that does not exist, `ActionNotAllowed` for one of another task.
pub(crate) async fn check_buildroots(
    call: &mut Call,
    task_id: i64,
    ids: &[i64],
) -> Result<(), Fault> {
    let rows = db::buildroots(&mut call.tx, ids).await?;
    for id in ids {
        let found = rows.iter().find(|row| row.value("id").as_int() == Some(*id));
        let is_own = |row: &Row| {
            let own = Some(task_id);
            row.value("task_id").as_int() == own || row.value("parent").as_int() == own
        };
        if found.is_some_and(is_own) {
            continue;
        }
        if !toji_db::buildroot::exists(&mut call.tx, crate::lookup::fit(*id)).await? {
            return Err(Fault::generic(format!("no buildroot with ID: {id}")));
        }
        return Err(Fault::not_allowed(format!("buildroot {id} is not of task {task_id}")));
    }
    Ok(())
}

/// Whose files a builder may hand over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Holder {
    /// This task's, those of tasks right below it, and what its owner has uploaded for it.
    Task(i64),
    /// Those of any task that the calling host has or had.
    Host,
}

/// Refuses uploaded files of others; paths are relative to the work directory.
///
/// A Koji hub takes any path from any builder.
///
/// # Errors
/// `ActionNotAllowed` for a file of another task or another user's upload.
pub(crate) async fn check_files(
    call: &mut Call,
    holder: Holder,
    paths: &[&str],
) -> Result<(), Fault> {
    let host = call.verified_host().await?;
    let (mut tasks, mut loose) = (BTreeSet::new(), BTreeSet::new());
    for path in paths {
        // What is no plain path is refused where it is opened.
        let Ok(rel) = toji_store::normalize(path) else { continue };
        match rel.split('/').collect::<Vec<_>>().as_slice() {
            ["tasks", _, id, ..] => {
                tasks.extend(id.parse::<i64>().ok().map(crate::lookup::fit));
            }
            _ => drop(loose.insert(rel)),
        }
    }
    let ids: Vec<i64> = tasks.into_iter().collect();
    for row in db::tasks(&mut call.tx, &ids).await? {
        let id: i64 = row.get("id")?;
        let own = match holder {
            Holder::Task(task) => id == task || row.get::<Option<i64>>("parent")? == Some(task),
            Holder::Host => row.get::<Option<i64>>("host_id")? == Some(host),
        };
        if !own {
            return Err(Fault::not_allowed(format!("the files of task {id} are not this task's")));
        }
    }
    check_uploads(call, holder, loose).await
}

/// Refuses uploads whose directory belongs to somebody else than the caller and the task's owner.
async fn check_uploads(
    call: &mut Call,
    holder: Holder,
    mut paths: BTreeSet<String>,
) -> Result<(), Fault> {
    let mut users = vec![call.user_id()];
    if let Holder::Task(task) = holder
        && !paths.is_empty()
    {
        users.push(Some(check_open(call, task).await?));
        // The task itself may have been told to take it, whoever has uploaded it.
        let (_, args) = super::request(call, task).await?;
        paths.retain(|path| !args.iter().any(|arg| arg.as_str() == Some(path)));
    }
    if paths.is_empty() {
        return Ok(());
    }
    let area = Area::new(call.hub.paths.work(None));
    let foreign = crate::files::blocking(move || {
        Ok::<_, toji_store::Error>(paths.into_iter().find(|path| {
            let owner = owner(&area, path);
            owner.is_some_and(|owner| !users.contains(&Some(owner)))
        }))
    })
    .await?;
    match foreign {
        Some(path) => Err(Fault::not_allowed(format!("{path} was uploaded by somebody else"))),
        None => Ok(()),
    }
}

/// The user who owns the directory that a path is in, or one of those above it.
fn owner(area: &Area, path: &str) -> Option<i64> {
    use std::io::Read as _;
    let mut dir = path;
    loop {
        if let Ok(mut file) = area.open(&format!("{dir}/.user")) {
            let mut text = String::new();
            file.read_to_string(&mut text).ok()?;
            return text.trim().parse().ok();
        }
        dir = dir.rsplit_once('/')?.0;
    }
}

/// Refuses a repository that no task of the caller makes; returns the task that makes it.
///
/// A repository that was begun without a task is everybody's.
///
/// # Errors
/// `ActionNotAllowed` for a repository of another host's task.
pub(crate) async fn check_repo(call: &mut Call, repo: &Row) -> Result<Option<i64>, Fault> {
    let host = call.verified_host().await?;
    let id: i64 = repo.get("id")?;
    let is_dist = repo.value("dist").truthy();
    let maker = repo.value("task_id").as_int();
    if maker.is_none() && !is_dist {
        return Ok(None);
    }
    for row in db::open_requests(&mut call.tx, host).await? {
        let task: i64 = row.get("id")?;
        let parent: Option<i64> = row.get("parent")?;
        if maker.is_some() && (Some(task) == maker || parent == maker) {
            return Ok(maker);
        }
        let method: Option<String> = row.get("method")?;
        if is_dist && maker.is_none() && is_for_dist_repo(&row, method.as_deref(), id)? {
            let top = if method.as_deref() == Some("distRepo") { None } else { parent };
            return Ok(Some(top.unwrap_or(task)));
        }
    }
    Err(Fault::not_allowed(format!("host {host} has no task that makes repo {id}")))
}

/// Whether a task was made for this dist repository: its number is the second argument.
fn is_for_dist_repo(row: &Row, method: Option<&str>, repo: i64) -> Result<bool, Fault> {
    if !matches!(method, Some("distRepo" | "createdistrepo")) {
        return Ok(false);
    }
    let stored: Option<String> = row.get("request")?;
    let args = text::read_request(stored.as_deref().unwrap_or_default())?;
    Ok(args.get(1).and_then(Value::as_int) == Some(repo))
}

/// Refuses a build that the task neither makes nor was asked to work on.
///
/// # Errors
/// `ActionNotAllowed` for other builds.
pub(crate) async fn check_build(call: &mut Call, task_id: i64, build: &Build) -> Result<(), Fault> {
    if build.task_id == Some(task_id) {
        return Ok(());
    }
    let (method, args) = super::request(call, task_id).await?;
    let nvr = build.nvr();
    let numbered = method == "tagBuild" && args.get(1).and_then(Value::as_int) == Some(build.id);
    if numbered || args.iter().any(|arg| names(arg, build.id, &nvr)) {
        return Ok(());
    }
    Err(Fault::not_allowed(format!("task {task_id} has nothing to do with build {nvr}")))
}

/// Whether an argument is the build: its name, or a struct with name or number.
fn names(arg: &Value, id: i64, nvr: &str) -> bool {
    match arg {
        Value::Struct(build) => build.int("id") == Some(id) || build.str("nvr") == Some(nvr),
        other => other.as_str() == Some(nvr),
    }
}

/// Refuses a build that no open task of the caller makes.
///
/// # Errors
/// `ActionNotAllowed` for other builds.
pub(crate) async fn check_maker(call: &mut Call, build: &Build) -> Result<(), Fault> {
    let host = call.verified_host().await?;
    if let Some(task) = build.task_id {
        return check_open(call, task).await.map(drop);
    }
    let nvr = build.nvr();
    Err(Fault::not_allowed(format!("host {host} has no task that makes build {nvr}")))
}
