//! Why a task waits, host by host, and what other hosts would change.

use std::collections::BTreeMap;
use std::fmt;

use toji_types::{ChannelId, HostId, TaskId, arch};

use crate::bins::{Bins, Lane};
use crate::check::{Decision, is_silent};
use crate::decide::{decide, min_free};
use crate::order::order;
use crate::snapshot::{FreeTask, Host, Snapshot};

/// What keeps a host from taking a task.
#[derive(Debug, Clone, PartialEq)]
pub enum Obstacle {
    /// An administrator disabled the host.
    Disabled,
    /// It does not serve the task's channel.
    OtherChannel,
    /// It does not have the task's arch.
    OtherArch,
    /// It says that it can take no tasks.
    NotReady,
    /// It has not spoken for this many seconds.
    Silent(f64),
    /// Its live connection is broken for this many seconds.
    Lost(f64),
    /// Its machine has not enough left, in words.
    Pressure(String),
    /// It refused the task; a soft refusal lapses in this many seconds.
    Refused(Option<f64>),
    /// It has as many tasks as it may.
    MaxJobs(u32),
    /// Its free capacity is not above what the task needs.
    Capacity {
        /// What it has free.
        free: f64,
        /// What must be exceeded.
        needed: f64,
    },
    /// None: the host could take it, and other tasks come first.
    Queued,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::Disabled => f.write_str("disabled"),
            Obstacle::OtherChannel => f.write_str("not in the channel"),
            Obstacle::OtherArch => f.write_str("does not have the arch"),
            Obstacle::NotReady => f.write_str("not ready for tasks"),
            Obstacle::Silent(seconds) => write!(f, "silent for {seconds:.0} s"),
            Obstacle::Lost(seconds) => write!(f, "lost for {seconds:.0} s"),
            Obstacle::Pressure(what) => write!(f, "has too little left: {what}"),
            Obstacle::Refused(None) => f.write_str("refused the task"),
            Obstacle::Refused(Some(left)) => write!(f, "refused the task for {left:.0} s more"),
            Obstacle::MaxJobs(jobs) => write!(f, "has as many tasks as it may ({jobs})"),
            Obstacle::Capacity { free, needed } => {
                write!(f, "has {free:.1} of its capacity free, more than {needed:.1} is needed")
            }
            Obstacle::Queued => f.write_str("could take it; other tasks come first"),
        }
    }
}

/// What keeps each host from taking a free task now, by host id.
pub fn obstacles(snapshot: &Snapshot, task: &FreeTask) -> BTreeMap<HostId, Obstacle> {
    let bins = Bins::new(snapshot);
    let of = |host: &Host| (host.id, obstacle(snapshot, &bins, host, task));
    snapshot.hosts.iter().map(of).collect()
}

fn obstacle(snapshot: &Snapshot, bins: &Bins<'_>, host: &Host, task: &FreeTask) -> Obstacle {
    let wanted = arch::canonical(&task.arch);
    let refusal = snapshot.refusals.iter().find_map(|r| {
        let left = r.time + snapshot.config.soft_refusal_timeout - snapshot.now;
        let holds = r.task == task.id && r.host == host.id && !(r.soft && left < 0.0);
        holds.then_some(r.soft.then_some(left))
    });
    let Some(slot) = bins.by_id.get(&host.id).map(|index| &bins.hosts[*index]) else {
        return Obstacle::Disabled;
    };
    let needed = min_free(task, snapshot);
    if !host.channels.contains(&task.channel) {
        Obstacle::OtherChannel
    } else if wanted != "noarch" && !host.arches.iter().any(|a| arch::canonical(a) == wanted) {
        Obstacle::OtherArch
    } else if let Some(lost) = host.lost {
        Obstacle::Lost(snapshot.now - lost)
    } else if !host.ready {
        Obstacle::NotReady
    } else if is_silent(host, snapshot) {
        Obstacle::Silent(host.updated.map_or(f64::INFINITY, |at| snapshot.now - at))
    } else if let Some(what) = &host.pressure {
        Obstacle::Pressure(what.clone())
    } else if let Some(left) = refusal {
        Obstacle::Refused(left)
    } else if !slot.has_job_room(Lane::of(task)) {
        Obstacle::MaxJobs(slot.max_jobs)
    } else if slot.free_capacity() <= needed {
        Obstacle::Capacity { free: slot.free_capacity(), needed }
    } else {
        Obstacle::Queued
    }
}

/// A task's place in the queue of its channel and arch, from 1, and how many wait there.
pub fn position(snapshot: &Snapshot, task: TaskId) -> Option<(usize, usize)> {
    let ordered = order(snapshot);
    let own = ordered.iter().find(|t| t.id == task)?;
    let mut place = 0;
    let mut count = 0;
    let same = |t: &FreeTask| {
        t.channel == own.channel && arch::canonical(&t.arch) == arch::canonical(&own.arch)
    };
    for task in ordered.iter().filter(|t| same(t)) {
        count += 1;
        if task.id == own.id {
            place = count;
        }
    }
    Some((place, count))
}

/// How the free tasks of one channel and arch would fare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Queue {
    /// Tasks that would be assigned at once.
    pub assigned: usize,
    /// Tasks that would wait.
    pub waiting: usize,
}

/// Runs the decision and counts, by channel and arch, what would happen to the free tasks.
pub fn forecast(snapshot: &Snapshot) -> BTreeMap<(ChannelId, String), Queue> {
    let tasks: BTreeMap<TaskId, &FreeTask> = snapshot.free.iter().map(|t| (t.id, t)).collect();
    let mut queues: BTreeMap<(ChannelId, String), Queue> = BTreeMap::new();
    for decision in decide(snapshot) {
        let (id, assigned) = match decision {
            Decision::Assign { task, .. } => (task, true),
            Decision::Wait { task, .. } => (task, false),
            Decision::Free { .. } | Decision::MarkNotReady { .. } => continue,
        };
        let Some(task) = tasks.get(&id) else { continue };
        let key = (task.channel, arch::canonical(&task.arch).to_owned());
        let queue = queues.entry(key).or_default();
        if assigned { queue.assigned += 1 } else { queue.waiting += 1 }
    }
    queues
}
