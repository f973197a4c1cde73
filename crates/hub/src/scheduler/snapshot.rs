//! From rows to what the scheduler decides over, in a fixed number of queries.

use std::collections::HashMap;

use toji_db::scheduler as sql;
use toji_db::{Result, Row, Tx};
use toji_sched::{ActiveState, ActiveTask, Config, FreeTask, Host, Refusal, Served, Snapshot};
use toji_types::{ChannelId, HostId, TaskId, TaskState, UserId};

use crate::config::SchedulerOptions;

/// The states in which a host has a task.
pub(super) const ACTIVE: [i64; 2] = [TaskState::Open as i64, TaskState::Assigned as i64];

/// Everything at once.
pub(super) async fn read(tx: &mut Tx, options: &SchedulerOptions) -> Result<Snapshot> {
    let now = sql::now(tx).await?;
    let hosts = hosts(tx).await?;
    let free = sql::free_tasks(tx, TaskState::Free as i64).await?;
    let active = sql::active_tasks(tx, &ACTIVE).await?;
    let refusals = sql::refusals(tx).await?;
    let active: Vec<ActiveTask> = active.iter().map(active_task).collect::<Result<_>>()?;
    let served = |task: &ActiveTask| {
        Some(Served { channel: task.channel, owner: task.owner, at: task.assigned? })
    };
    Ok(Snapshot {
        now,
        since: 0.0,
        config: config(options),
        hosts,
        free: free.iter().map(free_task).collect::<Result<_>>()?,
        served: active.iter().filter_map(served).collect(),
        active,
        refusals: refusals.iter().map(refusal).collect::<Result<_>>()?,
    })
}

/// The hosts with their channels.
pub(super) async fn hosts(tx: &mut Tx) -> Result<Vec<Host>> {
    let mut channels: HashMap<i64, Vec<ChannelId>> = HashMap::new();
    for row in sql::host_channels(tx).await? {
        channels.entry(row.get("host_id")?).or_default().push(ChannelId(row.get("channel_id")?));
    }
    sql::hosts(tx).await?.iter().map(|row| host(row, &mut channels)).collect()
}

pub(super) fn config(options: &SchedulerOptions) -> Config {
    Config {
        max_jobs: u32::try_from(options.max_jobs).unwrap_or(0),
        capacity_overcommit: options.capacity_overcommit,
        ready_timeout: options.ready_timeout,
        assign_timeout: options.assign_timeout,
        soft_refusal_timeout: options.soft_refusal_timeout,
        host_timeout: options.host_timeout,
        fair_shares: options.fair_shares,
        critical_path: options.critical_path,
        lost_timeout: options.lost_timeout,
    }
}

fn host(row: &Row, channels: &mut HashMap<i64, Vec<ChannelId>>) -> Result<Host> {
    let id = row.get("id")?;
    let arches: Option<String> = row.get_opt("arches")?;
    // A blocked builder's last word may have come later than its revocation.
    let blocked = row.get_opt::<i64>("user_status")? != Some(0);
    Ok(Host {
        id: HostId(id),
        enabled: row.get("enabled")?,
        ready: row.get_opt("ready")?.unwrap_or(false) && !blocked,
        updated: row.get_opt("updated")?,
        lost: row.get_opt("lost")?,
        pressure: row.get_opt("pressure")?,
        capacity: row.get_opt("capacity")?.unwrap_or(0.0),
        max_jobs: row.value("data").get("maxjobs").as_int().and_then(|n| u32::try_from(n).ok()),
        arches: arches.unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
        channels: channels.remove(&id).unwrap_or_default(),
    })
}

pub(super) fn free_task(row: &Row) -> Result<FreeTask> {
    Ok(FreeTask {
        id: TaskId(row.get("id")?),
        owner: UserId(row.get_opt("owner")?.unwrap_or(0)),
        // a task always has a channel; one that lost it waits, with the reason that no host serves it
        channel: ChannelId(row.get_opt("channel_id")?.unwrap_or(0)),
        arch: row.get_opt::<String>("arch")?.unwrap_or_else(|| "noarch".into()),
        subtask: row.get_opt::<i64>("parent")?.is_some(),
        weight: row.get_opt("weight")?.unwrap_or(1.0),
        priority: row.get_opt("priority")?.unwrap_or(20),
        created: row.get_opt("created")?.unwrap_or(0.0),
        tree: row.get_opt("tree")?.unwrap_or(0.0),
        expected: row.get_opt("expected")?.unwrap_or(0.0),
    })
}

pub(super) fn active_task(row: &Row) -> Result<ActiveTask> {
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

pub(super) fn refusal(row: &Row) -> Result<Refusal> {
    Ok(Refusal {
        task: TaskId(row.get("task_id")?),
        host: HostId(row.get("host_id")?),
        soft: row.get("soft")?,
        time: row.get("time")?,
    })
}
