//! How much of the waiting load may come to each host.

use std::collections::HashMap;

use crate::bins::{Bins, Index, Lane, Rank};
use crate::decide::Candidate;

/// Sets each host's share: a task's weight is split evenly among the hosts that could take it now.
///
/// Tasks of one bin see its hosts sorted by free capacity, so a task adds to a run of that list, and the
/// runs are summed at the end.
pub(crate) fn spread(bins: &mut Bins<'_>, tasks: &[Candidate<'_>]) {
    let mut sorted: HashMap<(usize, Lane), BinDemand> = HashMap::new();
    let mut demand = vec![0.0; bins.hosts.len()];
    for task in tasks {
        let Some(number) = task.bin else { continue };
        let lane = Lane::of(task.task);
        let entry =
            sorted.entry((number, lane)).or_insert_with(|| BinDemand::new(bins, number, lane));
        let count = entry.above(task.min_free);
        let refused: Vec<Index> =
            task.refused.iter().copied().filter(|i| entry.holds(bins, *i, task.min_free)).collect();
        let options = count - refused.len();
        if options == 0 {
            continue;
        }
        let share = task.weight / options as f64;
        entry.shares[count - 1] += share;
        for index in refused {
            demand[index] -= share;
        }
    }
    let mut numbers: Vec<(usize, Lane)> = sorted.keys().copied().collect();
    numbers.sort_unstable();
    for number in numbers {
        let entry = &sorted[&number];
        let mut sum = 0.0;
        for (index, share) in entry.hosts.iter().zip(&entry.shares).rev() {
            sum += share;
            demand[*index] += sum;
        }
    }
    let total: f64 = demand.iter().sum();
    if total > 0.0 {
        for (slot, d) in bins.hosts.iter_mut().zip(demand) {
            slot.demand = (d / total).max(0.0);
        }
    }
}

/// The hosts of a bin that can take a task, most free capacity first.
struct BinDemand {
    hosts: Vec<Index>,
    free: Vec<f64>,
    /// At position `k`: the shares of tasks that the first `k + 1` hosts could take.
    shares: Vec<f64>,
}

impl BinDemand {
    fn new(bins: &Bins<'_>, number: usize, lane: Lane) -> Self {
        let mut hosts: Vec<Index> = bins.bins[number]
            .ready
            .iter()
            .copied()
            .filter(|i| bins.hosts[*i].has_job_room(lane))
            .collect();
        hosts.sort_by_key(|i| (std::cmp::Reverse(Rank(bins.hosts[*i].free_capacity())), *i));
        let free = hosts.iter().map(|i| bins.hosts[*i].free_capacity()).collect();
        let shares = vec![0.0; hosts.len()];
        BinDemand { hosts, free, shares }
    }

    /// How many hosts have more free capacity than this.
    fn above(&self, min_free: f64) -> usize {
        self.free.partition_point(|f| *f > min_free)
    }

    fn holds(&self, bins: &Bins<'_>, index: Index, min_free: f64) -> bool {
        let slot = &bins.hosts[index];
        let key = (std::cmp::Reverse(Rank(slot.free_capacity())), index);
        slot.free_capacity() > min_free
            && self
                .hosts
                .binary_search_by_key(&key, |i| {
                    (std::cmp::Reverse(Rank(bins.hosts[*i].free_capacity())), *i)
                })
                .is_ok()
    }
}
