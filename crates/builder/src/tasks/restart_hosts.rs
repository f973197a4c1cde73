//! `restartHosts`: has builders start anew, all or those of a channel or of some arches.

use toji_client::args;
use toji_value::{Args, Default, Value, map};

use super::restart_verify::restarted;
use super::{method, take};
use crate::context::{Context, int_of};
use crate::failure::{Failure, Result};
use crate::wait::Wait;

method!("restartHosts", 0.1, [options = Default::Nil]);

/// Seconds after which the task gives up waiting: a day.
const TIMEOUT: f64 = 86_400.0;

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [options] = take(values)?;
    let mut query: Args = args!(; "enabled" => true);
    if !options.get("channel").is_nil() {
        let call = args!(options.get("channel"); "strict" => true);
        let channel = task.call("getChannel", call).await?;
        query.keywords.insert("channelID", channel.get("id"));
    }
    if !options.get("arches").is_nil() {
        query.keywords.insert("arches", options.get("arches"));
    }
    let hosts = task.call("listHosts", query).await?;
    let hosts = hosts.as_array().unwrap_or_default();
    if hosts.is_empty() {
        return Err(Failure::generic("No matching hosts"));
    }
    let seconds = options.get("timeout").as_f64().unwrap_or(TIMEOUT);
    let limit = std::time::Duration::from_secs_f64(seconds.clamp(0.0, 1e9));
    match tokio::time::timeout(limit, restart(task, hosts)).await {
        Ok(done) => done.map(|()| Value::Nil),
        Err(_) => {
            task.call("cancelTaskChildren", (task.id,)).await?;
            Err(Failure::generic(format!("Subtasks timed out after {seconds:.1} seconds")))
        }
    }
}

/// Has the hosts restart, and then each say that it did.
async fn restart(task: &Context, hosts: &[Value]) -> Result<()> {
    let all = Wait { all: true, fail_any: false };
    let own = task.call("host.getID", ()).await?;
    let mut restarts = Vec::new();
    for host in hosts {
        let id = int_of(host, "id")?;
        let opts = map! { "assign" => id, "label" => format!("restart {id}") };
        let child = task.subtask("restart", vec![host.clone()], opts).await?;
        restarts.push((id, child, host));
    }
    let ids: Vec<i64> = restarts.iter().map(|(_, child, _)| *child).collect();
    task.wait(&ids, all).await?;
    // Only now: a builder takes everything that is assigned to it, until it is about to restart.
    let mut checks = Vec::new();
    for (id, child, host) in &restarts {
        let opts = map! { "assign" => *id, "label" => format!("sleep {id}") };
        let args = vec![Value::Int(*child), (*host).clone()];
        checks.push(task.subtask("restartVerify", args, opts).await?);
    }
    let ours = restarts.iter().find(|(id, _, _)| own.as_int() == Some(*id));
    if let Some((_, child, _)) = ours {
        let info = task.call("getTaskInfo", (*child,)).await?;
        if !restarted(task, &info) {
            give_back(task).await;
        }
    }
    task.wait(&checks, all).await.map(drop)
}

/// Ends this run without a result: it must not hold up the restart of its own builder, which frees the
/// task when it is back.
async fn give_back(task: &Context) {
    task.cancel.cancel();
    std::future::pending::<()>().await;
}
