//! What the scheduler decides, and the checks of hosts and of tasks they already have.

use std::collections::HashMap;
use std::fmt;

use toji_types::{HostId, TaskId};

use crate::snapshot::{ActiveState, ActiveTask, Host, Snapshot};

/// One thing to do, or a reason for doing nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The host has been silent for too long.
    MarkNotReady {
        /// The host.
        host: HostId,
    },
    /// Give the task to the host.
    Assign {
        /// The task.
        task: TaskId,
        /// The host.
        host: HostId,
    },
    /// Take the task back, to be placed again.
    Free {
        /// The task.
        task: TaskId,
        /// The host that had it.
        host: Option<HostId>,
        /// Why.
        reason: FreeReason,
    },
    /// The task waits.
    Wait {
        /// The task.
        task: TaskId,
        /// Why.
        reason: WaitReason,
    },
}

/// Why a task is taken from its host; the texts are those of Koji's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreeReason {
    /// It is active but has no host.
    NoHost,
    /// Its host does not exist.
    HostGone,
    /// The host did not open it in time.
    AssignTimeout {
        /// The host has spoken since: to be noted as its soft refusal.
        refused: bool,
    },
    /// The host has been silent for too long.
    HostSilent,
    /// The live connection of its host broke off, and did not come back.
    HostLost,
}

impl fmt::Display for FreeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FreeReason::NoHost => "Active task with no host",
            FreeReason::HostGone => "Active task on a host that does not exist",
            FreeReason::AssignTimeout { .. } => "Task assignment timeout",
            FreeReason::HostSilent => "Freeing task from unresponsive host",
            FreeReason::HostLost => "Freeing task from lost host",
        })
    }
}

/// Why a free task stays free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitReason {
    /// No enabled host serves the channel.
    NoHostInChannel,
    /// No enabled host of the channel has the arch.
    NoHostWithArch,
    /// None of the hosts that could take it is ready.
    NotReady {
        /// Enabled hosts with this channel and arch.
        hosts: usize,
    },
    /// None of the hosts that could take it has enough of its machine left.
    Pressed {
        /// Hosts with this channel and arch that lack something.
        hosts: usize,
    },
    /// Every ready host has refused it.
    Refused {
        /// Ready hosts with this channel and arch.
        hosts: usize,
    },
    /// It weighs more than any ready host may carry.
    TooHeavy {
        /// Ready hosts with this channel and arch.
        hosts: usize,
    },
    /// Every ready host is at its limit of load or of tasks, or has refused it.
    Busy {
        /// Ready hosts with this channel and arch.
        hosts: usize,
    },
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |n: usize| format!("{n} host{}", if n == 1 { "" } else { "s" });
        match self {
            WaitReason::NoHostInChannel => f.write_str("no enabled host in the channel"),
            WaitReason::NoHostWithArch => {
                f.write_str("no enabled host of the channel has the arch")
            }
            WaitReason::NotReady { hosts } => write!(f, "not ready: {}", count(*hosts)),
            WaitReason::Pressed { hosts } => write!(f, "under pressure: {}", count(*hosts)),
            WaitReason::Refused { hosts } => write!(f, "refused by {}", count(*hosts)),
            WaitReason::TooHeavy { hosts } => write!(f, "too heavy for {}", count(*hosts)),
            WaitReason::Busy { hosts } => write!(f, "busy: {}", count(*hosts)),
        }
    }
}

/// Whether a host that says it is ready has been silent for too long.
pub(crate) fn is_silent(host: &Host, snapshot: &Snapshot) -> bool {
    host.updated.is_none_or(|at| snapshot.now - at > snapshot.config.ready_timeout)
}

/// Whether a host can be given tasks.
pub(crate) fn can_take(host: &Host, snapshot: &Snapshot) -> bool {
    host.ready && !is_silent(host, snapshot) && host.lost.is_none() && host.pressure.is_none()
}

/// When a host's tasks are taken back because its live connection is broken.
fn given_up(host: &Host, snapshot: &Snapshot) -> Option<f64> {
    host.lost.map(|lost| lost.max(snapshot.since) + snapshot.config.lost_timeout)
}

/// When the host of an open task was last heard of, or could have been.
fn heard(task: &ActiveTask, host: &Host, snapshot: &Snapshot) -> Option<f64> {
    host.updated.or(task.assigned).map(|at| at.max(snapshot.since))
}

/// The next moment at which time alone changes what is decided; nothing if it never does.
///
/// Refusals that lapse count only while tasks wait.
pub fn next_check(snapshot: &Snapshot) -> Option<f64> {
    let config = &snapshot.config;
    let mut moments = Vec::new();
    for host in snapshot.hosts.iter().filter(|h| h.enabled && h.ready) {
        moments.extend(host.updated.map(|at| at + config.ready_timeout));
    }
    let hosts: HashMap<HostId, &Host> = snapshot.hosts.iter().map(|h| (h.id, h)).collect();
    for task in &snapshot.active {
        let Some(host) = task.host.and_then(|id| hosts.get(&id)) else { continue };
        moments.extend(given_up(host, snapshot));
        moments.extend(match task.state {
            ActiveState::Assigned => task.assigned.map(|at| at + config.assign_timeout),
            ActiveState::Open => heard(task, host, snapshot).map(|at| at + config.host_timeout),
        });
    }
    if !snapshot.free.is_empty() {
        let soft = snapshot.refusals.iter().filter(|r| r.soft);
        moments.extend(soft.map(|r| r.time + config.soft_refusal_timeout));
    }
    moments.into_iter().filter(|at| *at >= snapshot.now).min_by(f64::total_cmp)
}

/// Takes tasks back from hosts that do not open them, or that are gone.
pub(crate) fn check_active(snapshot: &Snapshot, decisions: &mut Vec<Decision>) {
    let hosts: HashMap<HostId, &Host> = snapshot.hosts.iter().map(|h| (h.id, h)).collect();
    let mut tasks: Vec<&ActiveTask> = snapshot.active.iter().collect();
    tasks.sort_by_key(|t| t.id);
    for task in tasks {
        let reason = match task.host.map(|id| hosts.get(&id)) {
            None => Some(FreeReason::NoHost),
            Some(None) => Some(FreeReason::HostGone),
            Some(Some(host)) => overdue(task, host, snapshot),
        };
        if let Some(reason) = reason {
            decisions.push(Decision::Free { task: task.id, host: task.host, reason });
        }
    }
}

fn overdue(task: &ActiveTask, host: &Host, snapshot: &Snapshot) -> Option<FreeReason> {
    let open = task.state == ActiveState::Open;
    if task.assigned.is_none() && !open {
        // somebody chose the host: Koji's scheduler leaves that alone
        return None;
    }
    if given_up(host, snapshot).is_some_and(|at| snapshot.now > at) {
        return Some(FreeReason::HostLost);
    }
    match task.state {
        ActiveState::Assigned => {
            let assigned = task.assigned?;
            (snapshot.now - assigned > snapshot.config.assign_timeout).then(|| {
                FreeReason::AssignTimeout { refused: host.updated.is_some_and(|at| at > assigned) }
            })
        }
        ActiveState::Open => {
            let heard = heard(task, host, snapshot)?;
            (snapshot.now - heard > snapshot.config.host_timeout).then_some(FreeReason::HostSilent)
        }
    }
}
