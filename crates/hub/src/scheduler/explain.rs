//! Why a task waits, and what more hosts would change: the scheduler's own decision, not applied.

use std::collections::HashMap;

use toji_db::scheduler::{Named, names};
use toji_sched::{Decision, Host, Snapshot, decide, obstacles, position};
use toji_types::{ChannelId, HostId, TaskId, TaskState};
use toji_value::{Fault, Map, Value, map};

use super::snapshot;
use crate::Call;

/// Most hosts that a forecast may add.
const MAX_HOSTS: i64 = 1_000;

/// Says why a task has not started.
///
/// # Errors
/// For an unknown task, or when the database fails.
pub(crate) async fn task(call: &mut Call, id: i64) -> Result<Value, Fault> {
    let Some(row) = toji_db::task::get(&mut call.tx, id).await? else {
        return Err(Fault::generic(format!("No such task: {id}")));
    };
    let state: i64 = row.get("state")?;
    let mut answer = map! { "task_id" => id, "state" => state };
    if state != TaskState::Free as i64 {
        if let Some(reason) = not_running(call, &row).await? {
            answer.insert("reason", reason);
        }
        return Ok(answer.into());
    }
    let returned = toji_db::returned::of_task(&mut call.tx, id).await?;
    if let Some(returned) = &returned {
        answer.insert("returned", returned.times);
        answer.insert("returned_reason", &returned.reason);
    }
    let now = toji_db::scheduler::now(&mut call.tx).await?;
    if let Some(returned) = returned.filter(|returned| returned.not_before > now) {
        let (times, wait) = (returned.times, (returned.not_before - now).ceil());
        let text = format!("a builder gave it back ({times}), it is tried again in {wait} s");
        answer.insert("reason", text);
        return Ok(answer.into());
    }
    let seen = snapshot::read(&mut call.tx, &call.hub.config.scheduler).await?;
    let hosts: HashMap<i64, String> =
        names(&mut call.tx, Named::Hosts).await?.into_iter().collect();
    let Some(task) = seen.free.iter().find(|t| t.id == TaskId(id)) else {
        let text = "very many more urgent tasks wait";
        answer.insert("reason", text);
        return Ok(answer.into());
    };
    let reason = decide(&seen).into_iter().find_map(|decision| match decision {
        Decision::Wait { task, reason } if task.0 == id => Some(reason.to_string()),
        Decision::Assign { task, .. } if task.0 == id => Some("about to be assigned".to_owned()),
        _ => None,
    });
    let (place, queue) = position(&seen, task.id).unwrap_or_default();
    let obstacles = obstacles(&seen, task).into_iter().map(|(host, obstacle)| {
        let name = hosts.get(&host.0).map_or("", String::as_str);
        Value::from(map! { "id" => host.0, "name" => name, "reason" => obstacle.to_string() })
    });
    answer.insert("reason", reason);
    answer.insert("position", number(place));
    answer.insert("queue", number(queue));
    if task.expected > 0.0 {
        answer.insert("expected", task.expected.round());
    }
    answer.insert("hosts", Value::Array(obstacles.collect()));
    Ok(answer.into())
}

/// Why a task that has a host does nothing.
async fn not_running(call: &mut Call, task: &toji_db::Row) -> Result<Option<String>, Fault> {
    let state: i64 = task.get("state")?;
    if state == TaskState::Open as i64 && task.value("waiting").truthy() {
        return Ok(Some("waits for its subtasks".to_owned()));
    }
    if state != TaskState::Assigned as i64 {
        return Ok(None);
    }
    let host: Option<i64> = task.get("host_id")?;
    let hosts = names(&mut call.tx, Named::Hosts).await?;
    let name = hosts.into_iter().find(|(id, _)| Some(*id) == host);
    Ok(name.map(|(_, name)| format!("assigned to {name}, which has not opened it yet")))
}

/// Says what would become of the waiting tasks now, and with more hosts.
///
/// # Errors
/// For a host that is not understood, or when the database fails.
pub(crate) async fn forecast(call: &mut Call, hosts: &Value) -> Result<Value, Fault> {
    let channels = names(&mut call.tx, Named::Channels).await?;
    let mut seen = snapshot::read(&mut call.tx, &call.hub.config.scheduler).await?;
    let now = toji_sched::forecast(&seen);
    for asked in hosts.as_array().unwrap_or_default() {
        add_hosts(&mut seen, asked, &channels)?;
    }
    let then = toji_sched::forecast(&seen);
    let name =
        |id: ChannelId| channels.iter().find(|(known, _)| *known == id.0).map(|c| c.1.as_str());
    let counted = |queue: Option<&toji_sched::Queue>| {
        let queue = queue.copied().unwrap_or_default();
        map! { "assigned" => number(queue.assigned), "waiting" => number(queue.waiting) }
    };
    let rows = now.keys().map(|key| {
        Value::from(map! {
            "channel" => name(key.0), "arch" => key.1.as_str(),
            "now" => counted(now.get(key)), "then" => counted(then.get(key)),
        })
    });
    Ok(Value::Array(rows.collect()))
}

fn add_hosts(seen: &mut Snapshot, asked: &Value, channels: &[(i64, String)]) -> Result<(), Fault> {
    let Value::Struct(asked) = asked else {
        return Err(Fault::parameter("each host is a map of arches, channels, capacity and count"));
    };
    let arches = words(asked, "arches");
    if arches.is_empty() {
        return Err(Fault::parameter("a host needs arches"));
    }
    let mut served = Vec::new();
    let named = words(asked, "channels");
    for wanted in if named.is_empty() { vec!["default".to_owned()] } else { named } {
        let found = channels.iter().find(|(_, name)| *name == wanted);
        let (id, _) = found.ok_or_else(|| Fault::generic(format!("No such channel: {wanted}")))?;
        served.push(ChannelId(*id));
    }
    let count = asked.value("count").as_int().unwrap_or(1);
    if !(0..=MAX_HOSTS).contains(&count) {
        return Err(Fault::parameter(format!("the count of hosts is between 0 and {MAX_HOSTS}")));
    }
    let first = seen.hosts.iter().map(|h| h.id.0).max().unwrap_or(0) + 1;
    seen.hosts.extend((first..first + count).map(|id| Host {
        id: HostId(id),
        enabled: true,
        ready: true,
        updated: Some(seen.now),
        lost: None,
        pressure: None,
        capacity: asked.value("capacity").as_f64().unwrap_or(2.0),
        max_jobs: None,
        arches: arches.clone(),
        channels: served.clone(),
    }));
    Ok(())
}

/// A list of words, or words in one text.
fn words(asked: &Map, key: &str) -> Vec<String> {
    match asked.value(key) {
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        other => other.as_str().unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
    }
}

fn number(n: usize) -> Value {
    i64::try_from(n).unwrap_or(i64::MAX).into()
}
