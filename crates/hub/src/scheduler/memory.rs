//! What the scheduler keeps from run to run: it reads what has changed since, by the outbox, and not all that waits.

use std::collections::HashMap;
use std::time::Duration;

use toji_db::scheduler::{self as sql, Moment};
use toji_db::{Engine, Tx};
use toji_sched::{Decision, Queues, Served, Snapshot, decide, next_check};
use toji_types::{ChannelId, TaskId, TaskState, UserId};
use toji_value::Fault;

use super::snapshot::{self, ACTIVE};
use super::{LOCK, Report, apply, apply_all};
use crate::Hub;

/// Tasks of a line that one run looks at: a larger run would keep more urgent tasks waiting.
const MOST: usize = 500;
/// More changes than this are read as a whole.
const MANY: i64 = 20_000;
/// How old what is known of hosts may be: one that only polls tells no event of every report.
const HOSTS_AGE: f64 = 20.0;
/// How often everything is read, for what no event tells: another program at work on the database.
const FULL_SHARED: f64 = 30.0;
const FULL_ALONE: f64 = 300.0;

/// The scheduler's memory.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Whether it holds anything.
    valid: bool,
    /// All but the free tasks.
    seen: Snapshot,
    queues: Queues,
    served: HashMap<(ChannelId, UserId), f64>,
    last: Option<Moment>,
    full_at: f64,
    hosts_at: f64,
    tidy_at: f64,
    /// The next moment at which time alone changes something.
    next: Option<f64>,
}

/// What a round of runs did.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) assigned: usize,
    pub(super) waiting: usize,
    /// How long nothing will be to do without a signal.
    pub(super) rest: Duration,
}

/// What came of a run.
enum Run {
    /// Nothing has changed since the last one.
    Idle,
    /// Somebody else has decided meanwhile.
    Overtaken,
    Done(Report),
}

impl Memory {
    /// Forgets everything: somebody else schedules meanwhile.
    pub(super) fn forget(&mut self) {
        self.valid = false;
    }

    /// Runs until nothing more can be assigned.
    ///
    /// # Errors
    /// When the database fails; then everything is read anew.
    pub(super) async fn round(&mut self, hub: &Hub) -> Result<Round, Fault> {
        let mut round = Round::default();
        loop {
            match self.run(hub).await {
                Ok(Run::Idle) => break,
                Ok(Run::Overtaken) => self.full_at = f64::NEG_INFINITY,
                Ok(Run::Done(report)) => {
                    round.assigned += report.assigned;
                    if !report.acted() {
                        break;
                    }
                }
                Err(fault) => {
                    self.valid = false;
                    return Err(fault);
                }
            }
        }
        round.waiting = self.queues.len();
        round.rest = self.rest(hub);
        Ok(round)
    }

    fn rest(&self, hub: &Hub) -> Duration {
        let now = self.last.map_or(0.0, |last| last.now);
        let tidy = self.tidy_at + interval(hub) - now;
        // a little later than the moment: what it changes is changed then
        let next = self.next.map_or(f64::INFINITY, |at| at - now + 0.05);
        Duration::from_secs_f64(tidy.min(next).clamp(0.05, 86_400.0))
    }

    async fn run(&mut self, hub: &Hub) -> Result<Run, Fault> {
        let mut tx = hub.db.begin();
        let moment = sql::moment(&mut tx).await?;
        let tidy = !self.valid || moment.now - self.tidy_at >= interval(hub);
        if !self.catch_up(&mut tx, hub, moment).await? && !tidy {
            return Ok(Run::Idle);
        }
        tx.rollback().await?;
        self.seen.now = moment.now;
        self.seen.served = self.served();
        self.seen.free = self.queues.heads(&self.seen, MOST);
        let decisions = decide(&self.seen);
        self.next = next_check(&self.seen);
        if !tidy && decisions.iter().all(|d| matches!(d, Decision::Wait { .. })) {
            return Ok(Run::Done(apply::report(&decisions)));
        }
        self.apply(hub, &decisions, tidy, moment).await
    }

    async fn apply(
        &mut self,
        hub: &Hub,
        decisions: &[Decision],
        tidy: bool,
        moment: Moment,
    ) -> Result<Run, Fault> {
        let mut call = hub.internal().await?;
        call.tx.lock(LOCK).await?;
        if sql::last_run(&mut call.tx).await? != moment.last_run {
            return Ok(Run::Overtaken);
        }
        let report = apply_all(&mut call, &self.seen, decisions, tidy).await?;
        call.commit().await?;
        if let Some(last) = &mut self.last {
            last.last_run = Some(moment.now);
        }
        if tidy {
            self.tidy_at = moment.now;
        }
        self.note(decisions, moment.now);
        Ok(Run::Done(report))
    }

    /// Remembers what no event will tell.
    fn note(&mut self, decisions: &[Decision], now: f64) {
        let owners: HashMap<TaskId, (ChannelId, UserId)> =
            self.seen.free.iter().map(|t| (t.id, (t.channel, t.owner))).collect();
        for decision in decisions {
            match decision {
                Decision::Assign { task, .. } => {
                    self.served.extend(owners.get(task).map(|key| (*key, now)));
                }
                Decision::MarkNotReady { host } => {
                    let known = self.seen.hosts.iter_mut().filter(|known| known.id == *host);
                    known.for_each(|known| known.ready = false);
                }
                Decision::Wait { .. } | Decision::Free { .. } => {}
            }
        }
    }

    fn served(&self) -> Vec<Served> {
        let entries = self.served.iter();
        entries
            .map(|((channel, owner), at)| Served { channel: *channel, owner: *owner, at: *at })
            .collect()
    }

    /// Reads what has changed; tells whether there is anything to decide anew.
    async fn catch_up(&mut self, tx: &mut Tx, hub: &Hub, moment: Moment) -> Result<bool, Fault> {
        let shared = hub.db.engine() == Engine::Postgres;
        let full = if shared { FULL_SHARED } else { FULL_ALONE };
        let foreign = self.last.is_none_or(|last| last.last_run != moment.last_run);
        let seq = self.last.map_or(0, |last| last.seq);
        let due = self.next.is_some_and(|at| at < moment.now);
        if !self.valid || foreign || moment.now - self.full_at > full || moment.seq - seq > MANY {
            self.read_all(tx, hub, moment).await?;
            return Ok(true);
        }
        if moment.seq == seq && !due {
            return Ok(false);
        }
        let keys = toji_db::outbox::keys(tx, seq, moment.seq).await?;
        if i64::try_from(keys.len()).unwrap_or(0) != moment.seq - seq {
            // some have been trimmed away meanwhile
            self.read_all(tx, hub, moment).await?;
            return Ok(true);
        }
        let hosts = keys.iter().any(|key| key.starts_with("host:") || key.starts_with("channel:"));
        if hosts || due || moment.now - self.hosts_at > HOSTS_AGE {
            self.seen.hosts = snapshot::hosts(tx).await?;
            self.hosts_at = moment.now;
        }
        let tasks = keys.iter().filter_map(|key| key.strip_prefix("task:")?.parse().ok());
        let mut tasks: Vec<i64> = tasks.collect();
        tasks.sort_unstable();
        tasks.dedup();
        self.read_tasks(tx, &tasks).await?;
        self.last = Some(moment);
        Ok(true)
    }

    async fn read_all(&mut self, tx: &mut Tx, hub: &Hub, moment: Moment) -> Result<(), Fault> {
        let mut seen = snapshot::read(tx, &hub.config.scheduler).await?;
        self.queues = Queues::new(seen.config.critical_path);
        seen.free.drain(..).for_each(|task| self.queues.insert(task));
        for served in &seen.served {
            let at = self.served.entry((served.channel, served.owner)).or_default();
            *at = at.max(served.at);
        }
        // Whom this process has not heard is not lost before it could have been heard.
        seen.since = if self.valid { self.seen.since } else { moment.now };
        self.seen = seen;
        self.last = Some(moment);
        (self.full_at, self.hosts_at, self.valid) = (moment.now, moment.now, true);
        Ok(())
    }

    /// Reads these tasks anew, with their refusals.
    async fn read_tasks(&mut self, tx: &mut Tx, ids: &[i64]) -> Result<(), Fault> {
        if ids.is_empty() {
            return Ok(());
        }
        let changed = |id: TaskId| ids.binary_search(&id.0).is_ok();
        self.seen.active.retain(|task| !changed(task.id));
        self.seen.refusals.retain(|refusal| !changed(refusal.task));
        for id in ids {
            self.queues.remove(TaskId(*id));
        }
        let mut free = Vec::new();
        for row in sql::tasks(tx, ids).await? {
            let state: i64 = row.get_opt("state")?.unwrap_or(0);
            if state == TaskState::Free as i64 {
                let task = snapshot::free_task(&row)?;
                free.push(task.id.0);
                self.queues.insert(task);
            } else if ACTIVE.contains(&state) {
                self.seen.active.push(snapshot::active_task(&row)?);
            }
        }
        if !free.is_empty() {
            for row in sql::refusals_of(tx, &free).await? {
                self.seen.refusals.push(snapshot::refusal(&row)?);
            }
        }
        Ok(())
    }
}

fn interval(hub: &Hub) -> f64 {
    hub.config.scheduler.run_interval.clamp(1.0, 86_400.0)
}
