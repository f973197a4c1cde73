//! Hosts by channel and arch, each bin ordered by rank.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet};

use toji_types::{ChannelId, HostId, arch};

use crate::check::can_take;
use crate::snapshot::{FreeTask, Host, Snapshot};

/// A number with a total order, for keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rank(pub(crate) f64);

impl PartialEq for Rank {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Rank {}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// A host's index in [`Bins::hosts`]; indexes follow ids.
pub(crate) type Index = usize;

/// What counts against a host's most jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Lane {
    /// A task of its own: all of the host's tasks count.
    Top,
    /// Part of another task: those that wait do not count.
    Subtask,
}

impl Lane {
    pub(crate) fn of(task: &FreeTask) -> Lane {
        if task.subtask { Lane::Subtask } else { Lane::Top }
    }
}

/// A host while tasks are placed.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) id: HostId,
    pub(crate) capacity: f64,
    pub(crate) load: f64,
    pub(crate) tasks: u32,
    /// Those of the tasks that only wait for their subtasks.
    pub(crate) waiting: u32,
    pub(crate) max_jobs: u32,
    /// Share of the waiting load that may come to this host, 0 to 1.
    pub(crate) demand: f64,
    bins: Vec<usize>,
}

impl Slot {
    /// Less is better (Koji's rule).
    pub(crate) fn rank(&self) -> Rank {
        Rank(self.load + f64::from(self.tasks) + self.demand)
    }

    pub(crate) fn free_capacity(&self) -> f64 {
        self.capacity - self.load
    }

    /// How many more tasks of the lane it may be given.
    ///
    /// Tasks that wait for their subtasks leave their places to subtasks: were these to count all, a host whose places
    /// are all taken by waiting parents would never begin what they wait for.
    pub(crate) fn places(&self, lane: Lane) -> u32 {
        let taken = match lane {
            Lane::Top => self.tasks,
            Lane::Subtask => self.tasks - self.waiting,
        };
        self.max_jobs.saturating_sub(taken)
    }

    pub(crate) fn has_job_room(&self, lane: Lane) -> bool {
        self.places(lane) > 0
    }
}

/// The enabled hosts of one channel and arch.
#[derive(Debug, Default)]
pub(crate) struct Bin {
    /// All of them.
    pub(crate) total: usize,
    /// Those that would be ready if their machines had more left.
    pub(crate) pressed: usize,
    /// The ready ones.
    pub(crate) ready: Vec<Index>,
    /// Largest capacity of a ready one.
    pub(crate) max_capacity: f64,
    top: Choice,
    subtask: Choice,
}

impl Bin {
    pub(crate) fn choice(&mut self, lane: Lane) -> &mut Choice {
        match lane {
            Lane::Top => &mut self.top,
            Lane::Subtask => &mut self.subtask,
        }
    }
}

/// The hosts of a bin for one lane.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// The ready ones with room for another task, best first.
    pub(crate) order: BTreeSet<(Rank, Index)>,
    /// A task that needed this much free capacity found none; as load only grows, neither will another.
    pub(crate) exhausted: Option<f64>,
}

/// All enabled hosts, and the bins they are in.
#[derive(Debug, Default)]
pub(crate) struct Bins<'a> {
    pub(crate) hosts: Vec<Slot>,
    pub(crate) by_id: HashMap<HostId, Index>,
    pub(crate) bins: Vec<Bin>,
    by_key: HashMap<(ChannelId, &'a str), usize>,
    channels: HashSet<ChannelId>,
}

impl<'a> Bins<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot) -> Self {
        let mut enabled: Vec<&Host> = snapshot.hosts.iter().filter(|h| h.enabled).collect();
        enabled.sort_by_key(|h| h.id);
        let mut all = Bins::default();
        for host in enabled {
            all.add(host, snapshot);
        }
        // sums depend on their order in the last bit
        let mut active: Vec<_> = snapshot.active.iter().collect();
        active.sort_by_key(|t| t.id);
        for task in active {
            let Some(&index) = task.host.as_ref().and_then(|id| all.by_id.get(id)) else {
                continue;
            };
            let slot = &mut all.hosts[index];
            slot.tasks += 1;
            if task.waiting {
                slot.waiting += 1;
            } else {
                slot.load += task.weight;
            }
        }
        all
    }

    fn add(&mut self, host: &'a Host, snapshot: &Snapshot) {
        let index = self.hosts.len();
        let ready = can_take(host, snapshot);
        let mut arches: Vec<&str> = host.arches.iter().map(|a| arch::canonical(a)).collect();
        arches.push("noarch");
        arches.sort_unstable();
        arches.dedup();
        let mut channels = host.channels.clone();
        channels.sort_unstable();
        channels.dedup();
        let mut bins = Vec::new();
        for channel in channels {
            self.channels.insert(channel);
            for arch in &arches {
                let number = *self.by_key.entry((channel, arch)).or_insert_with(|| {
                    self.bins.push(Bin::default());
                    self.bins.len() - 1
                });
                let bin = &mut self.bins[number];
                bin.total += 1;
                bin.pressed += usize::from(host.ready && host.pressure.is_some());
                if ready {
                    bin.ready.push(index);
                    bin.max_capacity = bin.max_capacity.max(host.capacity);
                }
                bins.push(number);
            }
        }
        self.by_id.insert(host.id, index);
        self.hosts.push(Slot {
            id: host.id,
            capacity: host.capacity,
            load: 0.0,
            tasks: 0,
            waiting: 0,
            max_jobs: host.max_jobs.filter(|n| *n > 0).unwrap_or(snapshot.config.max_jobs),
            demand: 0.0,
            bins,
        });
    }

    /// The bin for a task's channel and arch.
    pub(crate) fn find(&self, channel: ChannelId, arch: &str) -> Option<usize> {
        self.by_key.get(&(channel, arch::canonical(arch))).copied()
    }

    /// Whether any enabled host serves the channel.
    pub(crate) fn has_channel(&self, channel: ChannelId) -> bool {
        self.channels.contains(&channel)
    }

    /// Orders the bins, once demand is known.
    pub(crate) fn order(&mut self) {
        for bin in &mut self.bins {
            for lane in [Lane::Top, Lane::Subtask] {
                let with_room = bin.ready.iter().filter(|i| self.hosts[**i].has_job_room(lane));
                let order = with_room.map(|i| (self.hosts[*i].rank(), *i)).collect();
                bin.choice(lane).order = order;
            }
        }
    }

    /// Puts a task's load on a host, and moves the host within its bins.
    pub(crate) fn place(&mut self, index: Index, weight: f64) {
        let slot = &mut self.hosts[index];
        let before = slot.rank();
        slot.load += weight;
        slot.tasks += 1;
        let after = slot.rank();
        for number in &slot.bins {
            for lane in [Lane::Top, Lane::Subtask] {
                let order = &mut self.bins[*number].choice(lane).order;
                order.remove(&(before, index));
                if slot.has_job_room(lane) {
                    order.insert((after, index));
                }
            }
        }
    }
}
