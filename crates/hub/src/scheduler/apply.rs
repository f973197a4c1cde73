//! Doing what was decided, with a few statements for each host that is concerned.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use toji_bus::Topic;
use toji_db::Time;
use toji_db::scheduler as sql;
use toji_sched::{Decision, FreeReason, Snapshot};
use toji_types::{HostId, TaskState};
use toji_value::Fault;

use super::Report;
use super::snapshot::ACTIVE;
use crate::Call;
use crate::task::Locked;
use crate::task::transition::{self, announced, told};

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
    let mut tasks = locked(call, decisions).await?;
    let mut report = report(decisions);
    report.freed = 0;
    let takers = takers(call, decisions).await?;
    let mut assigned: BTreeMap<HostId, Vec<Locked>> = BTreeMap::new();
    let mut silent = Vec::new();
    for decision in decisions {
        match decision {
            Decision::Assign { task, host } => {
                let ready = takers.contains(&host.0);
                let free = |t: &Locked| ready && t.state == TaskState::Free && t.host_id.is_none();
                let task = tasks.remove(&task.0).filter(free);
                assigned.entry(*host).or_default().extend(task);
            }
            Decision::Free { task, host, reason } => {
                let Some(task) = tasks.remove(&task.0) else { continue };
                report.freed += usize::from(free(call, &task, *host, *reason).await?);
            }
            Decision::MarkNotReady { host } => silent.push(host.0),
            Decision::Wait { .. } => {}
        }
    }
    report.assigned = assign(call, &assigned).await?;
    if !silent.is_empty() {
        sql::mark_not_ready(&mut call.tx, &silent).await?;
        for host in &silent {
            let text = "Marking host not ready";
            toji_db::task::log(&mut call.tx, text, None, Some(*host)).await?;
        }
    }
    if report.freed == 0 {
        // these moves give the scheduler nothing new to do
        call.signals.retain(|topic| *topic != Topic::Scheduler);
    }
    Ok(report)
}

/// The hosts that still may get what was decided: one may have been revoked since they were read.
async fn takers(call: &mut Call, decisions: &[Decision]) -> Result<BTreeSet<i64>, Fault> {
    let host = |decision: &Decision| match decision {
        Decision::Assign { host, .. } => Some(host.0),
        _ => None,
    };
    let hosts: BTreeSet<i64> = decisions.iter().filter_map(host).collect();
    if hosts.is_empty() {
        return Ok(hosts);
    }
    let hosts: Vec<i64> = hosts.into_iter().collect();
    Ok(sql::takers(&mut call.tx, &hosts).await?.into_iter().collect())
}

/// The tasks that decisions move, locked in the order of their numbers as everywhere.
async fn locked(call: &mut Call, decisions: &[Decision]) -> Result<HashMap<i64, Locked>, Fault> {
    let moved = |decision: &Decision| match decision {
        Decision::Assign { task, .. } | Decision::Free { task, .. } => Some(task.0),
        _ => None,
    };
    let ids: Vec<i64> = decisions.iter().filter_map(moved).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = toji_db::task::lock_all(&mut call.tx, &ids).await?;
    rows.iter().map(|row| Locked::from_row(row).map(|task| (task.id, task))).collect()
}

/// Gives hosts their tasks; returns how many.
async fn assign(call: &mut Call, hosts: &BTreeMap<HostId, Vec<Locked>>) -> Result<usize, Fault> {
    let mut all = Vec::new();
    for (host, tasks) in hosts {
        for task in tasks {
            announced(call, task, TaskState::Assigned, Some(host.0)).await?;
        }
        let ids: Vec<i64> = tasks.iter().map(|task| task.id).collect();
        sql::assign(&mut call.tx, &ids, host.0, TaskState::Assigned as i64).await?;
        all.extend(ids);
    }
    if all.is_empty() {
        return Ok(0);
    }
    sql::start_runs(&mut call.tx, &all).await?;
    sql::log_tasks(&mut call.tx, "Assigning task", &all).await?;
    for (host, tasks) in hosts {
        for task in tasks {
            told(call, task, TaskState::Assigned, Some(host.0)).await?;
        }
    }
    Ok(all.len())
}

/// Takes a task back, unless it has moved on; tells whether it did.
async fn free(
    call: &mut Call,
    task: &Locked,
    host: Option<HostId>,
    reason: FreeReason,
) -> Result<bool, Fault> {
    let host = host.map(|h| h.0);
    let expected = match reason {
        FreeReason::AssignTimeout { .. } => task.state == TaskState::Assigned,
        FreeReason::HostSilent => task.state == TaskState::Open,
        FreeReason::NoHost | FreeReason::HostGone | FreeReason::HostLost => {
            ACTIVE.contains(&(task.state as i64))
        }
    };
    if task.host_id != host || !expected {
        return Ok(false);
    }
    if let (FreeReason::AssignTimeout { refused: true }, Some(host)) = (reason, host) {
        sql::set_refusal(&mut call.tx, task.id, host, "assignment timeout").await?;
        let text = "Host refused task: assignment timeout";
        toji_db::task::log(&mut call.tx, text, Some(task.id), Some(host)).await?;
    }
    toji_db::task::log(&mut call.tx, &reason.to_string(), Some(task.id), host).await?;
    toji_db::task::end_runs(&mut call.tx, task.id).await?;
    transition::free(call, task).await?;
    Ok(true)
}

/// Forgets refusals that have lapsed and runs of tasks that have ended.
pub(super) async fn tidy(call: &mut Call, seen: &Snapshot) -> Result<(), Fault> {
    let unfinished = [TaskState::Free as i64, ACTIVE[0], ACTIVE[1]];
    let cutoff = Time::from_epoch(seen.now - seen.config.soft_refusal_timeout)?;
    sql::drop_refusals(&mut call.tx, cutoff, &unfinished).await?;
    toji_db::returned::tidy(&mut call.tx, &unfinished).await?;
    sql::end_stale_runs(&mut call.tx, &ACTIVE).await?;
    Ok(())
}
