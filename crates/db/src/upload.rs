//! What uploads ask the database.

use crate::{Result, Tx, params};

/// State and host of a task.
pub async fn task_holder(tx: &mut Tx, task_id: i64) -> Result<Option<(i64, Option<i64>)>> {
    let sql = "SELECT state, host_id FROM task WHERE id = $1";
    let row = tx.query_opt(sql, params![task_id]).await?;
    row.map(|row| Ok((row.get("state")?, row.get("host_id")?))).transpose()
}

/// Whether there is a volume of this name.
pub async fn volume_exists(tx: &mut Tx, name: &str) -> Result<bool> {
    let sql = "SELECT id FROM volume WHERE name = $1";
    Ok(tx.query_opt(sql, params![name]).await?.is_some())
}
