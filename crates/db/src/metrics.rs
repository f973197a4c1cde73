//! Counts for the metrics page.

use toji_types::TaskState;

use crate::{Result, Tx, params};

/// Numbers of tasks that are not finished, by the name of their state.
pub async fn tasks_by_state(tx: &mut Tx) -> Result<Vec<(String, i64)>> {
    let live = [TaskState::Free, TaskState::Open, TaskState::Assigned];
    let rows = tx
        .query(
            "SELECT state, count(*) AS tasks FROM task WHERE state = ANY($1) GROUP BY state",
            params![live.iter().map(|s| *s as i64).collect::<Vec<i64>>()],
        )
        .await?;
    let mut counts = Vec::with_capacity(live.len());
    for state in live {
        let mut count = 0;
        for row in &rows {
            if row.get::<i64>("state")? == state as i64 {
                count = row.get("tasks")?;
            }
        }
        counts.push((state.name().to_owned(), count));
    }
    Ok(counts)
}
