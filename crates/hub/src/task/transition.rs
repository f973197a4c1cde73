//! The moves of a task, each checked by the table of legal moves and told to those who wait.

use std::collections::{BTreeMap, BTreeSet};

use toji_bus::Topic;
use toji_db::Row;
use toji_db::task as db;
use toji_types::TaskState;
use toji_value::{Fault, IntoValue, Value, map};

use super::{lock, text};
use crate::Call;

/// A task whose row is locked by this transaction.
#[derive(Clone, Debug)]
pub struct Locked {
    /// Its number.
    pub id: i64,
    /// Where it stands.
    pub state: TaskState,
    /// The host that has it.
    pub host_id: Option<i64>,
    /// The task above it.
    pub parent: Option<i64>,
    /// The host that has the task above it.
    pub parent_host: Option<i64>,
    /// The user it belongs to.
    pub owner: i64,
    /// What it does.
    pub method: String,
    /// What it runs on.
    pub arch: String,
    /// Where it runs.
    pub channel_id: i64,
    /// Its name among its siblings.
    pub label: Option<String>,
    /// Whether it was opened before.
    pub begun: bool,
}

impl Locked {
    pub(crate) fn from_row(row: &Row) -> Result<Self, Fault> {
        let state: Option<i64> = row.get("state")?;
        let state = TaskState::try_from(state.unwrap_or_default());
        Ok(Locked {
            id: row.get("id")?,
            state: state.map_err(|e| Fault::generic(e.to_string()))?,
            host_id: row.get("host_id")?,
            parent: row.get("parent")?,
            parent_host: row.get("parent_host")?,
            owner: row.get("owner")?,
            method: row.get::<Option<String>>("method")?.unwrap_or_default(),
            arch: row.get("arch")?,
            channel_id: row.get("channel_id")?,
            label: row.get("label")?,
            begun: !row.value("start_time").is_nil(),
        })
    }

    /// Whether the host works on the task.
    pub fn is_held_by(&self, host: i64) -> bool {
        self.state == TaskState::Open && self.host_id == Some(host)
    }
}

/// Refuses a move that the table does not have.
fn check(task: &Locked, to: TaskState) -> Result<(), Fault> {
    if task.state.can_become(to) {
        return Ok(());
    }
    let (id, from) = (task.id, task.state);
    Err(Fault::generic(format!("Cannot move task {id} from {from} to {to}")))
}

/// Runs the callbacks before a move; every move must have this before it and [`told`] after it.
pub(crate) async fn announced(
    call: &mut Call,
    task: &Locked,
    to: TaskState,
    host: Option<i64>,
) -> Result<(), Fault> {
    if !call.listens("preTaskStateChange") {
        return Ok(());
    }
    let info = super::info(call, task.id, true).await?.unwrap_or_default();
    let second = match to.is_finished() {
        true => ("completion_ts", info.get("completion_ts").clone(), Value::Double(call.now())),
        false => ("host_id", task.host_id.into_value(), host.into_value()),
    };
    changes(call, "preTaskStateChange", task, to, second, info).await
}

/// Runs the callbacks after a move.
async fn confirmed(
    call: &mut Call,
    task: &Locked,
    to: TaskState,
    host: Option<i64>,
) -> Result<(), Fault> {
    if !call.listens("postTaskStateChange") {
        return Ok(());
    }
    let mut info = super::info(call, task.id, true).await?.unwrap_or_default();
    if to == TaskState::Closed
        && let Some(info) = info.as_struct_mut()
    {
        info.insert("result", super::result(call, task.id).await?);
    }
    let second = match to.is_finished() {
        true => ("completion_ts", Value::Nil, info.get("completion_ts").clone()),
        false => ("host_id", task.host_id.into_value(), host.into_value()),
    };
    changes(call, "postTaskStateChange", task, to, second, info).await
}

/// Koji tells each changed attribute by itself.
async fn changes(
    call: &mut Call,
    callback: &'static str,
    task: &Locked,
    to: TaskState,
    second: (&'static str, Value, Value),
    info: Value,
) -> Result<(), Fault> {
    let state = ("state", Value::from(task.state.name()), Value::from(to.name()));
    for (attribute, old, new) in [state, second] {
        let info = info.clone();
        let args = map! { "attribute" => attribute, "old" => old, "new" => new, "info" => info };
        call.callback(callback, || args).await?;
    }
    Ok(())
}

/// Tells of a move: watchers, the scheduler, the hosts that have or had the task, the parent's host.
pub(crate) async fn told(
    call: &mut Call,
    task: &Locked,
    to: TaskState,
    host: Option<i64>,
) -> Result<(), Fault> {
    let parent_host = task.parent_host.filter(|_| to.is_finished());
    let hosts: Vec<i64> = [task.host_id, host, parent_host].into_iter().flatten().collect();
    let body = map! {
        "id" => task.id, "old" => task.state.name(), "new" => to.name(), "method" => &task.method,
        "owner" => task.owner, "parent" => task.parent, "host_id" => host, "arch" => &task.arch,
        "channel_id" => task.channel_id, "label" => task.label.clone(), "hosts" => hosts.clone(),
    };
    call.emit("task.state", &format!("task:{}", task.id), body);
    call.signal(Topic::Task(task.id));
    call.signal(Topic::Scheduler);
    // who opens or closes a task knows it without being told
    let concerned = match to {
        TaskState::Open => Vec::new(),
        TaskState::Closed => parent_host.into_iter().collect(),
        _ => hosts,
    };
    for host in concerned {
        call.signal(Topic::Host(host));
    }
    confirmed(call, task, to, host).await
}

/// Gives a task to a host that has not yet opened it; tells whether it could be done.
///
/// Without `force`, only a free task is given away.
///
/// # Errors
/// A generic fault when there is no such task or it has ended.
pub async fn assign(call: &mut Call, id: i64, host: i64, force: bool) -> Result<bool, Fault> {
    let task = lock(call, id).await?;
    if !force {
        let again = task.state == TaskState::Assigned && task.host_id == Some(host);
        if again || task.state != TaskState::Free || task.host_id.is_some() {
            return Ok(again);
        }
    }
    if task.state != TaskState::Assigned {
        check(&task, TaskState::Assigned)?;
    }
    announced(call, &task, TaskState::Assigned, Some(host)).await?;
    db::place(&mut call.tx, id, TaskState::Assigned, Some(host)).await?;
    told(call, &task, TaskState::Assigned, Some(host)).await?;
    Ok(true)
}

/// Opens a task for a host: one that is assigned to it, or a free one that it might be given; tells whether it could be done.
///
/// # Errors
/// A generic fault when there is no such task.
pub async fn open(call: &mut Call, id: i64, host: i64) -> Result<bool, Fault> {
    let task = lock(call, id).await?;
    let mine = match task.state {
        TaskState::Free => task.host_id.is_none() && super::claim::suits(call, &task, host).await?,
        TaskState::Assigned => task.host_id == Some(host),
        _ => false,
    };
    if mine {
        check(&task, TaskState::Open)?;
        super::runs::set_aside(call, &task).await;
        announced(call, &task, TaskState::Open, Some(host)).await?;
        db::place(&mut call.tx, id, TaskState::Open, Some(host)).await?;
        told(call, &task, TaskState::Open, Some(host)).await?;
    }
    Ok(mine)
}

/// Takes a task from its host, so that the scheduler may give it to another.
///
/// # Errors
/// A generic fault when it has ended.
pub async fn free(call: &mut Call, task: &Locked) -> Result<(), Fault> {
    if task.state.is_finished() {
        let (id, state) = (task.id, task.state);
        return Err(Fault::generic(format!("Cannot free task {id}, state is {state}")));
    }
    if task.state == TaskState::Free && task.host_id.is_none() {
        return Ok(());
    }
    announced(call, task, TaskState::Free, None).await?;
    db::place(&mut call.tx, task.id, TaskState::Free, None).await?;
    told(call, task, TaskState::Free, None).await
}

/// Ends a task that its host works on, with the text of its response.
///
/// # Errors
/// When the task is not open.
pub async fn finish(
    call: &mut Call,
    task: &Locked,
    to: TaskState,
    response: &str,
) -> Result<(), Fault> {
    check(task, to)?;
    announced(call, task, to, task.host_id).await?;
    db::finish(&mut call.tx, task.id, to, response).await?;
    told(call, task, to, task.host_id).await
}

/// Ends a task with a fault of the hub's own, whoever holds it.
///
/// # Errors
/// When the database fails.
pub async fn fail(call: &mut Call, task: &Locked, fault: Fault) -> Result<(), Fault> {
    let response = text::write_result(&Err(fault));
    finish(call, task, TaskState::Failed, &response).await
}

/// Cancels a task and, with `recurse`, the unfinished tasks below it; tells whether it is cancelled.
///
/// # Errors
/// When the database fails.
pub async fn cancel(call: &mut Call, id: i64, recurse: bool) -> Result<bool, Fault> {
    let tree = load_tree(call, id).await?;
    let Some(task) = tree.get(&id) else { return Err(super::missing(id)) };
    if task.state.is_finished() {
        return Ok(task.state == TaskState::Canceled);
    }
    let depth = if recurse { Below::Unfinished } else { Below::Nothing };
    cancel_all(call, &tree, &[id], depth).await?;
    Ok(true)
}

/// Cancels the unfinished tasks below one, but not itself.
///
/// # Errors
/// When the database fails.
pub async fn cancel_children(call: &mut Call, id: i64) -> Result<(), Fault> {
    let tree = load_tree(call, id).await?;
    let children: Vec<i64> =
        tree.values().filter(|t| t.parent == Some(id) && t.id != id).map(|t| t.id).collect();
    cancel_all(call, &tree, &children, Below::Unfinished).await
}

/// Cancels a task with its whole group; without `strict` the group of any task below the top.
///
/// # Errors
/// With `strict`, when the task is not at the top of its group.
pub async fn cancel_full(call: &mut Call, id: i64, strict: bool) -> Result<(), Fault> {
    let mut top = id;
    let task = match db::lock(&mut call.tx, id).await? {
        Some(row) => Some(Locked::from_row(&row)?),
        None => None,
    };
    if let Some(parent) = task.and_then(|t| t.parent) {
        if strict {
            let text = format!("Task {id} is not top-level (parent={parent})");
            return Err(Fault::generic(text));
        }
        let found = db::top(&mut call.tx, id).await?;
        top = found.ok_or_else(|| Fault::generic(format!("Task LOOP at task {id}")))?;
    }
    let tree = load_tree(call, top).await?;
    if !tree.contains_key(&top) {
        return Err(Fault::generic("query returned no rows"));
    }
    cancel_all(call, &tree, &[top], Below::Everything).await
}

/// Which tasks below a cancelled one are looked at.
#[derive(Clone, Copy, PartialEq)]
enum Below {
    Nothing,
    /// Those that hang below unfinished tasks.
    Unfinished,
    /// Also those below finished tasks.
    Everything,
}

async fn load_tree(call: &mut Call, id: i64) -> Result<BTreeMap<i64, Locked>, Fault> {
    let rows = db::lock_tree(&mut call.tx, id).await?;
    let tasks = rows.iter().map(|row| Locked::from_row(row).map(|task| (task.id, task)));
    tasks.collect()
}

async fn cancel_all(
    call: &mut Call,
    tree: &BTreeMap<i64, Locked>,
    roots: &[i64],
    below: Below,
) -> Result<(), Fault> {
    let mut children: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for task in tree.values() {
        children.entry(task.parent.unwrap_or_default()).or_default().push(task.id);
    }
    let mut waiting = roots.to_vec();
    let mut seen = BTreeSet::new();
    let mut chosen = Vec::new();
    while let Some(id) = waiting.pop() {
        let Some(task) = tree.get(&id).filter(|_| seen.insert(id)) else { continue };
        if !task.state.is_finished() {
            chosen.push(task);
        }
        let descend = match below {
            Below::Nothing => false,
            Below::Unfinished => !task.state.is_finished(),
            Below::Everything => true,
        };
        if descend {
            waiting.extend(children.get(&id).into_iter().flatten());
        }
    }
    let ids: Vec<i64> = chosen.iter().map(|t| t.id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    for task in &chosen {
        check(task, TaskState::Canceled)?;
        announced(call, task, TaskState::Canceled, task.host_id).await?;
    }
    db::cancel(&mut call.tx, &ids).await?;
    for task in chosen {
        told(call, task, TaskState::Canceled, task.host_id).await?;
    }
    for build in db::running_builds(&mut call.tx, &ids).await? {
        crate::build::cancel(call, build).await?;
    }
    Ok(())
}
