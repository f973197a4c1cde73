//! Tasks: who may touch them, and how they are made, moved, awaited and ended.

pub(crate) mod claim;
pub mod make;
pub mod runs;
pub mod text;
pub mod transition;
pub mod wait;

pub(crate) use toji_api::task_params as params;
pub use transition::Locked;

use toji_db::task as db;
use toji_types::TaskState;
use toji_value::{Fault, Value};

use crate::Call;

/// The fault for a task that does not exist.
pub(crate) fn missing(id: i64) -> Fault {
    Fault::generic(format!("No such task: {id}"))
}

/// Locks a task's row until the end of the transaction.
///
/// # Errors
/// A generic fault when there is no such task.
pub async fn lock(call: &mut Call, id: i64) -> Result<Locked, Fault> {
    let row = db::lock(&mut call.tx, id).await?.ok_or_else(|| missing(id))?;
    Locked::from_row(&row)
}

/// Locks a task that the calling host must hold.
///
/// # Errors
/// `ActionNotAllowed` for every other task.
pub async fn lock_held(call: &mut Call, id: i64) -> Result<Locked, Fault> {
    let host = call.verified_host().await?;
    let task = lock(call, id).await?;
    if task.is_held_by(host) {
        return Ok(task);
    }
    Err(Fault::not_allowed(format!("host {host} does not own task {id}")))
}

/// The task that waits for this one, if there is one.
///
/// # Errors
/// `GenericError` for a task that does not exist.
pub async fn parent_of(call: &mut Call, id: i64) -> Result<Option<i64>, Fault> {
    let row = db::parent(&mut call.tx, id).await?.ok_or_else(|| missing(id))?;
    Ok(row.get("parent")?)
}

/// Refuses callers other than the host of a task, whether it is still open or not.
///
/// # Errors
/// `ActionNotAllowed` for every other host.
pub async fn check_host(call: &mut Call, id: i64) -> Result<(), Fault> {
    let host = call.verified_host().await?;
    let row = db::parent(&mut call.tx, id).await?.ok_or_else(|| missing(id))?;
    if row.get::<Option<i64>>("host_id")? == Some(host) {
        return Ok(());
    }
    Err(Fault::not_allowed(format!("host {host} does not own task {id}")))
}

/// Refuses a task that the calling host does not work on; returns the task's owner.
///
/// This does not lock the task: who changes something afterwards locks it with [`lock_held`].
///
/// # Errors
/// `ActionNotAllowed` for every other task.
pub async fn check_open(call: &mut Call, id: i64) -> Result<i64, Fault> {
    let host = call.verified_host().await?;
    let row = db::parent(&mut call.tx, id).await?.ok_or_else(|| missing(id))?;
    let open = row.get::<Option<i64>>("state")? == Some(TaskState::Open.number());
    if open && row.get::<Option<i64>>("host_id")? == Some(host) {
        return Ok(row.get("owner")?);
    }
    Err(Fault::not_allowed(format!("host {host} does not own task {id}")))
}

/// Refuses a task that is neither the given one nor right below it.
///
/// # Errors
/// `ActionNotAllowed` for other tasks.
pub async fn check_part(call: &mut Call, id: i64, part: i64) -> Result<(), Fault> {
    if part == id {
        return Ok(());
    }
    let row = db::get(&mut call.tx, crate::lookup::fit(part)).await?;
    let row = row.ok_or_else(|| missing(part))?;
    if row.value("parent").as_int() == Some(id) {
        return Ok(());
    }
    Err(Fault::not_allowed(format!("task {part} is no part of task {id}")))
}

/// Locks a task that the caller may cancel: its owner, its host and administrators.
///
/// # Errors
/// `ActionNotAllowed` for everybody else.
pub async fn lock_to_cancel(call: &mut Call, id: i64) -> Result<Locked, Fault> {
    let task = lock(call, id).await?;
    if call.user_id() == Some(task.owner) {
        return Ok(task);
    }
    if let Ok(host) = call.host_id().await
        && task.is_held_by(host)
    {
        return Ok(task);
    }
    if call.has_perm("admin").await? {
        return Ok(task);
    }
    Err(Fault::not_allowed("Cannot cancel task, not owner"))
}

/// One task as clients see it, with its decoded request if wanted.
///
/// # Errors
/// When the database fails or the request cannot be read.
pub async fn info(call: &mut Call, id: i64, request: bool) -> Result<Option<Value>, Fault> {
    if !request {
        let row = db::get(&mut call.tx, id).await?;
        return Ok(row.map(|row| row.into_map().into()));
    }
    let row = db::get_with_requests(&mut call.tx, &[id]).await?.pop();
    row.map(|row| with_request(row, true)).transpose()
}

/// What a task answered; nil for one that did not end well.
///
/// # Errors
/// When the database fails.
pub(crate) async fn result(call: &mut Call, id: i64) -> Result<Value, Fault> {
    let row = db::results(&mut call.tx, &[id]).await?.pop();
    let stored: Option<String> = row.map(|row| row.get("result")).transpose()?.flatten();
    let answer = stored.map(|stored| text::read_result(&stored)).transpose()?;
    Ok(answer.and_then(Result::ok).unwrap_or_default())
}

/// Method and arguments of a task.
///
/// # Errors
/// When there is no such task or the request cannot be read.
pub async fn request(call: &mut Call, id: i64) -> Result<(String, Vec<Value>), Fault> {
    let row = db::request(&mut call.tx, id).await?;
    let row = row.ok_or_else(|| Fault::generic("query returned no rows"))?;
    let method: Option<String> = row.get("method")?;
    let stored: Option<String> = row.get("request")?;
    Ok((method.unwrap_or_default(), text::read_request(stored.as_deref().unwrap_or_default())?))
}

/// A row with a `request` text as an answer: with the decoded request, or without it.
///
/// # Errors
/// When the request cannot be read.
pub(crate) fn with_request(row: toji_db::Row, wanted: bool) -> Result<Value, Fault> {
    let mut map = row.into_map();
    let stored = map.remove("request");
    if wanted {
        let stored = stored.as_ref().and_then(Value::as_str).unwrap_or_default();
        map.insert("request", Value::Array(text::read_request(stored)?));
    }
    Ok(map.into())
}
