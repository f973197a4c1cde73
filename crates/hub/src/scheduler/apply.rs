//! Doing what was decided, with a few statements for each host that is concerned.

use std::collections::BTreeMap;

use toji_db::Time;
use toji_db::scheduler as sql;
use toji_sched::{Decision, FreeReason, Snapshot};
use toji_types::{HostId, TaskId, TaskState};
use toji_value::Fault;

use super::Report;
use super::snapshot::ACTIVE;
use crate::Call;
use crate::task::transition::{self, told};
use crate::task::{Locked, lock};

/// The decisions in numbers.
pub(super) fn report(decisions: &[Decision]) -> Report {
    let mut report = Report::default();
    for decision in decisions {
        match decision {
            Decision::Assign { .. } => report.assigned += 1,
            Decision::Free { .. } => report.freed += 1,
            Decision::MarkNotReady { .. } => report.silent += 1,
            Decision::Wait { task, reason } => report.waiting.push((*task, *reason)),
        }
    }
    report
}

/// Applies all decisions; tasks that have moved on meanwhile are left alone.
pub(super) async fn all(call: &mut Call, decisions: &[Decision]) -> Result<Report, Fault> {
    let mut assigned: BTreeMap<HostId, Vec<i64>> = BTreeMap::new();
    let mut silent = Vec::new();
    for decision in decisions {
        match decision {
            Decision::Assign { task, host } => assigned.entry(*host).or_default().push(task.0),
            Decision::Free { task, host, reason } => free(call, *task, *host, *reason).await?,
            Decision::MarkNotReady { host } => silent.push(host.0),
            Decision::Wait { .. } => {}
        }
    }
    for (host, tasks) in assigned {
        assign(call, host, &tasks).await?;
    }
    if !silent.is_empty() {
        sql::mark_not_ready(&mut call.tx, &silent).await?;
        for host in &silent {
            let text = "Marking host not ready";
            toji_db::task::log(&mut call.tx, text, None, Some(*host)).await?;
        }
    }
    Ok(report(decisions))
}

/// Gives a host its tasks; those that are no longer free are left out.
async fn assign(call: &mut Call, host: HostId, tasks: &[i64]) -> Result<(), Fault> {
    let mut taken = Vec::with_capacity(tasks.len());
    for row in toji_db::task::lock_all(&mut call.tx, tasks).await? {
        let task = Locked::from_row(&row)?;
        if task.state == TaskState::Free && task.host_id.is_none() {
            taken.push(task);
        }
    }
    let ids: Vec<i64> = taken.iter().map(|t| t.id).collect();
    sql::assign(&mut call.tx, &ids, host.0, TaskState::Assigned as i64).await?;
    sql::start_runs(&mut call.tx, &ids, host.0).await?;
    sql::log_tasks(&mut call.tx, "Assigning task", &ids, host.0).await?;
    for task in &taken {
        told(call, task, TaskState::Assigned, Some(host.0)).await?;
    }
    Ok(())
}

/// Takes a task back, unless it has moved on.
async fn free(
    call: &mut Call,
    task: TaskId,
    host: Option<HostId>,
    reason: FreeReason,
) -> Result<(), Fault> {
    let task = lock(call, task.0).await?;
    let host = host.map(|h| h.0);
    if task.host_id != host || !ACTIVE.contains(&(task.state as i64)) {
        return Ok(());
    }
    if let (FreeReason::AssignTimeout { refused: true }, Some(host)) = (reason, host) {
        sql::set_refusal(&mut call.tx, task.id, host, "assignment timeout").await?;
        let text = "Host refused task: assignment timeout";
        toji_db::task::log(&mut call.tx, text, Some(task.id), Some(host)).await?;
    }
    toji_db::task::log(&mut call.tx, &reason.to_string(), Some(task.id), host).await?;
    toji_db::task::end_runs(&mut call.tx, task.id).await?;
    transition::free(call, &task).await
}

/// Forgets refusals that have lapsed and runs of tasks that have ended.
pub(super) async fn tidy(call: &mut Call, seen: &Snapshot) -> Result<(), Fault> {
    let unfinished = [TaskState::Free as i64, ACTIVE[0], ACTIVE[1]];
    let cutoff = Time::from_epoch(seen.now - seen.config.soft_refusal_timeout)?;
    sql::drop_refusals(&mut call.tx, cutoff, &unfinished).await?;
    sql::end_stale_runs(&mut call.tx, &ACTIVE).await?;
    Ok(())
}
