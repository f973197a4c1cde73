//! Which free task is placed first.

use std::collections::HashMap;
use std::hash::Hash;

use toji_types::{ChannelId, TaskId, UserId};

use crate::bins::Rank;
use crate::snapshot::{FreeTask, Snapshot};

/// The least that a task counts in a share, so that weightless tasks cannot crowd others out.
const LEAST: f64 = 0.1;

/// The free tasks, the first to be placed first.
///
/// Lower priority numbers go first, as in Koji. Within a priority Koji takes the oldest first; by the critical
/// path it is the longest of the oldest build, so that no build ends with all but one host idle. With
/// fair shares it is the oldest of the channel, and in it of the user, that has the least load running
/// and placed so far (start-time fair queueing), so that nobody waits behind another's thousand tasks.
pub(crate) fn order(snapshot: &Snapshot) -> Vec<&FreeTask> {
    let mut tasks: Vec<&FreeTask> = snapshot.free.iter().collect();
    let by_path = snapshot.config.critical_path;
    tasks.sort_by_cached_key(|task| (task.priority, place(task, by_path)));
    if snapshot.config.fair_shares {
        let mut users: HashMap<(ChannelId, UserId), Share> = HashMap::new();
        let mut channels: HashMap<ChannelId, Share> = HashMap::new();
        let mut active: Vec<_> = snapshot.active.iter().filter(|t| !t.waiting).collect();
        // sums depend on their order in the last bit
        active.sort_by_key(|t| t.id);
        for task in active {
            users.entry((task.channel, task.owner)).or_default().add(task.weight);
            channels.entry(task.channel).or_default().add(task.weight);
        }
        for served in &snapshot.served {
            users.entry((served.channel, served.owner)).or_default().serve(served.at);
            channels.entry(served.channel).or_default().serve(served.at);
        }
        share(&mut tasks, users, |task| (task.channel, task.owner));
        share(&mut tasks, channels, |task| task.channel);
    }
    tasks
}

/// What a user or a channel has had.
#[derive(Debug, Default, Clone, Copy)]
struct Share {
    /// Load running and placed so far.
    used: f64,
    /// When it last got something: of two that have nothing, it is the other's turn.
    last: f64,
}

impl Share {
    fn add(&mut self, weight: f64) {
        self.used += weight.max(LEAST);
    }

    fn serve(&mut self, at: f64) {
        self.last = self.last.max(at);
    }
}

/// A task's place among those of its priority: the oldest first, or those of the oldest tree and in it the longest.
pub(crate) fn place(task: &FreeTask, by_path: bool) -> (Rank, Rank, Rank, TaskId) {
    let (created, none) = (Rank(task.created), Rank(0.0));
    if by_path {
        (Rank(task.tree), Rank(-task.expected), created, task.id)
    } else {
        (created, none, none, task.id)
    }
}

/// Sorts the tasks of a priority by what their group has by the time they are placed; tasks of one
/// group keep their order.
fn share<K: Hash + Eq>(
    tasks: &mut Vec<&FreeTask>,
    mut shares: HashMap<K, Share>,
    key: impl Fn(&FreeTask) -> K,
) {
    let mut tagged: Vec<(i64, Rank, Rank, &FreeTask)> = Vec::with_capacity(tasks.len());
    for task in tasks.drain(..) {
        let share = shares.entry(key(task)).or_default();
        tagged.push((task.priority, Rank(share.used), Rank(share.last), task));
        share.add(task.weight);
    }
    tagged.sort_by_key(|(priority, used, last, _)| (*priority, *used, *last));
    tasks.extend(tagged.into_iter().map(|(_, _, _, task)| task));
}
