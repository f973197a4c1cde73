//! Free tasks in lines, so that a run looks at those that could be placed and not at all that wait.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use toji_types::{ChannelId, TaskId, UserId, arch};

use crate::bins::{Bins, Index, Lane, Rank};
use crate::decide::{min_free, refusals};
use crate::order::place;
use crate::snapshot::{FreeTask, Snapshot};

/// Tasks of a line are alike but for their weights and ages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    priority: i64,
    channel: ChannelId,
    arch: String,
    owner: UserId,
}

type Place = (Rank, Rank, Rank, TaskId);

/// The free tasks, kept from run to run.
#[derive(Debug, Clone, Default)]
pub struct Queues {
    tasks: HashMap<TaskId, FreeTask>,
    lines: BTreeMap<Line, BTreeSet<Place>>,
    by_path: bool,
}

impl Queues {
    /// No tasks; `critical_path` is that of the configuration.
    pub fn new(critical_path: bool) -> Self {
        Queues { by_path: critical_path, ..Queues::default() }
    }

    /// Adds a task, in the place of an earlier one of its number.
    pub fn insert(&mut self, task: FreeTask) {
        self.remove(task.id);
        self.lines.entry(line(&task)).or_default().insert(place(&task, self.by_path));
        self.tasks.insert(task.id, task);
    }

    /// Takes a task out, if it is there.
    pub fn remove(&mut self, id: TaskId) -> Option<FreeTask> {
        let task = self.tasks.remove(&id)?;
        let line = line(&task);
        if let Some(places) = self.lines.get_mut(&line) {
            places.remove(&place(&task, self.by_path));
            if places.is_empty() {
                self.lines.remove(&line);
            }
        }
        Some(task)
    }

    /// How many tasks wait.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The tasks that some host of the snapshot could take now: of each line not more than its hosts have places for,
    /// nor more than `most`.
    ///
    /// Deciding over these, applying, and asking again until nothing is assigned leaves no task waiting that a host
    /// could take. The snapshot's own free tasks are not looked at.
    pub fn heads(&self, snapshot: &Snapshot, most: usize) -> Vec<FreeTask> {
        let bins = Bins::new(snapshot);
        let refused = refusals(snapshot, &bins);
        let mut rooms: HashMap<usize, [Room; 2]> = HashMap::new();
        let mut heads = Vec::new();
        for (line, places) in &self.lines {
            let Some(bin) = bins.find(line.channel, &line.arch) else { continue };
            let room = rooms.entry(bin).or_insert_with(|| {
                [Lane::Top, Lane::Subtask].map(|lane| Room::new(&bins, bin, lane))
            });
            let [top, subtask] = &*room;
            let tasks = places.iter().filter_map(|place| self.tasks.get(&place.3));
            let fitting = tasks.filter(|task| {
                let refused = refused.get(&task.id).map_or(&[][..], Vec::as_slice);
                let room = if task.subtask { subtask } else { top };
                room.fits(min_free(task, snapshot), refused)
            });
            heads.extend(fitting.take(subtask.places.min(most)).cloned());
        }
        heads
    }
}

fn line(task: &FreeTask) -> Line {
    Line {
        priority: task.priority,
        channel: task.channel,
        arch: arch::canonical(&task.arch).to_owned(),
        owner: task.owner,
    }
}

/// What the hosts of a bin have left.
struct Room {
    /// Tasks that they may be given.
    places: usize,
    /// Their free capacities, the largest first.
    hosts: Vec<(f64, Index)>,
}

impl Room {
    fn new(bins: &Bins<'_>, bin: usize, lane: Lane) -> Room {
        let with_room = bins.bins[bin].ready.iter().map(|index| (&bins.hosts[*index], *index));
        let mut room = Room { places: 0, hosts: Vec::new() };
        for (slot, index) in with_room {
            if slot.has_job_room(lane) && slot.free_capacity() > 0.0 {
                room.places += slot.places(lane) as usize;
                room.hosts.push((slot.free_capacity(), index));
            }
        }
        room.hosts.sort_by_key(|(free, index)| (std::cmp::Reverse(Rank(*free)), *index));
        room
    }

    fn fits(&self, min_free: f64, refused: &[Index]) -> bool {
        let able = self.hosts.iter().take_while(|(free, _)| *free > min_free);
        let mut able = able.filter(|(_, index)| refused.binary_search(index).is_err());
        able.next().is_some()
    }
}
