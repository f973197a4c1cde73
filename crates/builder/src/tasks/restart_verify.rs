//! `restartVerify`: checks that this builder has started anew since a `restart` task ended.

use toji_types::state::TaskState;
use toji_value::Value;

use super::restart::check_host;
use super::{method, take};
use crate::context::{Context, int_of};
use crate::failure::{Failure, Result};

method!("restartVerify", 0.1, [task_id, host]);

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [task_id, host] = take(values)?;
    let info = task.call("getTaskInfo", (task_id,)).await?;
    let state = TaskState::try_from(int_of(&info, "state")?);
    let state = state.map_err(|e| Failure::generic(e.to_string()))?;
    if state != TaskState::Closed {
        return Err(Failure::generic(format!("Stage one restart task is {state}")));
    }
    check_host(task, &host).await?;
    if !restarted(task, &info) {
        let started = task.shared.leave.started();
        return Err(Failure::generic(format!("Restart failed - start time is {started:.0}")));
    }
    Ok(Value::Nil)
}

/// Whether this life of the builder began after the end of a task.
pub(super) fn restarted(task: &Context, info: &Value) -> bool {
    let ended = info.get("completion_ts").as_f64();
    ended.is_some_and(|ended| task.shared.leave.started() >= ended)
}
