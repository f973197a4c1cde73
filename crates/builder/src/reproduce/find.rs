//! What a hub knows of a task that is to be done again.

use std::path::PathBuf;

use toji_client::{Client, args};
use toji_types::TaskState;
use toji_types::arch::canonical;
use toji_value::Value;

use crate::context::{Context, int_of};
use crate::failure::{Failure, Result};
use crate::tasks::rebuild_compare;

/// The methods that can be done again.
const METHODS: [&str; 2] = ["buildArch", "rebuildSRPM"];

/// A task and its buildroot.
pub(super) struct Found {
    pub(super) id: i64,
    pub(super) info: Value,
    pub(super) method: String,
    pub(super) request: Vec<Value>,
    pub(super) root: Value,
}

/// The task, or the one below it that matters.
pub(super) async fn task(hub: &Client, asked: i64) -> Result<Found> {
    let mut id = asked;
    let mut info = hub.call("getTaskInfo", args!(id; "strict" => true, "request" => true)).await?;
    if !METHODS.contains(&method(&info)) {
        let below = hub.call("getTaskDescendents", (id,)).await?;
        let all = below.as_struct().into_iter().flat_map(|map| map.iter());
        let all = all.flat_map(|(_, list)| list.as_array().unwrap_or_default());
        let fit = |task: &&Value| METHODS.contains(&method(task));
        let Some(best) = all.filter(fit).min_by_key(|task| rank(task)) else {
            let (method, known) = (method(&info), METHODS.join(" and "));
            let text = format!("task {id} is of the method {method}; {known} can be done again");
            return Err(Failure::generic(text));
        };
        id = int_of(best, "id")?;
        info = hub.call("getTaskInfo", args!(id; "strict" => true, "request" => true)).await?;
    }
    let roots = hub.call("listBuildroots", args!(; "taskID" => id)).await?;
    let last = roots.as_array().unwrap_or_default().iter().max_by_key(|r| r.get("id").as_int());
    let Some(root) = last else {
        return Err(Failure::generic(format!("task {id} has come to no buildroot")));
    };
    let number = int_of(root, "id")?;
    if hub.call("solve.lockfile", (number,)).await?.is_nil() {
        let text = "the hub has no lockfile of it: it was no root of packages alone, or not filled";
        return Err(Failure::generic(format!("buildroot {number} of task {id}: {text}")));
    }
    let root = hub.call("getBuildroot", args!(number; "strict" => true)).await?;
    let request = info.get("request").as_array().unwrap_or_default().to_vec();
    let method = method(&info).to_owned();
    Ok(Found { id, info, method, request, root })
}

/// The one that failed first, else the one for this machine's arch, else packages before sources.
fn rank(task: &Value) -> (bool, bool, bool, i64) {
    let failed = task.get("state").as_int() == Some(TaskState::Failed as i64);
    let arch = task.get("arch").as_str().map(canonical);
    let here = canonical(std::env::consts::ARCH);
    let id = task.get("id").as_int().unwrap_or(0);
    (!failed, method(task) != "buildArch", arch != Some(here), id)
}

fn method(task: &Value) -> &str {
    task.get("method").as_str().unwrap_or_default()
}

/// Fetches the source package: that of the task, or of the build that came of it.
pub(super) async fn source(task: &Context, request: &[Value], root: &Value) -> Result<PathBuf> {
    let path = request.first().and_then(Value::as_str).unwrap_or_default();
    let missing = match task.fetch_work(path).await {
        Ok(file) => return Ok(file),
        Err(failure) => failure,
    };
    let made = task.call("listRPMs", args!(; "buildrootID" => int_of(root, "id")?)).await?;
    let Some(rpm) = made.as_array().and_then(|rpms| rpms.first()) else { return Err(missing) };
    let build = task.call("getBuild", (int_of(rpm, "build_id")?,)).await?;
    let all = task.call("listRPMs", (int_of(&build, "id")?,)).await?;
    let mut all = all.as_array().unwrap_or_default().iter();
    match all.find(|rpm| rebuild_compare::is_source(rpm)) {
        Some(rpm) => rebuild_compare::fetch(task, &build, rpm, &task.make_dir("local")?).await,
        None => Err(missing),
    }
}

/// What is built for; this machine must be able to run it.
pub(super) fn arch(method: &str, request: &[Value], root: &Value) -> Result<String> {
    let (here, of_root) = (std::env::consts::ARCH, root.get("arch").display());
    let runs = canonical(&of_root) == canonical(here) || (here == "x86_64" && of_root == "i386");
    if !runs {
        return Err(Failure::generic(format!("the root is of {of_root}, this machine of {here}")));
    }
    let arch = request.get(2).filter(|_| method == "buildArch").and_then(Value::as_str);
    Ok(arch.unwrap_or("noarch").to_owned())
}
