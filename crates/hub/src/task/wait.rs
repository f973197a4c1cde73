//! Waiting of a task for its subtasks, and their results.

use toji_db::task as db;
use toji_types::TaskState;
use toji_value::{Fault, Value, list};

use super::text;
use crate::Call;

/// Marks a task as waiting, and the named subtasks (or all of them) as awaited.
///
/// # Errors
/// When the database fails.
pub async fn set(call: &mut Call, parent: i64, tasks: Option<&[i64]>) -> Result<(), Fault> {
    db::set_waiting(&mut call.tx, parent, true).await?;
    match tasks {
        None => db::set_all_awaited(&mut call.tx, parent, true).await?,
        // An empty list is a mistake of the builder; Koji leaves the marks as they are.
        Some([]) => {}
        Some(tasks) => db::set_awaited(&mut call.tx, parent, tasks).await?,
    }
    Ok(())
}

/// Awaited subtasks: those that have ended, which are no longer awaited then, and the others.
///
/// # Errors
/// When the database fails.
pub async fn poll(call: &mut Call, parent: i64) -> Result<(Vec<i64>, Vec<i64>), Fault> {
    let (mut finished, mut unfinished) = (Vec::new(), Vec::new());
    for row in db::awaited(&mut call.tx, parent).await? {
        let id: i64 = row.get("id")?;
        if is_finished(row.get("state")?) { finished.push(id) } else { unfinished.push(id) }
    }
    if !finished.is_empty() {
        db::unawait(&mut call.tx, &finished).await?;
    }
    Ok((finished, unfinished))
}

/// Ends the waiting and returns `[id, result]` of each named subtask, or of all that have ended.
///
/// # Errors
/// The fault of a failed or cancelled subtask that is not in `canfail`.
pub async fn results(
    call: &mut Call,
    parent: i64,
    tasks: Option<Vec<i64>>,
    canfail: &[i64],
) -> Result<Vec<Value>, Fault> {
    db::set_waiting(&mut call.tx, parent, false).await?;
    db::set_all_awaited(&mut call.tx, parent, false).await?;
    let tasks = match tasks {
        Some(tasks) => tasks,
        None => db::ended_children(&mut call.tx, parent).await?,
    };
    let rows = db::results(&mut call.tx, &tasks).await?;
    let mut answers = Vec::with_capacity(tasks.len());
    for id in tasks {
        let row = rows.iter().find(|row| row.value("id").as_int() == Some(id));
        let answer = result_of(id, row)?;
        let may_fail = canfail.contains(&id);
        let value = match answer {
            Answer::Result(value) => value,
            Answer::Fault(fault) | Answer::Canceled(fault) if may_fail => text::fault_map(&fault),
            Answer::Fault(fault) | Answer::Canceled(fault) => return Err(fault),
        };
        answers.push(list![id, value]);
    }
    Ok(answers)
}

/// How a task ended.
pub(crate) enum Answer {
    Result(Value),
    Fault(Fault),
    Canceled(Fault),
}

/// How the task of this row (`state`, `result`) ended.
///
/// # Errors
/// A generic fault when there is no such task or it has not ended.
pub(crate) fn result_of(id: i64, row: Option<&toji_db::Row>) -> Result<Answer, Fault> {
    let row = row.ok_or_else(|| Fault::generic("No such task"))?;
    let state: i64 = row.get("state")?;
    if state == TaskState::Canceled.number() {
        return Ok(Answer::Canceled(Fault::generic(format!("Task {id} is canceled"))));
    }
    if !is_finished(state) {
        return Err(Fault::generic(format!("Task {id} is not finished")));
    }
    let stored: Option<String> = row.get("result")?;
    Ok(match text::read_result(stored.as_deref().unwrap_or_default())? {
        Ok(value) => Answer::Result(value),
        Err(fault) => Answer::Fault(fault),
    })
}

fn is_finished(state: i64) -> bool {
    TaskState::try_from(state).is_ok_and(TaskState::is_finished)
}
