//! What concerns a builder: its tasks, and which of them have children to look at.

use toji_types::TaskState;

use crate::{Result, Tx, params};

/// One task of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The task.
    pub task_id: i64,
    /// What is to be done.
    pub method: String,
    /// It waits to be opened.
    pub assigned: bool,
    /// It waits for children, and one of them has ended.
    pub woken: bool,
}

/// The assigned and open tasks of a host.
pub async fn of_host(tx: &mut Tx, host_id: i64) -> Result<Vec<Work>> {
    let rows = tx
        .query(
            "SELECT t.id AS id, t.state AS state, t.method AS method,
                    (t.waiting IS TRUE AND EXISTS (
                        SELECT 1 FROM task c
                         WHERE c.parent = t.id AND c.awaited IS TRUE AND c.state = ANY($2)
                    )) AS \"woken:bool\"
               FROM task t
              WHERE t.host_id = $1 AND t.state = ANY($3)
              ORDER BY t.id",
            params![
                host_id,
                vec![
                    TaskState::Closed as i64,
                    TaskState::Canceled as i64,
                    TaskState::Failed as i64
                ],
                vec![TaskState::Open as i64, TaskState::Assigned as i64],
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Work {
                task_id: row.get("id")?,
                method: row.get_opt("method")?.unwrap_or_default(),
                assigned: row.get::<i64>("state")? == TaskState::Assigned as i64,
                woken: row.get("woken")?,
            })
        })
        .collect()
}

/// The hosts with tasks that wait to be opened.
pub async fn unopened(tx: &mut Tx) -> Result<Vec<i64>> {
    let sql = "SELECT DISTINCT host_id AS id FROM task WHERE state = $1 AND host_id IS NOT NULL";
    let rows = tx.query(sql, params![TaskState::Assigned.number()]).await?;
    rows.iter().map(|row| row.get("id")).collect()
}
