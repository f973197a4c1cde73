//! Placing free tasks.

use std::collections::HashMap;

use toji_types::TaskId;

use crate::bins::{Bins, Index, Lane};
use crate::check::{Decision, WaitReason, check_active};
use crate::demand::spread;
use crate::order::order;
use crate::snapshot::{FreeTask, Snapshot};

/// A free task with what placing it needs.
pub(crate) struct Candidate<'a> {
    pub(crate) task: &'a FreeTask,
    pub(crate) weight: f64,
    /// The host must have more free capacity than this.
    pub(crate) min_free: f64,
    pub(crate) bin: Option<usize>,
    /// The hosts that refused it, without repetition.
    pub(crate) refused: &'a [Index],
}

/// Decides what to do now: hosts to mark, tasks to assign or to leave waiting, tasks to take back.
///
/// The same snapshot gives the same decisions, whatever the order of its lists. Each free task gets
/// exactly one `Assign` or `Wait`.
pub fn decide(snapshot: &Snapshot) -> Vec<Decision> {
    let mut decisions = Vec::new();
    mark_silent_hosts(snapshot, &mut decisions);
    let mut bins = Bins::new(snapshot);
    let refusals = refusals(snapshot, &bins);
    let candidates = candidates(snapshot, &bins, &refusals);
    spread(&mut bins, &candidates);
    bins.order();
    for candidate in &candidates {
        let task = candidate.task.id;
        decisions.push(match place(&mut bins, candidate) {
            Some(index) => Decision::Assign { task, host: bins.hosts[index].id },
            None => Decision::Wait { task, reason: explain(&bins, candidate) },
        });
    }
    check_active(snapshot, &mut decisions);
    decisions
}

fn mark_silent_hosts(snapshot: &Snapshot, decisions: &mut Vec<Decision>) {
    let mut silent: Vec<_> = snapshot
        .hosts
        .iter()
        .filter(|h| h.enabled && h.ready && crate::check::is_silent(h, snapshot))
        .map(|h| h.id)
        .collect();
    silent.sort_unstable();
    decisions.extend(silent.iter().map(|host| Decision::MarkNotReady { host: *host }));
}

/// The refusals that still hold, by task.
pub(crate) fn refusals(snapshot: &Snapshot, bins: &Bins<'_>) -> HashMap<TaskId, Vec<Index>> {
    let cutoff = snapshot.now - snapshot.config.soft_refusal_timeout;
    let mut map: HashMap<TaskId, Vec<Index>> = HashMap::new();
    for refusal in &snapshot.refusals {
        if refusal.soft && refusal.time < cutoff {
            continue;
        }
        if let Some(index) = bins.by_id.get(&refusal.host) {
            map.entry(refusal.task).or_default().push(*index);
        }
    }
    for list in map.values_mut() {
        list.sort_unstable();
        list.dedup();
    }
    map
}

/// The free tasks, the first to be placed first.
fn candidates<'a>(
    snapshot: &'a Snapshot,
    bins: &Bins<'_>,
    refusals: &'a HashMap<TaskId, Vec<Index>>,
) -> Vec<Candidate<'a>> {
    order(snapshot)
        .into_iter()
        .map(|task| Candidate {
            task,
            weight: task.weight.max(0.0),
            min_free: min_free(task, snapshot),
            bin: bins.find(task.channel, &task.arch),
            refused: refusals.get(&task.id).map_or(&[], Vec::as_slice),
        })
        .collect()
}

/// The host of a task must have more free capacity than this.
pub(crate) fn min_free(task: &FreeTask, snapshot: &Snapshot) -> f64 {
    (task.weight - snapshot.config.capacity_overcommit).max(0.0)
}

/// Puts a task on the best host that has room for it.
fn place(bins: &mut Bins<'_>, candidate: &Candidate<'_>) -> Option<Index> {
    let number = candidate.bin?;
    let bin = bins.bins[number].choice(Lane::of(candidate.task));
    if bin.exhausted.is_some_and(|free| candidate.min_free >= free) {
        return None;
    }
    let mut fits = bin
        .order
        .iter()
        .map(|(_, index)| *index)
        .filter(|i| bins.hosts[*i].free_capacity() > candidate.min_free)
        .peekable();
    let any = fits.peek().is_some();
    let found = fits.find(|i| candidate.refused.binary_search(i).is_err());
    if !any {
        bin.exhausted = Some(candidate.min_free);
    }
    let index = found?;
    bins.place(index, candidate.weight);
    Some(index)
}

fn explain(bins: &Bins<'_>, candidate: &Candidate<'_>) -> WaitReason {
    let Some(number) = candidate.bin else {
        return if bins.has_channel(candidate.task.channel) {
            WaitReason::NoHostWithArch
        } else {
            WaitReason::NoHostInChannel
        };
    };
    let bin = &bins.bins[number];
    let hosts = bin.ready.len();
    let refused = || {
        let of_bin = |i: &&Index| bin.ready.binary_search(i).is_ok();
        candidate.refused.iter().filter(of_bin).count()
    };
    if hosts == 0 && bin.pressed > 0 {
        WaitReason::Pressed { hosts: bin.pressed }
    } else if hosts == 0 {
        WaitReason::NotReady { hosts: bin.total }
    } else if refused() == hosts {
        WaitReason::Refused { hosts }
    } else if bin.max_capacity <= candidate.min_free {
        WaitReason::TooHeavy { hosts }
    } else {
        WaitReason::Busy { hosts }
    }
}
