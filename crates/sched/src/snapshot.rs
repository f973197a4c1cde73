//! What the scheduler sees.

use toji_types::{ChannelId, HostId, TaskId, UserId};

/// The scheduler's settings; the defaults are a Koji hub's. Times are in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Most tasks of a host that does not say otherwise (`MaxJobs`).
    ///
    /// Tasks that wait for their subtasks count for other tasks, as in Koji, but not for subtasks: a host would never
    /// begin what its own tasks wait for.
    pub max_jobs: u32,
    /// How far load may pass capacity (`CapacityOvercommit`).
    pub capacity_overcommit: f64,
    /// Silence after which a host is not ready (`ReadyTimeout`).
    pub ready_timeout: f64,
    /// How long a host may leave a task unopened (`AssignTimeout`).
    pub assign_timeout: f64,
    /// How long a soft refusal holds (`SoftRefusalTimeout`).
    pub soft_refusal_timeout: f64,
    /// Silence after which a host's open tasks are taken back (`HostTimeout`).
    pub host_timeout: f64,
    /// Within a priority, share the hosts evenly among channels and their users, instead of oldest first.
    pub fair_shares: bool,
    /// Within a build, what is expected to take longest goes first.
    pub critical_path: bool,
    /// How long the live connection of a host may be broken before its tasks are taken back.
    pub lost_timeout: f64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            max_jobs: 15,
            capacity_overcommit: 5.0,
            ready_timeout: 180.0,
            assign_timeout: 300.0,
            soft_refusal_timeout: 900.0,
            host_timeout: 900.0,
            fair_shares: true,
            critical_path: true,
            lost_timeout: 20.0,
        }
    }
}

/// A builder.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Its id.
    pub id: HostId,
    /// Whether it may get new tasks.
    pub enabled: bool,
    /// Whether it said that it can take tasks.
    pub ready: bool,
    /// When it last spoke, in seconds since 1970.
    pub updated: Option<f64>,
    /// Since when its live connection is broken; `None` for one that is connected or that only polls.
    pub lost: Option<f64>,
    /// Which of its machine's resources are too short for another task, in words.
    pub pressure: Option<String>,
    /// Load that it may carry.
    pub capacity: f64,
    /// Most tasks at a time, where it has its own limit.
    pub max_jobs: Option<u32>,
    /// Its arches; `noarch` goes without saying.
    pub arches: Vec<String>,
    /// The enabled channels that it serves.
    pub channels: Vec<ChannelId>,
}

/// A task that waits for a host.
#[derive(Debug, Clone, PartialEq)]
pub struct FreeTask {
    /// Its id.
    pub id: TaskId,
    /// Who made it.
    pub owner: UserId,
    /// The channel whose hosts may take it.
    pub channel: ChannelId,
    /// The arch that a host needs; any host has `noarch`.
    pub arch: String,
    /// Whether it is part of another task. See [`Config::max_jobs`].
    pub subtask: bool,
    /// The load that it brings.
    pub weight: f64,
    /// Lower numbers go first.
    pub priority: i64,
    /// When it was made, in seconds since 1970; earlier goes first within a priority.
    pub created: f64,
    /// When the first task of its tree (a build) was made.
    pub tree: f64,
    /// Seconds that it is expected to take; 0 where nothing is known.
    pub expected: f64,
}

/// How far a task on a host has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActiveState {
    /// Given to the host, not yet opened.
    Assigned,
    /// The host works on it.
    Open,
}

/// A task that a host has.
#[derive(Debug, Clone, PartialEq)]
pub struct ActiveTask {
    /// Its id.
    pub id: TaskId,
    /// Who made it.
    pub owner: UserId,
    /// Its channel.
    pub channel: ChannelId,
    /// The host; a task without one is a fault that the scheduler mends.
    pub host: Option<HostId>,
    /// Assigned or open.
    pub state: ActiveState,
    /// Whether it only waits for its subtasks, and so brings no load.
    pub waiting: bool,
    /// The load that it brings.
    pub weight: f64,
    /// When the scheduler assigned it, in seconds since 1970. `None` for one that an administrator
    /// assigned: it is left alone.
    pub assigned: Option<f64>,
}

/// A host's refusal of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The task.
    pub task: TaskId,
    /// The host.
    pub host: HostId,
    /// Whether it lapses after [`Config::soft_refusal_timeout`].
    pub soft: bool,
    /// When, in seconds since 1970.
    pub time: f64,
}

/// When a user last got a host in a channel; of several entries the latest counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Served {
    /// The channel.
    pub channel: ChannelId,
    /// The user.
    pub owner: UserId,
    /// When, in seconds since 1970.
    pub at: f64,
}

/// All that a decision depends on; the order within each list does not matter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Seconds since 1970.
    pub now: f64,
    /// Since when hosts can be heard: before, their silence says nothing.
    pub since: f64,
    /// Settings.
    pub config: Config,
    /// All hosts.
    pub hosts: Vec<Host>,
    /// Tasks to place.
    pub free: Vec<FreeTask>,
    /// Tasks that hosts have.
    pub active: Vec<ActiveTask>,
    /// Refusals, lapsed ones too.
    pub refusals: Vec<Refusal>,
    /// Who got hosts lately.
    pub served: Vec<Served>,
}
