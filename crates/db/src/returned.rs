//! Tasks that builders gave back because something of their own failed.

use crate::{Result, Time, Tx, params};

/// What is kept of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Returned {
    /// How often it was given back.
    pub times: i64,
    /// Why, the last time.
    pub reason: String,
    /// When it may be given away again, in seconds since 1970.
    pub not_before: f64,
}

/// What is kept of a task, if it was ever given back.
pub async fn of_task(tx: &mut Tx, task_id: i64) -> Result<Option<Returned>> {
    let sql = "SELECT times, reason, date_part('epoch', not_before) AS not_before
                 FROM toji_task_return WHERE task_id = $1";
    let row = tx.query_opt(sql, params![task_id]).await?;
    row.map(|row| {
        let (times, reason) = (row.get("times")?, row.get("reason")?);
        Ok(Returned { times, reason, not_before: row.get("not_before")? })
    })
    .transpose()
}

/// Keeps that a task was given back.
pub async fn set(
    tx: &mut Tx,
    task_id: i64,
    times: i64,
    reason: &str,
    not_before: Time,
) -> Result<()> {
    let sql = "INSERT INTO toji_task_return (task_id, times, reason, not_before)
               VALUES ($1, $2, $3, $4)
               ON CONFLICT (task_id) DO UPDATE
                  SET times = excluded.times, reason = excluded.reason, not_before = excluded.not_before";
    tx.execute(sql, params![task_id, times, reason, not_before]).await.map(drop)
}

/// Forgets tasks that have ended or are no more.
pub async fn tidy(tx: &mut Tx, unfinished: &[i64]) -> Result<()> {
    let sql = "DELETE FROM toji_task_return WHERE NOT EXISTS (
                   SELECT 1 FROM task t WHERE t.id = toji_task_return.task_id AND t.state = ANY($1))";
    tx.execute(sql, params![unfinished.to_vec()]).await.map(drop)
}
