//! Looking after the queue: tasks for requests, retries, an end for what is done or hopeless.

use toji_db::{Row, Time, repo as sql};
use toji_types::{RepoState, TaskState};
use toji_value::{Args, Fault, Map, Value, map};

use super::{options, state::wanted};
use crate::Call;
use crate::task::make::{self, Options};
use crate::task::wait::{Answer, result_of};

/// The name in Koji's `locks` table.
pub const LOCK: &str = "repo-queue";
const PRIORITY: i64 = 15;

/// What a look at the queue did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Tasks made.
    pub started: usize,
    /// Requests fulfilled.
    pub fulfilled: usize,
    /// Requests given up.
    pub given_up: usize,
    /// Requests that wait for others' tasks to end.
    pub held_back: usize,
}

/// Makes tasks for waiting requests as far as the limits allow; the lock is held.
///
/// # Errors
/// When the database fails.
pub async fn check(call: &mut Call) -> Result<Report, Fault> {
    let mut report = Report::default();
    let mut idle = Vec::new();
    let (mut tasks, mut maven) = (0, 0);
    for request in sql::waiting_requests(&mut call.tx).await? {
        match progress(call, &request).await? {
            Progress::Running => {
                tasks += 1;
                maven += i64::from(is_maven(&request));
            }
            Progress::Idle => idle.push(request),
            Progress::Fulfilled => report.fulfilled += 1,
            Progress::GivenUp => report.given_up += 1,
        }
    }
    for request in idle {
        let of_maven = is_maven(&request);
        let limits = &call.hub.config.repo;
        let maven_room = !of_maven || maven < limits.max_repo_tasks_maven;
        let room = tasks < limits.max_repo_tasks && maven_room;
        if !room {
            report.held_back += 1;
            continue;
        }
        start(call, &request).await?;
        report.started += 1;
        tasks += 1;
        maven += i64::from(of_maven);
    }
    if report.fulfilled + report.given_up + report.started > 0 {
        let age = call.hub.config.repo.request_clean_time as f64 * 60.0;
        let cutoff = Time::from_epoch(call.now() - age)?;
        sql::forget_requests(&mut call.tx, cutoff).await?;
    }
    Ok(report)
}

enum Progress {
    /// Its task is under way.
    Running,
    /// It needs a task.
    Idle,
    Fulfilled,
    GivenUp,
}

fn is_maven(request: &Row) -> bool {
    request.value("opts").get("maven").truthy()
}

/// How far a request has come; one whose task has ended is moved on.
async fn progress(call: &mut Call, request: &Row) -> Result<Progress, Fault> {
    let id: i64 = request.get("id")?;
    let Some(task_id) = request.get_opt::<i64>("task_id")? else { return Ok(Progress::Idle) };
    let state = TaskState::try_from(request.get_opt::<i64>("task_state")?.unwrap_or(-1));
    match state {
        Ok(state) if !state.is_finished() => return Ok(Progress::Running),
        Ok(TaskState::Closed) => {
            // usually the repository has ended the request when it became ready
            if let Some(repo) = repo_of_task(call, task_id, request).await? {
                sql::end_requests(&mut call.tx, &[id], Some(repo)).await?;
                tell(call, request, map! { "active" => false, "repo_id" => repo })?;
                return Ok(Progress::Fulfilled);
            }
            tracing::warn!(
                request = id,
                task = task_id,
                "newRepo task made no repository that fits"
            );
        }
        _ => tracing::info!(request = id, task = task_id, "newRepo task did not succeed"),
    }
    let tries: i64 = request.get_opt("tries")?.unwrap_or(0);
    if tries > call.hub.config.repo.repo_retries {
        tracing::warn!(request = id, tries, "repository request given up");
        sql::end_requests(&mut call.tx, &[id], None).await?;
        tell(call, request, map! { "active" => false, "task_id" => task_id })?;
        return Ok(Progress::GivenUp);
    }
    Ok(Progress::Idle)
}

/// The ready repository that a closed newRepo task reports, if it fits the request.
async fn repo_of_task(call: &mut Call, task: i64, request: &Row) -> Result<Option<i64>, Fault> {
    let rows = toji_db::task::results(&mut call.tx, &[task]).await?;
    let Ok(Answer::Result(result)) = result_of(task, rows.first()) else { return Ok(None) };
    let Some(id) = result.as_array().and_then(|list| list.first()).and_then(Value::as_int) else {
        return Ok(None);
    };
    let Some(repo) = sql::get(&mut call.tx, id).await? else { return Ok(None) };
    let fits = repo.value("tag_id") == request.value("tag_id")
        && repo.value("state").as_int() == Some(RepoState::Ready as i64)
        && wanted(request)?.fits(&repo);
    Ok(fits.then_some(id))
}

/// Makes the newRepo task of a request.
async fn start(call: &mut Call, request: &Row) -> Result<(), Fault> {
    let opts = options::parse(request.value("opts"))?;
    let tag = map! { "id" => request.get::<i64>("tag_id")?, "name" => request.get::<String>("tag_name")? };
    let mut keywords = Map::new();
    keywords.insert("opts", opts);
    if let Some(event) = request.get_opt::<i64>("at_event")? {
        keywords.insert("event", event);
    }
    let owner = sql::owner(&mut call.tx, &call.hub.config.repo.repo_queue_user.clone()).await?;
    let task = new_repo(call, Value::Struct(tag), keywords, owner).await?;
    let tries = request.get_opt::<i64>("tries")?.unwrap_or(0) + 1;
    sql::set_request_task(&mut call.tx, request.get("id")?, Some(task), tries).await?;
    tell(call, request, map! { "active" => true, "task_id" => task })
}

/// Tells those who wait for a request what has become of it.
fn tell(call: &mut Call, request: &Row, mut body: Map) -> Result<(), Fault> {
    let tag: i64 = request.get("tag_id")?;
    body.insert("id", request.get::<i64>("id")?);
    body.insert("tag_id", tag);
    call.emit("repo.request", &format!("tag:{tag}"), body);
    Ok(())
}

/// Makes a newRepo task and returns its id.
///
/// # Errors
/// When the task cannot be made.
pub async fn new_repo(
    call: &mut Call,
    tag: Value,
    keywords: Map,
    owner: Option<i64>,
) -> Result<i64, Fault> {
    let args = Args { positional: vec![tag], keywords }.encode();
    let options = Options {
        owner,
        channel: Some("createrepo".into()),
        priority: Some(PRIORITY),
        ..Options::default()
    };
    make::make(call, "newRepo", args, options).await
}
