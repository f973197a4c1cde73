//! What builders ask and set: their tasks, waiting, refusals and their own state.

use toji_types::TaskState;

use crate::{Result, Row, Tx, params};

/// Tasks that are assigned to a host, the most urgent first.
pub async fn assigned(tx: &mut Tx, host_id: i64) -> Result<Vec<Row>> {
    tx.query(
        "SELECT id, state, channel_id, host_id, arch, method, priority,
                date_part('epoch', create_time) AS create_ts
           FROM task WHERE host_id = $1 AND state = $2 ORDER BY priority, create_time, id",
        params![host_id, TaskState::Assigned.number()],
    )
    .await
}

/// Open tasks of a host: `id`, `waiting`, `weight`, and whether an awaited subtask has ended.
pub async fn open_on(tx: &mut Tx, host_id: i64) -> Result<Vec<Row>> {
    tx.query(
        "SELECT task.id AS id, task.waiting AS waiting, task.weight AS weight,
                EXISTS (SELECT 1 FROM task sub
                         WHERE sub.parent = task.id AND sub.awaited IS TRUE
                           AND sub.state = ANY($3)) AS \"ended:bool\"
           FROM task WHERE task.host_id = $1 AND task.state = $2 ORDER BY task.id",
        params![host_id, TaskState::Open.number(), finished()],
    )
    .await
}

/// Awaited subtasks: `id`, `state`.
pub async fn awaited(tx: &mut Tx, parent: i64) -> Result<Vec<Row>> {
    let sql = "SELECT id, state FROM task WHERE parent = $1 AND awaited IS TRUE ORDER BY id";
    tx.query(sql, params![parent]).await
}

/// Subtasks that have ended.
pub async fn ended_children(tx: &mut Tx, parent: i64) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM task WHERE parent = $1 AND state = ANY($2) ORDER BY id";
    let rows = tx.query(sql, params![parent, finished()]).await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// Marks a task as waiting, or not.
pub async fn set_waiting(tx: &mut Tx, id: i64, waiting: bool) -> Result<()> {
    tx.execute("UPDATE task SET waiting = $2 WHERE id = $1", params![id, waiting]).await.map(drop)
}

/// Marks every subtask as awaited, or none.
pub async fn set_all_awaited(tx: &mut Tx, parent: i64, awaited: bool) -> Result<()> {
    let sql = "UPDATE task SET awaited = $2 WHERE parent = $1";
    tx.execute(sql, params![parent, awaited]).await.map(drop)
}

/// Marks exactly these subtasks as awaited.
pub async fn set_awaited(tx: &mut Tx, parent: i64, ids: &[i64]) -> Result<()> {
    let sql = "UPDATE task SET awaited = TRUE WHERE parent = $1 AND id = ANY($2)";
    tx.execute(sql, params![parent, ids]).await?;
    let sql = "UPDATE task SET awaited = FALSE
                WHERE parent = $1 AND awaited IS TRUE AND id <> ALL($2)";
    tx.execute(sql, params![parent, ids]).await.map(drop)
}

/// Takes tasks off what is awaited.
pub async fn unawait(tx: &mut Tx, ids: &[i64]) -> Result<()> {
    let sql = "UPDATE task SET awaited = FALSE WHERE id = ANY($1)";
    tx.execute(sql, params![ids]).await.map(drop)
}

/// A host as clients see it.
pub async fn host(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    tx.query_opt(
        "SELECT host.id AS id, host.user_id AS user_id, host.name AS name,
                date_part('epoch', host.update_time) AS update_ts, host.ready AS ready,
                host.task_load AS task_load, host_config.arches AS arches,
                host_config.capacity AS capacity, host_config.description AS description,
                host_config.comment AS comment, host_config.enabled AS enabled
           FROM host_config JOIN host ON host.id = host_config.host_id
          WHERE host_config.active = TRUE AND host.id = $1",
        params![id],
    )
    .await
}

/// The active host of this name.
pub async fn host_by_name(tx: &mut Tx, name: &str) -> Result<Option<i64>> {
    let sql = "SELECT host.id AS id FROM host_config JOIN host ON host.id = host_config.host_id
                WHERE host_config.active = TRUE AND host.name = $1";
    tx.scalar_opt(sql, params![name]).await
}

/// The channels that a host takes tasks from.
pub async fn host_channels(tx: &mut Tx, id: i64) -> Result<Vec<i64>> {
    let sql = "SELECT host_channels.channel_id AS id FROM host_channels
                 JOIN channels ON channels.id = host_channels.channel_id
                WHERE host_channels.host_id = $1 AND host_channels.active = TRUE
                ORDER BY host_channels.channel_id";
    let rows = tx.query(sql, params![id]).await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// Stores a host's load and readiness; tells whether its readiness has changed, or it was silent for a minute.
pub async fn update_host(tx: &mut Tx, id: i64, load: f64, ready: bool) -> Result<bool> {
    // what changes nothing for the scheduler is the rule
    let sql = "UPDATE host SET task_load = $2, update_time = NOW()
                WHERE id = $1 AND ready = $3 AND update_time > toji_ago(60.0)";
    if tx.execute(sql, params![id, load, ready]).await? > 0 {
        return Ok(false);
    }
    let sql = "UPDATE host SET task_load = $2, ready = $3, update_time = NOW() WHERE id = $1";
    tx.execute(sql, params![id, load, ready]).await?;
    Ok(true)
}

/// Stores what a host tells the scheduler about itself.
pub async fn set_host_data(tx: &mut Tx, id: i64, data: &toji_value::Value) -> Result<()> {
    let sql = "INSERT INTO scheduler_host_data (host_id, data) VALUES ($1, $2)
               ON CONFLICT (host_id) DO UPDATE SET data = excluded.data";
    tx.execute(sql, params![id, data]).await.map(drop)
}

/// Records that a host does not take a task.
pub async fn refuse(
    tx: &mut Tx,
    task_id: i64,
    host_id: i64,
    soft: bool,
    by_host: bool,
    text: &str,
) -> Result<()> {
    tx.execute(
        "INSERT INTO scheduler_task_refusals (task_id, host_id, soft, by_host, msg)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (task_id, host_id) DO UPDATE
            SET soft = excluded.soft, by_host = excluded.by_host, msg = excluded.msg",
        params![task_id, host_id, soft, by_host, text],
    )
    .await
    .map(drop)
}

fn finished() -> Vec<i64> {
    [TaskState::Closed, TaskState::Canceled, TaskState::Failed].map(TaskState::number).to_vec()
}
