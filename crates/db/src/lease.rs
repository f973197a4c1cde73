//! Leases: which of several hubs does a recurring work, and when it was last done.

use crate::{Result, Time, Tx, params};

/// Takes a lease that nobody holds at `now`, for work that was not done since `before`; tells whether it did.
pub async fn take(
    tx: &mut Tx,
    name: &str,
    holder: &str,
    now: Time,
    until: Time,
    before: Time,
) -> Result<bool> {
    let sql = "INSERT INTO toji_job (name, holder, until) VALUES ($1, $2, $3)
               ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
                WHERE toji_job.until <= $4
                  AND (toji_job.done IS NULL OR toji_job.done <= $5)";
    Ok(tx.execute(sql, params![name, holder, until, now, before]).await? > 0)
}

/// Prolongs a lease; tells whether it is still the holder's.
pub async fn keep(tx: &mut Tx, name: &str, holder: &str, until: Time) -> Result<bool> {
    let sql = "UPDATE toji_job SET until = $3 WHERE name = $1 AND holder = $2";
    Ok(tx.execute(sql, params![name, holder, until]).await? > 0)
}

/// Gives a lease back; `done` is when the work was done, nothing if it was not.
pub async fn end(tx: &mut Tx, name: &str, holder: &str, now: Time, done: bool) -> Result<()> {
    let done = done.then_some(now);
    let sql = "UPDATE toji_job SET until = $3, done = COALESCE($4::timestamptz, done)
                WHERE name = $1 AND holder = $2";
    tx.execute(sql, params![name, holder, now, done]).await.map(drop)
}
