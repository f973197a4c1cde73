//! The job that makes the metadata of RPMs that have none, as in a store that another hub has filled.
//!
//! It goes from the newest RPM down, a small batch at a time, and notes each batch together with what it has made: after an
//! interruption at most one batch is read again. An RPM that cannot be read is noted with the reason and left alone.

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use toji_bus::Topic;
use toji_db::{Engine, Row, Time, fragment as sql};
use toji_types::BuildState;
use toji_value::{Fault, Value, map};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::wanted::{Read, Wanted};
use crate::lease::Lease;
use crate::{Call, Hub};

/// Time between two looks whether there is something to do: an RPM may come in by another hub.
const LOOK: Duration = Duration::from_secs(600);
/// Time until the next try after a failure of the database or of the store, and while another hub is at work.
const PAUSE: Duration = Duration::from_secs(10);
/// Seconds for which the work is another hub's unless that hub says that it is at it.
const LEASE: f64 = 30.0;
/// Time between two lines in the log.
const TELL: Duration = Duration::from_secs(60);
/// The lease's name.
const NAME: &str = "metadata";
/// RPMs of a batch.
const BATCH: i64 = 64;
/// Numbers of RPMs that a statement looks through.
const SPAN: i64 = 5_000;
/// Threads that may read at a time.
pub(crate) const MOST_WORKERS: i64 = 64;

/// Works until `stop`.
pub async fn serve(hub: Hub, stop: impl Future<Output = ()>) {
    let mut signal = hub.bus.listen(Topic::Metadata);
    let mut job = Job::new(&hub);
    tokio::pin!(stop);
    loop {
        let turn = tokio::select! {
            () = &mut stop => break,
            turn = job.turn() => turn,
        };
        let pause = match turn {
            Ok(true) => LOOK,
            Ok(false) => PAUSE,
            Err(fault) => {
                tracing::warn!(%fault, "repository metadata of older RPMs cannot be made for now");
                PAUSE
            }
        };
        tokio::select! {
            () = &mut stop => break,
            () = signal.wait() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    job.leave().await;
}

/// What a step was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It has looked at some RPMs, and has made the metadata of so many.
    Made(usize),
    /// There is nothing to do.
    Done,
    /// An administrator has halted the job.
    Paused,
}

/// One hub's part in the job.
pub struct Job {
    hub: Hub,
    lease: Lease,
    /// RPMs of a batch.
    pub batch: i64,
    told: Option<Instant>,
}

impl Job {
    /// Of this process.
    pub fn new(hub: &Hub) -> Job {
        Job { hub: hub.clone(), lease: Lease::new(hub, NAME, LEASE), batch: BATCH, told: None }
    }

    /// Works until there is nothing to do; false if another hub is at it.
    ///
    /// # Errors
    /// When the database fails, or the store is not there.
    pub async fn turn(&mut self) -> Result<bool, Fault> {
        if !self.take().await? {
            return Ok(false);
        }
        let mut renewed = Instant::now();
        loop {
            let begin = Instant::now();
            let Step::Made(made) = self.step().await? else { break };
            self.rest(begin, made).await?;
            if renewed.elapsed() >= self.lease.renewal() {
                if !self.keep().await? {
                    return Ok(false);
                }
                renewed = Instant::now();
            }
        }
        self.leave().await;
        Ok(true)
    }

    /// Sleeps as long as the rate wants, in pieces, so that another rate is heard.
    async fn rest(&self, begin: Instant, made: usize) -> Result<(), Fault> {
        loop {
            let row = sql::job(&mut self.hub.db.begin()).await?;
            let Some(rate) = row.value("rate").as_int().filter(|rate| *rate > 0) else { break };
            let whole = Duration::from_secs_f64(made as f64 / rate as f64);
            let left = whole.saturating_sub(begin.elapsed());
            if left.is_zero() || row.value("paused").truthy() {
                break;
            }
            tokio::time::sleep(left.min(Duration::from_secs(1))).await;
        }
        Ok(())
    }

    /// One batch.
    ///
    /// # Errors
    /// When the database fails, or the store is not there.
    pub async fn step(&mut self) -> Result<Step, Fault> {
        let mut tx = self.hub.db.begin();
        let row = sql::job(&mut tx).await?;
        if row.value("paused").truthy() {
            return Ok(Step::Paused);
        }
        let (floor, position): (i64, i64) = (row.get("floor")?, row.get("position")?);
        if position <= floor {
            tx.rollback().await?;
            return self.next_round(&row).await;
        }
        let rate = row.value("rate").as_int().unwrap_or(i64::MAX).max(1);
        let limit = self.batch.min(rate.saturating_mul(2)).max(1);
        let low = floor.max(position - SPAN);
        let rows = sql::missing(&mut tx, low, position, limit).await?;
        tx.rollback().await?;
        let full = i64::try_from(rows.len()).unwrap_or(i64::MAX) >= limit;
        let next = match rows.last() {
            Some(last) if full => last.get::<i64>("id")? - 1,
            _ => low,
        };
        let workers = row.value("workers").as_int().unwrap_or(1).clamp(1, MOST_WORKERS);
        let read = self.read(rows, workers as usize).await?;
        let from = sql::Place { position, top: row.get("top")? };
        let made = self.store(read, from, next, next <= floor).await?;
        self.tell(next <= floor).await?;
        Ok(Step::Made(made))
    }

    /// RPMs that came in since the last round, perhaps by another hub.
    async fn next_round(&self, row: &Row) -> Result<Step, Fault> {
        let top: i64 = row.get("top")?;
        let newest = sql::newest_rpm(&mut self.hub.db.begin()).await?;
        if newest <= top {
            return Ok(Step::Done);
        }
        let mut tx = self.hub.db.begin_write().await?;
        sql::begin_job(&mut tx, top, newest, Time::from_epoch(self.hub.now())?).await?;
        tx.commit().await?;
        tracing::debug!(from = newest, to = top, "looking for RPMs without repository metadata");
        Ok(Step::Made(0))
    }

    /// Reads the files, so many at a time.
    async fn read(&self, rows: Vec<Row>, workers: usize) -> Result<Vec<Read>, Fault> {
        let failed = |error: tokio::task::JoinError| Fault::unexpected(error.to_string());
        let (mut at_work, mut read) = (JoinSet::new(), Vec::with_capacity(rows.len()));
        for row in rows {
            let wanted = Wanted::of(&self.hub, &row)?;
            if at_work.len() >= workers
                && let Some(done) = at_work.join_next().await
            {
                read.push(done.map_err(failed)?);
            }
            let store = self.hub.store.clone();
            at_work.spawn_blocking(move || wanted.read(&store));
        }
        while let Some(done) = at_work.join_next().await {
            read.push(done.map_err(failed)?);
        }
        // A volume that is not mounted says nothing of its files.
        let failed = read.iter().filter(|one| one.made.is_err());
        let mut places: Vec<PathBuf> = failed.map(|one| one.wanted.store.clone()).collect();
        places.sort();
        places.dedup();
        let store = self.hub.store.clone();
        let lost = crate::files::blocking(move || {
            for place in places {
                if !store.is_dir(&place)? {
                    return Ok(Some(place));
                }
            }
            Ok(None)
        });
        match lost.await? {
            Some(place) => Err(Fault::generic(format!("{} is not there", place.display()))),
            None => Ok(read),
        }
    }

    /// Notes a batch with all that came of it, in one transaction; returns how many RPMs have metadata now.
    ///
    /// Somebody may have sent the job to its beginning meanwhile; then it goes on there.
    async fn store(
        &self,
        read: Vec<Read>,
        from: sql::Place,
        next: i64,
        end: bool,
    ) -> Result<usize, Fault> {
        let now = Time::from_epoch(self.hub.now())?;
        let mut tx = self.hub.db.begin_write().await?;
        let mut builds: Vec<i64> = read.iter().map(|one| one.wanted.build).collect();
        builds.sort_unstable();
        builds.dedup();
        let mut there = HashMap::new();
        for row in sql::hold_builds(&mut tx, &builds).await? {
            if row.get::<i64>("state")? == BuildState::Complete as i64 {
                there.insert(row.get::<i64>("id")?, row.get::<i64>("volume_id")?);
            }
        }
        let mut made = 0;
        for one in read {
            // One that has moved meanwhile is read when a repository wants it.
            if there.get(&one.wanted.build) != Some(&one.wanted.volume) {
                continue;
            }
            match one.made {
                Ok(stored) => {
                    super::store_in(&mut tx, one.wanted.rpm, &stored).await?;
                    made += 1;
                }
                Err(fault) => {
                    let reason = fault.message;
                    tracing::warn!(
                        rpm = one.wanted.rpm,
                        reason,
                        "no repository metadata of an older RPM"
                    );
                    sql::fail(&mut tx, one.wanted.rpm, &reason, now).await?;
                }
            }
        }
        if !sql::note_job(&mut tx, from, next, made as i64, now, end).await? {
            tracing::debug!(?from, "the job was sent elsewhere meanwhile");
        }
        tx.commit().await?;
        Ok(made)
    }

    /// A line in the log now and then, and at the end of what had to be done.
    async fn tell(&mut self, end: bool) -> Result<(), Fault> {
        let due = self.told.get_or_insert_with(Instant::now).elapsed() >= TELL;
        if !due && !end {
            return Ok(());
        }
        let row = sql::job(&mut self.hub.db.begin()).await?;
        let number = |key: &str| row.value(key).as_int().unwrap_or(0);
        let (made, looked) = (number("made"), number("top") - number("position"));
        let of = number("top") - number("floor");
        if end && made > 0 {
            tracing::info!(made, looked, "the repository metadata of older RPMs are made");
        } else if !end {
            tracing::info!(made, looked, of, "making the repository metadata of older RPMs");
        }
        self.told = (!end).then(Instant::now);
        Ok(())
    }

    async fn take(&self) -> Result<bool, Fault> {
        // An embedded database has one hub, which may have been killed and started again.
        if self.hub.db.engine() == Engine::Sqlite {
            return Ok(true);
        }
        Ok(self.lease.keep().await? || self.lease.take(0.0).await?)
    }

    async fn keep(&self) -> Result<bool, Fault> {
        Ok(self.hub.db.engine() == Engine::Sqlite || self.lease.keep().await?)
    }

    /// Lets another hub work.
    async fn leave(&self) {
        if let Err(fault) = self.lease.end(false).await {
            tracing::debug!(%fault, "the lease of the metadata job was not given back");
        }
    }
}

/// Has the job look again at what failed.
///
/// # Errors
/// When the database fails.
pub(crate) async fn retry(call: &mut Call) -> Result<(), Fault> {
    sql::forget_failures(&mut call.tx).await?;
    let newest = sql::newest_rpm(&mut call.tx).await?;
    let now = Time::from_epoch(call.now())?;
    Ok(sql::begin_job(&mut call.tx, 0, newest, now).await?)
}

/// The answer to `repo.metadataJob`.
///
/// # Errors
/// When the database fails.
pub(crate) async fn show(call: &mut Call, failures: i64) -> Result<Value, Fault> {
    let row = sql::job(&mut call.tx).await?;
    let number = |key: &str| row.value(key).as_int().unwrap_or(0);
    let (floor, position, top) = (number("floor"), number("position"), number("top"));
    let state = match (row.value("paused").truthy(), position > floor) {
        (true, _) => "paused",
        (false, true) => "working",
        (false, false) => "done",
    };
    let failed = sql::count_failures(&mut call.tx).await?;
    let named = match failures {
        0 => Vec::new(),
        most => sql::failures(&mut call.tx, most).await?,
    };
    let named: Vec<Value> = named.into_iter().map(|row| row.into_map().into()).collect();
    Ok(map! {
        "state" => state, "looked" => top - position, "of" => top - floor, "made" => number("made"),
        "failed" => failed, "failures" => named, "rate" => row.value("rate"), "workers" => number("workers"),
        "started_ts" => row.value("started_ts"), "updated_ts" => row.value("updated_ts"),
        "finished_ts" => row.value("finished_ts"),
    }
    .into())
}
