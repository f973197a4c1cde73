//! `dependantTask`: waits for tasks that are not its own, then runs some.

use toji_types::state::TaskState;
use toji_value::Value;

use super::{method, take};
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::wait::Wait;

method!("dependantTask", 0.2, [wait_list, task_list]);

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [wait_list, task_list] = take(values)?;
    for id in wait_list.as_array().unwrap_or_default().iter().filter_map(Value::as_int) {
        ended(task, id).await?;
    }
    let mut children = Vec::new();
    for entry in task_list.as_array().unwrap_or_default() {
        let wrong = || Failure::generic(format!("not a task to run: {}", entry.repr()));
        let parts = entry.as_array().ok_or_else(wrong)?;
        let (Some(Value::Str(method)), Some(Value::Array(args))) = (parts.first(), parts.get(1))
        else {
            return Err(wrong());
        };
        let options = parts.get(2).and_then(Value::as_struct).cloned().unwrap_or_default();
        children.push(task.subtask(method, args.clone(), options).await?);
    }
    if !children.is_empty() {
        task.wait(&children, Wait { all: true, fail_any: false }).await?;
    }
    Ok(Value::Nil)
}

/// Waits for the end of a task; one that does not exist has ended.
///
/// # Errors
/// When it failed or was cancelled.
async fn ended(task: &Context, id: i64) -> Result<()> {
    let bad = [TaskState::Canceled, TaskState::Failed].map(|state| Some(state.number()));
    loop {
        let info = task.call("getTaskInfo", (id,)).await?;
        let state = info.get("state").as_int();
        if info.is_nil() || state == Some(TaskState::Closed.number()) {
            return Ok(());
        }
        if bad.contains(&state) {
            return Err(Failure::generic(format!("Dependency {id} failed to complete.")));
        }
        // It belongs to no child, so nobody signals its end to this task.
        tokio::time::sleep(PACE).await;
    }
}

/// The pause between two questions.
const PACE: std::time::Duration = std::time::Duration::from_secs(1);
