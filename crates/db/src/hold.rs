//! What a program knows of an entry of the journal that is its work: whether it may still go on.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::presence::{boot_time, patience};
use crate::{Db, Engine, Result, params};

/// Age of an entry, in seconds since it was last told to be worked on, at which others end it whoever works on it.
pub const ABANDONED: f64 = 600.0;
/// Age at which a program that works on an entry stops for itself.
const OLD: Duration = Duration::from_secs(300);
/// Between two attempts to ask for the entry.
const PAUSE: Duration = Duration::from_millis(100);

/// An entry of the journal that is this program's work. Made before the entry is, so that nothing is missed.
pub struct Hold {
    db: Db,
    runtime: Handle,
    /// Whether the work is to take back what another program has left.
    undoing: bool,
    /// How often the lock had been taken when the entry was last known to be this program's.
    times: AtomicU64,
    /// When it was last known to be young, in milliseconds since the machine was started.
    young: AtomicU64,
    /// Why a step was refused: no further one is taken, as what was begun may be half done.
    refused: OnceLock<Unsure>,
}

/// Why work must not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsure {
    /// Others may think that this program is gone.
    #[error(
        "the database has not confirmed for {0} s that this hub lives, so others may take its work over"
    )]
    Silent(u64),
    /// They do.
    #[error("another hub has taken this work over, as this one was not seen to live")]
    Taken,
    /// Nobody was told for long that it is worked on.
    #[error(
        "the database was not told for long that this work goes on, so others may take it over"
    )]
    Old,
}

impl Db {
    /// To be asked for before an entry is made or taken over; nothing on SQLite, whose file is one program's. `undoing` tells
    /// that another program's work will be taken back.
    pub fn hold(&self, undoing: bool) -> Option<Hold> {
        let runtime = Handle::try_current().ok()?;
        (self.engine() == Engine::Postgres).then(|| Hold {
            db: self.clone(),
            runtime,
            undoing,
            times: AtomicU64::new(self.inner.presence.known.borrow().times),
            young: AtomicU64::new(millis(boot_time())),
            refused: OnceLock::new(),
        })
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Hold {
    /// Whether the next step with files of this entry may be taken. Waits if the database is silent, so it is asked on a
    /// thread that may block.
    ///
    /// # Errors
    /// When another program has the entry, or might have it soon; from then on for all further steps.
    pub fn check(&self, entry: i64) -> Result<(), Unsure> {
        if let Some(unsure) = self.refused() {
            return Err(unsure);
        }
        let done = match self.now() {
            Some(Ok(())) => Ok(()),
            _ => self.runtime.block_on(self.settle(entry)),
        };
        done.map_err(|unsure| *self.refused.get_or_init(|| unsure))
    }

    /// One for another entry that was taken over in the same moment.
    pub fn of_another(&self) -> Hold {
        let copy = |from: &AtomicU64| AtomicU64::new(from.load(Ordering::Acquire));
        Hold {
            db: self.db.clone(),
            runtime: self.runtime.clone(),
            undoing: self.undoing,
            times: copy(&self.times),
            young: copy(&self.young),
            refused: OnceLock::new(),
        }
    }

    /// Why a step was refused, if one was.
    pub fn refused(&self) -> Option<Unsure> {
        self.refused.get().copied()
    }

    /// Notes that the entry was told to be worked on, by a statement that was sent at this moment.
    pub(crate) fn is_young(&self, sent: Duration) {
        self.young.fetch_max(millis(sent), Ordering::Relaxed);
    }

    /// What is known without asking: nothing if the database is silent, otherwise whether the entry need not be looked at.
    fn now(&self) -> Option<Result<(), ()>> {
        let presence = &self.db.inner.presence;
        let known = *presence.known.borrow();
        let own = presence.own.get();
        if own.is_some_and(|own| !known.is_fresh(own.trust)) {
            return None;
        }
        let same = own.is_none() || known.times == self.times.load(Ordering::Acquire);
        let young = Duration::from_millis(self.young.load(Ordering::Relaxed));
        let young = boot_time().saturating_sub(young) < OLD;
        Some(if same && young { Ok(()) } else { Err(()) })
    }

    async fn settle(&self, entry: i64) -> Result<(), Unsure> {
        let begin = boot_time();
        let patience = patience(self.db.trust());
        let mut known = self.db.inner.presence.known.subscribe();
        loop {
            let left = (begin + patience).saturating_sub(boot_time());
            let seen = known.borrow_and_update().confirmed;
            match self.now() {
                Some(Ok(())) => return Ok(()),
                _ if left.is_zero() => {
                    let silent = boot_time().saturating_sub(seen.unwrap_or(begin));
                    return Err(Unsure::Silent(silent.as_secs()));
                }
                None => drop(tokio::time::timeout(left, known.changed()).await),
                // Asked for after the lock was taken again: nobody takes over while it is held.
                Some(Err(())) => match tokio::time::timeout(left, self.look(entry)).await {
                    Ok(Ok(done)) => done?,
                    _ => drop(tokio::time::timeout(PAUSE.min(left), known.changed()).await),
                },
            }
        }
    }

    /// Looks whether the entry is still this program's.
    async fn look(&self, entry: i64) -> Result<Result<(), Unsure>> {
        let (times, sent) = (self.db.inner.presence.known.borrow().times, boot_time());
        let sql = "SELECT state, holder,
                          date_part('epoch', clock_timestamp()) - date_part('epoch', created) AS age
                     FROM toji_import WHERE id = $1";
        let Some(row) = self.db.begin().query_opt(sql, params![entry]).await? else {
            return Ok(Err(Unsure::Taken));
        };
        let (state, holder): (String, Option<i64>) = (row.get("state")?, row.get("holder")?);
        let age: f64 = row.get("age")?;
        let own = self.db.inner.presence.own.get().map(|own| i64::from(own.number));
        let wanted = if self.undoing { "undoing" } else { "placing" };
        if (state != wanted && state != "committed") || (holder.is_some() && holder != own) {
            return Ok(Err(Unsure::Taken));
        }
        let age = Duration::try_from_secs_f64(age.max(0.0)).unwrap_or(Duration::MAX);
        if age >= OLD {
            return Ok(Err(Unsure::Old));
        }
        self.young.store(millis(sent.saturating_sub(age)), Ordering::Relaxed);
        self.times.store(times, Ordering::Release);
        Ok(Ok(()))
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("undoing", &self.undoing).finish_non_exhaustive()
    }
}
