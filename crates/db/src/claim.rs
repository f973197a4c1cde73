//! What the hub asks to check what a builder says is its task's.

use toji_types::TaskState;

use crate::{Result, Row, Tx, params};

/// Tasks: `id`, `parent`, `host_id`.
pub async fn tasks(tx: &mut Tx, ids: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT id, parent, host_id FROM task WHERE id = ANY($1)";
    tx.query(sql, params![ids]).await
}

/// Buildroots that builders of this system manage: `id`, `task_id`, and `parent` of that task.
pub async fn buildroots(tx: &mut Tx, ids: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT s.buildroot_id AS id, s.task_id AS task_id, task.parent AS parent
                 FROM standard_buildroot s JOIN task ON task.id = s.task_id
                WHERE s.buildroot_id = ANY($1)";
    tx.query(sql, params![ids]).await
}

/// Open tasks of a host: `id`, `parent`, `method`, `request`.
pub async fn open_requests(tx: &mut Tx, host_id: i64) -> Result<Vec<Row>> {
    let sql = "SELECT id, parent, method, request FROM task WHERE host_id = $1 AND state = $2";
    tx.query(sql, params![host_id, TaskState::Open.number()]).await
}

/// Whether the user of a host is not blocked; it stays so until the end of the transaction.
pub async fn hold_host(tx: &mut Tx, host_id: i64) -> Result<bool> {
    let sql = "SELECT users.status AS status FROM users JOIN host ON host.user_id = users.id
                WHERE host.id = $1 FOR SHARE OF users";
    Ok(tx.scalar_opt::<i64>(sql, params![host_id]).await? == Some(0))
}

/// The arches of an enabled host that takes tasks from the channel; nothing if it does not.
pub async fn arches_in_channel(tx: &mut Tx, host_id: i64, channel_id: i64) -> Result<Option<Row>> {
    let sql = "SELECT host_config.arches AS arches
                 FROM host_config
                 JOIN host_channels ON host_channels.host_id = host_config.host_id
                WHERE host_config.host_id = $1 AND host_config.active = TRUE
                  AND host_config.enabled = TRUE
                  AND host_channels.channel_id = $2 AND host_channels.active = TRUE";
    tx.query_opt(sql, params![host_id, channel_id]).await
}
