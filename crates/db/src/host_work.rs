//! What concerns a builder: its tasks, and which of them have children to look at.

use toji_types::TaskState;

use crate::{Result, Tx, params};

/// One task of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// The task.
    pub task_id: i64,
    /// It waits to be opened.
    pub assigned: bool,
    /// It waits for children, and one of them has ended.
    pub woken: bool,
}

/// The assigned and open tasks of a host.
pub async fn of_host(tx: &mut Tx, host_id: i64) -> Result<Vec<Work>> {
    let rows = tx
        .query(
            "SELECT t.id AS id, t.state AS state,
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
                assigned: row.get::<i64>("state")? == TaskState::Assigned as i64,
                woken: row.get("woken")?,
            })
        })
        .collect()
}
