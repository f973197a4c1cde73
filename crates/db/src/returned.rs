//! Tasks that builders gave back because something of their own failed.

use crate::{Result, Row, Time, Tx, params};

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

/// The arch of a task and the `arches` of each other host that is ready for its channel and has not refused it.
pub async fn other_hosts(tx: &mut Tx, task_id: i64, host: i64) -> Result<Vec<Row>> {
    let sql = "SELECT task.arch AS arch, host_config.arches AS arches
                 FROM task
                 JOIN host_channels ON host_channels.channel_id = task.channel_id
                 JOIN host_config ON host_config.host_id = host_channels.host_id
                 JOIN host ON host.id = host_channels.host_id
                WHERE task.id = $1 AND host.id <> $2 AND host.ready IS TRUE
                  AND host_channels.active IS TRUE
                  AND host_config.active IS TRUE AND host_config.enabled IS TRUE
                  AND NOT EXISTS (SELECT 1 FROM scheduler_task_refusals AS refusal
                                   WHERE refusal.task_id = task.id AND refusal.host_id = host.id)
                ORDER BY host.id";
    tx.query(sql, params![task_id, host]).await
}

/// Forgets tasks that have ended or are no more.
pub async fn tidy(tx: &mut Tx, unfinished: &[i64]) -> Result<()> {
    let sql = "DELETE FROM toji_task_return WHERE NOT EXISTS (
                   SELECT 1 FROM task t WHERE t.id = toji_task_return.task_id AND t.state = ANY($1))";
    tx.execute(sql, params![unfinished.to_vec()]).await.map(drop)
}
