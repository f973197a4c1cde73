//! Which free task is placed first.

use std::collections::HashMap;
use std::hash::Hash;

use toji_types::{ChannelId, UserId};

use crate::bins::Rank;
use crate::snapshot::{FreeTask, Snapshot};

/// The least that a task counts in a share, so that weightless tasks cannot crowd others out.
const LEAST: f64 = 0.1;

/// The free tasks, the first to be placed first.
///
/// Lower priority numbers go first, as in Koji. Within a priority Koji takes the oldest first; with
/// fair shares it is the oldest of the channel, and in it of the user, that has the least load running
/// and placed so far (start-time fair queueing), so that nobody waits behind another's thousand tasks.
pub(crate) fn order(snapshot: &Snapshot) -> Vec<&FreeTask> {
    let mut tasks: Vec<&FreeTask> = snapshot.free.iter().collect();
    tasks.sort_by(|a, b| {
        (a.priority.cmp(&b.priority)).then(a.created.total_cmp(&b.created)).then(a.id.cmp(&b.id))
    });
    if snapshot.config.fair_shares {
        let mut users: HashMap<(ChannelId, UserId), f64> = HashMap::new();
        let mut channels: HashMap<ChannelId, f64> = HashMap::new();
        let mut active: Vec<_> = snapshot.active.iter().filter(|t| !t.waiting).collect();
        // sums depend on their order in the last bit
        active.sort_by_key(|t| t.id);
        for task in active {
            *users.entry((task.channel, task.owner)).or_default() += task.weight.max(LEAST);
            *channels.entry(task.channel).or_default() += task.weight.max(LEAST);
        }
        share(&mut tasks, users, |task| (task.channel, task.owner));
        share(&mut tasks, channels, |task| task.channel);
    }
    tasks
}

/// Sorts the tasks of a priority by what their group has by the time they are placed; tasks of one
/// group keep their order.
fn share<K: Hash + Eq>(
    tasks: &mut Vec<&FreeTask>,
    mut used: HashMap<K, f64>,
    key: impl Fn(&FreeTask) -> K,
) {
    let mut tagged: Vec<(i64, Rank, &FreeTask)> = Vec::with_capacity(tasks.len());
    for task in tasks.drain(..) {
        let clock = used.entry(key(task)).or_default();
        tagged.push((task.priority, Rank(*clock), task));
        *clock += task.weight.max(LEAST);
    }
    tagged.sort_by_key(|(priority, tag, _)| (*priority, *tag));
    tasks.extend(tagged.into_iter().map(|(_, _, task)| task));
}
