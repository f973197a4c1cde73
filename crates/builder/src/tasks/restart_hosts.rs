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
    let own = task.call("host.getID", ()).await?;
    let mut children = Vec::new();
    let mut ours = None;
    for host in hosts {
        let id = int_of(host, "id")?;
        let opts = map! { "assign" => id, "label" => format!("restart {id}") };
        let restart = task.subtask("restart", vec![host.clone()], opts).await?;
        let opts = map! { "assign" => id, "label" => format!("sleep {id}") };
        let args = vec![Value::Int(restart), host.clone()];
        let verify = task.subtask("restartVerify", args, opts).await?;
        children.extend([restart, verify]);
        if own.as_int() == Some(id) {
            ours = Some(restart);
        }
    }
    let seconds = options.get("timeout").as_f64().unwrap_or(TIMEOUT);
    let all = async {
        if let Some(restart) = ours {
            task.wait_for(restart).await?;
            let info = task.call("getTaskInfo", (restart,)).await?;
            if !restarted(task, &info) {
                give_back(task).await;
            }
        }
        task.wait(&children, Wait { all: true, fail_any: false }).await.map(drop)
    };
    match tokio::time::timeout(std::time::Duration::from_secs_f64(seconds.max(0.0)), all).await {
        Ok(done) => done.map(|()| Value::Nil),
        Err(_) => {
            task.call("cancelTaskChildren", (task.id,)).await?;
            Err(Failure::generic(format!("hosts did not restart within {seconds} seconds")))
        }
    }
}

/// Ends this run without a result: it must not hold up the restart of its own builder, which frees the
/// task when it is back.
async fn give_back(task: &Context) {
    task.cancel.cancel();
    std::future::pending::<()>().await;
}
