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
}

impl fmt::Display for FreeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FreeReason::NoHost => "Active task with no host",
            FreeReason::HostGone => "Active task on a host that does not exist",
            FreeReason::AssignTimeout { .. } => "Task assignment timeout",
            FreeReason::HostSilent => "Freeing task from unresponsive host",
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
    let assigned = task.assigned?;
    match task.state {
        ActiveState::Assigned => {
            (snapshot.now - assigned > snapshot.config.assign_timeout).then(|| {
                FreeReason::AssignTimeout { refused: host.updated.is_some_and(|at| at > assigned) }
            })
        }
        ActiveState::Open => {
            let heard = host.updated.unwrap_or(assigned);
            (snapshot.now - heard > snapshot.config.host_timeout).then_some(FreeReason::HostSilent)
        }
    }
}
