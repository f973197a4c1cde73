//! Which programs live: each has a lock of the database, which the server frees in the moment that its connection is gone.
//!
//! A program knows for itself when the database has last said that the lock is held; what it may do by that, and how long others
//! wait, is told in `docs/decisions/0035-fence.md`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use toji_value::{Value, map};
use tokio::sync::watch;

use crate::{Db, Engine, Result, Row, Tx, params, postgres};

/// What these locks have in common; the other half of each is a program's number.
pub(crate) const CLASS: i32 = 0x746f_6a69;

/// How a program shows that it lives.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Above zero, and nobody else's.
    pub number: i32,
    /// Which process of which machine it is, if that is known, as others of that machine can tell that it has ended.
    pub process: Option<String>,
    /// How long the program goes on without the database's word that it is seen.
    pub trust: Duration,
}

/// How long a program goes on if nothing else is said.
pub const TRUST: Duration = Duration::from_secs(6);

/// How long others wait until they are certain that a program that is gone works no more: longer than it goes on.
pub fn certain(trust: Duration) -> Duration {
    trust * 5 / 3
}

/// After which time the steps that were under way then have come to their end, too.
pub fn settled(trust: Duration) -> Duration {
    trust * 10
}

/// How long a step waits for the database's word before it is given up: a server may take half a minute to see that a
/// connection is lost, and others keep the lock for as long as they make certain.
pub(crate) fn patience(trust: Duration) -> Duration {
    trust * 8
}

/// What others know of this program.
#[derive(Default)]
pub(crate) struct Presence {
    pub(crate) own: OnceLock<Identity>,
    /// The program's number while its lock is held, otherwise zero.
    pub(crate) held: AtomicI32,
    pub(crate) known: watch::Sender<Known>,
}

/// What this program knows of its own lock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// How often the lock was taken: between two times, others may have taken over.
    pub(crate) times: u64,
    /// When the newest statement was sent that was answered while the lock was held.
    pub(crate) confirmed: Option<Duration>,
}

impl Known {
    /// Whether nobody can have taken over since the lock was taken.
    pub(crate) fn is_fresh(&self, trust: Duration) -> bool {
        self.confirmed.is_some_and(|then| boot_time().saturating_sub(then) < trust)
    }
}

/// Time since the machine was started, in which it slept included: after a suspension, what was known is old.
pub fn boot_time() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

impl Db {
    /// Lets the others know, for as long as the handle lives, that this program does. Entries of the journal are told to be
    /// its work from now on.
    ///
    /// Returns when it is known, or when the first attempt has failed: it is tried again. SQLite's file is one program's.
    pub async fn be_present(&self, identity: Identity) {
        if self.engine() == Engine::Postgres && self.inner.presence.own.set(identity).is_ok() {
            // Either way there is nothing to wait for any more.
            let _ = postgres::stay(&self.inner).await;
        }
    }

    /// This program's number, while the others know that it lives.
    pub fn present(&self) -> Option<i64> {
        let number = self.inner.presence.held.load(Ordering::Relaxed);
        (number > 0).then_some(number.into())
    }

    /// How long this program goes on without the database's word.
    pub fn trust(&self) -> Duration {
        self.inner.presence.own.get().map_or(TRUST, |own| own.trust)
    }

    /// What an entry of the journal tells of the program whose work it is.
    pub(crate) fn signed(&self) -> Option<Value> {
        let own = self.inner.presence.own.get()?;
        let (process, trust) = (own.process.clone(), own.trust.as_secs_f64());
        Some(map! { "process" => process, "trust" => trust }.into())
    }
}

/// Programs that have left entries in the journal and do not live, of others than this: `holder`, and of one entry `steps`.
///
/// None while this program is not known to live itself.
pub async fn gone(tx: &mut Tx) -> Result<Vec<Row>> {
    let Some(own) = tx.db().present() else { return Ok(Vec::new()) };
    let sql = "SELECT DISTINCT ON (holder) holder, steps FROM toji_import
                WHERE holder IS NOT NULL AND holder <> $1
                  AND NOT EXISTS (
                      SELECT 1 FROM pg_locks
                       WHERE locktype = 'advisory' AND granted AND objsubid = 2
                         AND classid::bigint = $2 AND objid::bigint = toji_import.holder
                         AND database = (SELECT oid FROM pg_database
                                          WHERE datname = current_database()))";
    tx.query(sql, params![own, i64::from(CLASS)]).await
}

/// Which process made an entry of the journal, and how long its program goes on, as the entry's steps tell.
pub fn signature(steps: &Value) -> (Option<String>, Option<Duration>) {
    let steps = steps.as_array().unwrap_or_default();
    let signed = steps.iter().filter_map(Value::as_struct).find(|step| step.contains_key("trust"));
    let trust = signed.and_then(|step| step.value("trust").as_f64());
    let trust = trust.and_then(|trust| Duration::try_from_secs_f64(trust).ok());
    (signed.and_then(|step| step.str("process").map(str::to_owned)), trust)
}

/// Keeps programs that are gone from coming back until the transaction ends; gives those of them that have not come back
/// already, and that nobody else keeps away.
pub async fn keep_away(tx: &mut Tx, holders: &[i64]) -> Result<Vec<i64>> {
    let sql = "SELECT holder FROM unnest($1::bigint[]) AS holder
                WHERE pg_try_advisory_xact_lock($2::bigint::int, holder::int)";
    let rows = tx.query(sql, params![holders, i64::from(CLASS)]).await?;
    rows.iter().map(|row| row.get("holder")).collect()
}

/// Whether one of these programs wants to come back.
pub async fn is_awaited(tx: &mut Tx, holders: &[i64]) -> Result<bool> {
    let sql = "SELECT count(*) FROM pg_locks
                WHERE locktype = 'advisory' AND NOT granted AND objsubid = 2
                  AND classid::bigint = $2 AND objid::bigint = ANY($1)
                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    Ok(tx.scalar::<i64>(sql, params![holders, i64::from(CLASS)]).await? > 0)
}
