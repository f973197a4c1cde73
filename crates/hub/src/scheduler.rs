//! The scheduler's loop: wait for a signal, read what has changed, decide, apply.
//!
//! A run reads and decides without any lock. Only if something is to be done it takes the lock `scheduler`
//! and applies; if another hub has applied its own decisions meanwhile, it reads and decides again first. So
//! idle runs cost no writer, and two hubs never fill the same host. Of several hubs the one that has the
//! lease runs; the lock keeps what it does from Koji's hubs and from who asks for a run.

mod apply;
pub(crate) mod arch;
pub(crate) mod explain;
mod lease;
mod memory;
mod snapshot;

use std::future::Future;
use std::time::Duration;

use toji_bus::Topic;
use toji_sched::{Decision, Snapshot, WaitReason, decide};
use toji_types::TaskId;
use toji_value::Fault;

use crate::{Call, Hub};

/// The pause after a failed run; it doubles with each further one.
struct Backoff {
    next: Duration,
}

impl Backoff {
    const SHORTEST: Duration = Duration::from_millis(200);
    const LONGEST: Duration = Duration::from_secs(30);

    fn new() -> Self {
        Backoff { next: Backoff::SHORTEST }
    }

    fn failed(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(Backoff::LONGEST);
        pause
    }

    fn went_well(&mut self) {
        self.next = Backoff::SHORTEST;
    }
}

/// The name in Koji's `locks` table.
pub(crate) const LOCK: &str = "scheduler";

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Tasks given to hosts.
    pub assigned: usize,
    /// Tasks taken back from hosts.
    pub freed: usize,
    /// Hosts marked not ready.
    pub silent: usize,
    /// Tasks that wait, and why.
    pub waiting: Vec<(TaskId, WaitReason)>,
}

impl Report {
    /// Whether anything was changed.
    pub fn acted(&self) -> bool {
        self.assigned + self.freed + self.silent > 0
    }
}

/// Runs the scheduler until `stop`: at each signal, when time alone changes something, and every `RunInterval`.
///
/// Signals that come during a run become one further run. A failed run is tried again after a pause.
pub async fn serve(hub: Hub, stop: impl Future<Output = ()>) {
    let mut signal = hub.bus.listen(Topic::Scheduler);
    let mut lease = lease::Lease::new(&hub);
    let mut memory = memory::Memory::default();
    let mut backoff = Backoff::new();
    tokio::pin!(stop);
    loop {
        if !lease.held(&hub).await {
            memory.forget();
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(lease.look()) => continue,
            }
        }
        let (rest, failed) = match memory.round(&hub).await {
            Ok(memory::Round { assigned, waiting, rest }) => {
                tracing::debug!(assigned, waiting, "scheduled");
                backoff.went_well();
                (rest, false)
            }
            Err(fault) => {
                tracing::warn!(%fault, "scheduler run failed");
                (backoff.failed(), true)
            }
        };
        tokio::select! {
            () = &mut stop => return lease.release(&hub).await,
            () = signal.wait(), if !failed => {}
            () = lease.due(), if !failed => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
}

/// One run over everything, in transactions of its own; with `tidy` it also forgets what is out of date.
///
/// # Errors
/// When the database fails; nothing is changed then.
pub async fn run_once(hub: &Hub, tidy: bool) -> Result<Report, Fault> {
    let mut tx = hub.db.begin();
    let before = toji_db::scheduler::last_run(&mut tx).await?;
    let seen = snapshot::read(&mut tx, &hub.config.scheduler).await?;
    tx.rollback().await?;
    let decisions = decide(&seen);
    if !tidy && decisions.iter().all(|d| matches!(d, Decision::Wait { .. })) {
        return Ok(apply::report(&decisions));
    }
    let mut call = hub.internal().await?;
    call.tx.lock(LOCK).await?;
    let report = if toji_db::scheduler::last_run(&mut call.tx).await? == before {
        apply_all(&mut call, &seen, &decisions, tidy).await?
    } else {
        // another hub has decided meanwhile
        cycle(&mut call, tidy).await?
    };
    call.commit().await?;
    Ok(report)
}

/// One run within a call, as `scheduler.doRun` asks for it; tells whether it ran.
///
/// # Errors
/// When the database fails.
pub async fn run_now(call: &mut Call, force: bool) -> Result<bool, Fault> {
    if force {
        call.tx.lock(LOCK).await?;
    } else if !call.tx.try_lock(LOCK).await? {
        return Ok(false);
    }
    let now = toji_db::scheduler::now(&mut call.tx).await?;
    let last = toji_db::scheduler::last_run(&mut call.tx).await?.unwrap_or(0.0);
    let since = now - last;
    if !force && (0.0..call.hub.config.scheduler.run_interval).contains(&since) {
        return Ok(false);
    }
    cycle(call, true).await?;
    Ok(true)
}

/// Takes a snapshot, decides and applies; the lock is held.
async fn cycle(call: &mut Call, tidy: bool) -> Result<Report, Fault> {
    let hub = call.hub.clone();
    let seen = snapshot::read(&mut call.tx, &hub.config.scheduler).await?;
    let decisions = decide(&seen);
    apply_all(call, &seen, &decisions, tidy).await
}

async fn apply_all(
    call: &mut Call,
    seen: &Snapshot,
    decisions: &[Decision],
    tidy: bool,
) -> Result<Report, Fault> {
    let report = apply::all(call, decisions).await?;
    if tidy {
        apply::tidy(call, seen).await?;
    }
    toji_db::scheduler::set_last_run(&mut call.tx, seen.now).await?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::Backoff;

    #[test]
    fn the_scheduler_backs_off_when_it_keeps_failing() {
        let mut backoff = Backoff::new();
        let pauses: Vec<u64> = (0..10).map(|_| backoff.failed().as_millis() as u64).collect();
        assert_eq!(pauses[..4], [200, 400, 800, 1600]);
        assert_eq!(pauses[8..], [30_000, 30_000]);
        backoff.went_well();
        assert_eq!(backoff.failed(), Backoff::SHORTEST);
    }
}
