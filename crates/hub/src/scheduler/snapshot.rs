//! From rows to what the scheduler decides over, in a fixed number of queries.

use std::collections::HashMap;

use toji_db::scheduler as sql;
use toji_db::{Result, Row, Tx};
use toji_sched::{ActiveState, ActiveTask, Config, FreeTask, Host, Refusal, Snapshot};
use toji_types::{ChannelId, HostId, TaskId, TaskState, UserId};

use crate::config::SchedulerOptions;

/// The states in which a host has a task.
pub(super) const ACTIVE: [i64; 2] = [TaskState::Open as i64, TaskState::Assigned as i64];

pub(super) async fn read(tx: &mut Tx, options: &SchedulerOptions) -> Result<Snapshot> {
    let now = sql::now(tx).await?;
    let mut channels: HashMap<i64, Vec<ChannelId>> = HashMap::new();
    for row in sql::host_channels(tx).await? {
        channels.entry(row.get("host_id")?).or_default().push(ChannelId(row.get("channel_id")?));
    }
    let hosts = sql::hosts(tx).await?;
    let free = sql::free_tasks(tx, TaskState::Free as i64).await?;
    let active = sql::active_tasks(tx, &ACTIVE).await?;
    let refusals = sql::refusals(tx).await?;
    Ok(Snapshot {
        now,
        config: config(options),
        hosts: hosts.iter().map(|row| host(row, &mut channels)).collect::<Result<_>>()?,
        free: free.iter().map(free_task).collect::<Result<_>>()?,
        active: active.iter().map(active_task).collect::<Result<_>>()?,
        refusals: refusals.iter().map(refusal).collect::<Result<_>>()?,
    })
}

fn config(options: &SchedulerOptions) -> Config {
    Config {
        max_jobs: u32::try_from(options.max_jobs).unwrap_or(0),
        capacity_overcommit: options.capacity_overcommit,
        ready_timeout: options.ready_timeout,
        assign_timeout: options.assign_timeout,
        soft_refusal_timeout: options.soft_refusal_timeout,
        host_timeout: options.host_timeout,
        fair_shares: options.fair_shares,
    }
}

fn host(row: &Row, channels: &mut HashMap<i64, Vec<ChannelId>>) -> Result<Host> {
    let id = row.get("id")?;
    let arches: Option<String> = row.get_opt("arches")?;
    Ok(Host {
        id: HostId(id),
        enabled: row.get("enabled")?,
        ready: row.get_opt("ready")?.unwrap_or(false),
        updated: row.get_opt("updated")?,
        capacity: row.get_opt("capacity")?.unwrap_or(0.0),
        max_jobs: row.value("data").get("maxjobs").as_int().and_then(|n| u32::try_from(n).ok()),
        arches: arches.unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
        channels: channels.remove(&id).unwrap_or_default(),
    })
}

fn free_task(row: &Row) -> Result<FreeTask> {
    Ok(FreeTask {
        id: TaskId(row.get("id")?),
        owner: UserId(row.get_opt("owner")?.unwrap_or(0)),
        // a task always has a channel; one that lost it waits, with the reason that no host serves it
        channel: ChannelId(row.get_opt("channel_id")?.unwrap_or(0)),
        arch: row.get_opt::<String>("arch")?.unwrap_or_else(|| "noarch".into()),
        weight: row.get_opt("weight")?.unwrap_or(1.0),
        priority: row.get_opt("priority")?.unwrap_or(20),
        created: row.get_opt("created")?.unwrap_or(0.0),
    })
}

fn active_task(row: &Row) -> Result<ActiveTask> {
    let open = row.get::<i64>("state")? == TaskState::Open as i64;
    Ok(ActiveTask {
        id: TaskId(row.get("id")?),
        owner: UserId(row.get_opt("owner")?.unwrap_or(0)),
        channel: ChannelId(row.get_opt("channel_id")?.unwrap_or(0)),
        host: row.get_opt("host_id")?.map(HostId),
        state: if open { ActiveState::Open } else { ActiveState::Assigned },
        waiting: row.get_opt("waiting")?.unwrap_or(false),
        weight: row.get_opt("weight")?.unwrap_or(0.0),
        assigned: row.get_opt("assigned")?,
    })
}

fn refusal(row: &Row) -> Result<Refusal> {
    Ok(Refusal {
        task: TaskId(row.get("task_id")?),
        host: HostId(row.get("host_id")?),
        soft: row.get("soft")?,
        time: row.get("time")?,
    })
}
