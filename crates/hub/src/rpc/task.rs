//! Calls that make, show and end tasks.

use std::collections::BTreeMap;

use toji_api::task::*;
use toji_bus::Topic;
use toji_db::task as db;
use toji_db::{Param, QueryOpts};
use toji_types::TaskState;
use toji_value::{Fault, FromValue, IntoValue, Map, Value};

use crate::Call;
use crate::dispatch::Handle;
use crate::task::make::{self, DEFAULT_PRIORITY};
use crate::task::wait::{Answer, result_of};
use crate::task::{self, text, transition};

impl Handle for MakeTask {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        let mut named = self.opts;
        if named.contains_key("owner") {
            return Err(Fault::not_allowed("The owner option is not allowed here"));
        }
        let mut args = self.args.into_iter();
        let mut take = |name: &str| {
            let missing = || Fault::parameter(format!("make_task() misses the argument '{name}'"));
            args.next().or_else(|| named.remove(name)).ok_or_else(missing)
        };
        let method = String::from_value(take("method")?)?;
        let arglist = Vec::from_value(take("arglist")?)?;
        let options = make::Options::from_map(call, named).await?;
        make::make(call, &method, arglist, options).await
    }
}

impl Handle for GetTaskInfo {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let single = self.task_id.as_array().is_none();
        let ids = match self.task_id {
            Value::Array(ids) => ids,
            one => vec![one],
        };
        let ids = ids.into_iter().map(i64::from_value).collect::<Result<Vec<_>, _>>()?;
        let mut found = BTreeMap::new();
        for row in db::get_with_requests(&mut call.tx, &ids).await? {
            let id: i64 = row.get("id")?;
            found.insert(id, task::with_request(row, self.request)?);
        }
        let mut answers = Vec::with_capacity(ids.len());
        for id in ids {
            match found.get(&id) {
                None if self.strict => return Err(Fault::generic("query returned no rows")),
                info => answers.push(info.cloned().unwrap_or_default()),
            }
        }
        Ok(if single { answers.pop().unwrap_or_default() } else { Value::Array(answers) })
    }
}

impl Handle for GetTaskRequest {
    async fn handle(self, call: &mut Call) -> Result<Vec<Value>, Fault> {
        Ok(task::request(call, self.task_id).await?.1)
    }
}

impl Handle for GetTaskResult {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let rows = db::results(&mut call.tx, &[self.task_id]).await?;
        match result_of(self.task_id, rows.first())? {
            Answer::Result(value) => Ok(value),
            Answer::Fault(fault) if !self.raise_fault => Ok(text::fault_map(&fault)),
            Answer::Fault(fault) | Answer::Canceled(fault) => Err(fault),
        }
    }
}

impl Handle for GetTaskChildren {
    async fn handle(self, call: &mut Call) -> Result<Vec<Value>, Fault> {
        if self.strict && db::get(&mut call.tx, self.task_id).await?.is_none() {
            return Err(Fault::generic("query returned no rows"));
        }
        let rows = db::children(&mut call.tx, self.task_id).await?;
        rows.into_iter().map(|row| task::with_request(row, self.request)).collect()
    }
}

impl Handle for GetTaskDescendents {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let rows = db::descendants(&mut call.tx, self.task_id).await?;
        let mut children: BTreeMap<i64, Vec<Value>> = BTreeMap::from([(self.task_id, vec![])]);
        for row in rows {
            let (id, parent): (i64, Option<i64>) = (row.get("id")?, row.get("parent")?);
            let info = task::with_request(row, self.request)?;
            children.entry(id).or_default();
            children.entry(parent.unwrap_or_default()).or_default().push(info);
        }
        let members =
            children.into_iter().map(|(id, list)| (id.to_string().into(), Value::Array(list)));
        Ok(Value::Struct(members.collect()))
    }
}

impl Handle for TaskFinished {
    async fn handle(self, call: &mut Call) -> Result<bool, Fault> {
        let rows = db::results(&mut call.tx, &[self.task_id]).await?;
        let row = rows.first().ok_or_else(|| Fault::generic("query returned no rows"))?;
        Ok(TaskState::try_from(row.get::<i64>("state")?).is_ok_and(TaskState::is_finished))
    }
}

impl Handle for ListTasks {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let opts = match self.opts {
            Value::Struct(opts) => opts,
            other if other.truthy() => Map::from_value(other)?,
            _ => Map::new(),
        };
        let query = QueryOpts::from_value(&self.query_opts)?;
        let filter = filter(&opts)?;
        let mut tasks = db::list(&mut call.tx, filter, &query).await?;
        if opts.truthy("decode")
            && !query.as_list
            && let Value::Array(tasks) = &mut tasks
        {
            tasks.iter_mut().try_for_each(decode)?;
        }
        Ok(tasks)
    }
}

/// The wanted tasks by the options' names; a `not_` option excludes.
fn filter(opts: &Map) -> Result<db::Filter, Fault> {
    let mut filter = db::Filter::default();
    for (prefix, wanted) in [("", true), ("not_", false)] {
        let get = |name: &str| opts.get(&format!("{prefix}{name}"));
        if let Some(arches) = get("arch") {
            filter.arches.push((list_of(arches, "arch", Value::as_str, str::to_owned)?, wanted));
        }
        if let Some(states) = get("state") {
            filter.states.push((list_of(states, "state", int, |i| i)?, wanted));
        }
        for (name, column) in [
            ("owner", db::Number::Owner),
            ("host_id", db::Number::Host),
            ("channel_id", db::Number::Channel),
            ("parent", db::Number::Parent),
        ] {
            let value = match get(name) {
                None => continue,
                Some(Value::Nil) => db::Match::Null,
                Some(list @ Value::Array(_)) => db::Match::Many(list_of(list, name, int, |i| i)?),
                Some(one) => db::Match::One(int(one).ok_or_else(|| unusable(name, one))?),
            };
            filter.numbers.push((column, value, wanted));
        }
    }
    filter.method = opts
        .get("method")
        .map(|method| crate::check::text_opt(method).map(|text| text.map(str::to_owned)))
        .transpose()?
        .flatten();
    for (name, moment, before) in TIMES {
        if let Some(value) = opts.get(name).filter(|v| !v.is_nil()) {
            filter.times.push((*moment, *before, Param::scalar(value)));
        }
    }
    Ok(filter)
}

const TIMES: &[(&str, db::Moment, bool)] = &[
    ("createdBefore", db::Moment::Created, true),
    ("createdAfter", db::Moment::Created, false),
    ("startedBefore", db::Moment::Started, true),
    ("startedAfter", db::Moment::Started, false),
    ("completeBefore", db::Moment::Completed, true),
    ("completeAfter", db::Moment::Completed, false),
    ("completedBefore", db::Moment::Completed, true),
    ("completedAfter", db::Moment::Completed, false),
];

fn int(value: &Value) -> Option<i64> {
    value.as_int()
}

/// A Koji hub answers a wrong or empty list with an error of its database (code 1).
fn unusable(name: &str, value: &Value) -> Fault {
    Fault::unexpected(format!("cannot filter tasks by {name} = {}", value.repr()))
}

fn list_of<'a, T: 'a, U>(
    value: &'a Value,
    name: &str,
    item: impl Fn(&'a Value) -> Option<T>,
    convert: impl Fn(T) -> U,
) -> Result<Vec<U>, Fault> {
    let items = value.as_array().filter(|items| !items.is_empty());
    let items = items.ok_or_else(|| unusable(name, value))?;
    let read = |v| item(v).map(&convert).ok_or_else(|| unusable(name, value));
    items.iter().map(read).collect()
}

/// Puts the decoded request and result in the place of their texts.
fn decode(task: &mut Value) -> Result<(), Fault> {
    let Some(task) = task.as_struct_mut() else { return Ok(()) };
    if let Some(stored) = task.str("request").filter(|t| !t.is_empty()) {
        let request = text::read_request(stored)?;
        task.insert("request", Value::Array(request));
    }
    if let Some(stored) = task.str("result").filter(|t| !t.is_empty()) {
        let result = match text::read_result(stored)? {
            Ok(value) => Value::Array(vec![value]),
            Err(fault) => text::fault_map(&fault),
        };
        task.insert("result", result);
    }
    Ok(())
}

impl Handle for ResubmitTask {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        let user = call.login()?.user_id;
        let row = db::get(&mut call.tx, self.task_id).await?;
        let row = row.ok_or_else(|| Fault::generic("query returned no rows"))?;
        let state: i64 = row.get("state")?;
        if state != TaskState::Canceled.number() && state != TaskState::Failed.number() {
            return Err(Fault::generic("only canceled or failed tasks may be resubmitted"));
        }
        if row.get::<Option<i64>>("parent")?.is_some() {
            return Err(Fault::generic("only top-level tasks may be resubmitted"));
        }
        if row.get::<i64>("owner")? != user && !call.has_perm("admin").await? {
            let text = "only the task owner or an admin may resubmit a task";
            return Err(Fault::generic(text));
        }
        let (method, args) = task::request(call, self.task_id).await?;
        let options = make::Options {
            channel: Some(row.get::<i64>("channel_id")?.into_value()),
            arch: row.get("arch")?,
            priority: row.get("priority")?,
            ..make::Options::default()
        };
        make::make(call, &method, args, options).await
    }
}

impl Handle for CancelTask {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        task::lock_to_cancel(call, self.task_id).await?;
        transition::cancel(call, self.task_id, self.recurse).await?;
        Ok(Value::Nil)
    }
}

impl Handle for CancelTaskFull {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        transition::cancel_full(call, self.task_id, self.strict).await?;
        Ok(Value::Nil)
    }
}

impl Handle for CancelTaskChildren {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        task::lock_to_cancel(call, self.task_id).await?;
        transition::cancel_children(call, self.task_id).await?;
        Ok(Value::Nil)
    }
}

impl Handle for FreeTask {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        if db::get(&mut call.tx, self.task_id).await?.is_none() {
            return Err(toji_db::Error::NoRows.into());
        }
        let task = task::lock(call, self.task_id).await?;
        // Koji takes the number of this state for none at all.
        if task.state == TaskState::Free {
            return Err(task::missing(self.task_id));
        }
        transition::free(call, &task).await?;
        Ok(Value::Nil)
    }
}

impl Handle for AssignTask {
    async fn handle(self, call: &mut Call) -> Result<bool, Fault> {
        let unknown = || Fault::generic(format!("Invalid hostInfo: {}", self.host.display()));
        let host = match &self.host {
            Value::Int(id) => db::host(&mut call.tx, *id).await?.map(|row| row.get("id")),
            other => {
                let name = other.as_str().unwrap_or_default();
                db::host_by_name(&mut call.tx, name).await?.map(Ok)
            }
        };
        let host = host.transpose()?.ok_or_else(unknown)?;
        call.tx.lock("scheduler").await?;
        let (id, task, on) = (self.task_id, Some(self.task_id), Some(host));
        if !transition::assign(call, id, host, self.force.0).await? {
            db::log(&mut call.tx, "Assignment failed", task, on).await?;
            return Ok(false);
        }
        let how = if self.override_.0 { " (override)" } else { "" };
        db::log(&mut call.tx, &format!("Assigning task{how}"), task, on).await?;
        db::end_runs(&mut call.tx, id).await?;
        // Without a run the scheduler does not see an assignment that it could time out.
        if !self.override_.0 {
            db::insert_run(&mut call.tx, id, host).await?;
        }
        Ok(true)
    }
}

impl Handle for SetTaskPriority {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let row = db::lock(&mut call.tx, self.task_id).await?.ok_or(toji_db::Error::NoRows)?;
        let task = task::Locked::from_row(&row)?;
        if task.state.is_finished() {
            return Err(Fault::generic("Finished task's priority can't be updated"));
        }
        let mut ids = vec![self.task_id];
        if self.recurse {
            for row in db::lock_tree(&mut call.tx, self.task_id).await? {
                ids.push(row.get("id")?);
            }
        }
        db::set_priority(&mut call.tx, &ids, self.priority).await?;
        call.signal(Topic::Scheduler);
        Ok(Value::Nil)
    }
}

impl Handle for Build {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        if self.src.as_str().is_none() {
            return Err(wrong_type(&self.src, "str"));
        }
        let args = vec![self.src, self.target, options_or_empty(self.opts)];
        submit(call, "build", args, self.priority, self.channel).await
    }
}

impl Handle for ChainBuild {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        if self.srcs.as_array().is_none() {
            return Err(wrong_type(&self.srcs, "list"));
        }
        let args = vec![self.srcs, self.target, options_or_empty(self.opts)];
        submit(call, "chainbuild", args, self.priority, self.channel).await
    }
}

fn options_or_empty(opts: Value) -> Value {
    if opts.truthy() { opts } else { Value::Struct(Map::new()) }
}

fn wrong_type(value: &Value, expected: &str) -> Fault {
    Fault::parameter(format!(
        "Invalid type for value '{}': <class '{}'>, expected type <class '{expected}'>",
        value.display(),
        value.type_name()
    ))
}

/// Makes a user's task; only administrators may go before the default priority.
pub(crate) async fn submit(
    call: &mut Call,
    method: &str,
    args: Vec<Value>,
    priority: Option<i64>,
    channel: Value,
) -> Result<i64, Fault> {
    let step = priority.unwrap_or(0);
    if step < 0 && !call.has_perm("admin").await? {
        return Err(Fault::not_allowed("only admins may create high-priority tasks"));
    }
    let options = make::Options {
        priority: Some(DEFAULT_PRIORITY + step),
        channel: Some(channel).filter(Value::truthy),
        ..make::Options::default()
    };
    make::make(call, method, args, options).await
}
