//! Calls of builders about themselves and the tasks they hold.

use toji_api::host_task::*;
use toji_bus::Topic;
use toji_db::task as db;
use toji_types::TaskState;
use toji_value::{Args, Fault, IntoValue, Map, Value, list, map};

use crate::Call;
use crate::dispatch::Handle;
use crate::task::{self, make, transition, wait};

impl Handle for HostGetID {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        call.host_id().await
    }
}

impl Handle for HostGetHost {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        Ok(own_host(call).await?.into())
    }
}

async fn own_host(call: &mut Call) -> Result<Map, Fault> {
    let id = call.host_id().await?;
    let row = db::host(&mut call.tx, id).await?;
    let missing = || Fault::generic(format!("Invalid hostInfo: {id}"));
    Ok(row.ok_or_else(missing)?.into_map())
}

impl Handle for HostIsEnabled {
    async fn handle(self, call: &mut Call) -> Result<bool, Fault> {
        Ok(own_host(call).await?.truthy("enabled"))
    }
}

impl Handle for HostGetLoadData {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let id = call.host_id().await?;
        let mut host = own_host(call).await?;
        host.insert("channels", db::host_channels(&mut call.tx, id).await?);
        Ok(list![list![host], Value::Array(assigned(call).await?)])
    }
}

impl Handle for HostGetTasks {
    async fn handle(self, call: &mut Call) -> Result<Vec<Value>, Fault> {
        assigned(call).await
    }
}

async fn assigned(call: &mut Call) -> Result<Vec<Value>, Fault> {
    let id = call.host_id().await?;
    let rows = db::assigned(&mut call.tx, id).await?;
    Ok(rows.into_iter().map(|row| row.into_map().into()).collect())
}

impl Handle for HostGetHostTasks {
    async fn handle(self, call: &mut Call) -> Result<Vec<Value>, Fault> {
        let id = call.host_id().await?;
        let mut tasks = Vec::new();
        for row in db::open_on(&mut call.tx, id).await? {
            let mut task = row.into_map();
            let ended = task.remove("ended").is_some_and(|v| v.truthy());
            if ended && task.truthy("waiting") {
                task.insert("alert", true);
            }
            tasks.push(task.into());
        }
        Ok(tasks)
    }
}

impl Handle for HostUpdateHost {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let id = call.host_id().await?;
        let news = db::update_host(&mut call.tx, id, self.task_load, self.ready).await?;
        if !self.data.is_nil() {
            set_data(call, id, self.data).await?;
        }
        if news {
            call.emit(
                "host.state",
                &format!("host:{id}"),
                map! { "host_id" => id, "lost" => false },
            );
        }
        call.signal(Topic::Scheduler);
        Ok(Value::Nil)
    }
}

impl Handle for HostSetHostData {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let id = call.host_id().await?;
        // Old builders send the struct as JSON text.
        let data = match self.hostdata {
            Value::Str(text) => serde_json::from_str::<serde_json::Value>(&text)
                .map(Value::from_json)
                .map_err(|e| Fault::parameter(format!("Host data is not JSON: {e}")))?,
            data => data,
        };
        set_data(call, id, data).await?;
        Ok(Value::Nil)
    }
}

async fn set_data(call: &mut Call, id: i64, data: Value) -> Result<(), Fault> {
    if data.as_struct().is_none() {
        return Err(Fault::parameter("Host data should be a dictionary"));
    }
    Ok(db::set_host_data(&mut call.tx, id, &data).await?)
}

impl Handle for HostOpenTask {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let host = call.host_id().await?;
        if !transition::open(call, self.task_id, host).await? {
            return Ok(Value::Nil);
        }
        let row = db::get_with_requests(&mut call.tx, &[self.task_id]).await?.pop();
        Ok(row.map(|row| Value::Struct(row.into_map())).unwrap_or_default())
    }
}

impl Handle for HostCloseTask {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let task = task::lock_held(call, self.task_id).await?;
        check_length(call, task.id, &self.response)?;
        transition::finish(call, &task, TaskState::Closed, &self.response).await?;
        Ok(Value::Nil)
    }
}

impl Handle for HostFailTask {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let task = task::lock_held(call, self.task_id).await?;
        check_length(call, task.id, &self.response)?;
        transition::finish(call, &task, TaskState::Failed, &self.response).await?;
        Ok(Value::Nil)
    }
}

/// Refuses a result that is too long to be kept; the task stays its host's.
fn check_length(call: &Call, id: i64, response: &str) -> Result<(), Fault> {
    let most = call.hub.config.scheduler.max_result;
    if i64::try_from(response.len()).is_ok_and(|length| length <= most) {
        return Ok(());
    }
    let length = response.len();
    Err(Fault::generic(format!(
        "the result of task {id} has {length} bytes, at most {most} are taken"
    )))
}

impl Handle for HostFreeTasks {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let host = call.host_id().await?;
        let rows = db::lock_all(&mut call.tx, &self.tasks).await?;
        if let Some(id) = self
            .tasks
            .iter()
            .find(|id| !rows.iter().any(|row| row.value("id").as_int() == Some(**id)))
        {
            return Err(task::missing(*id));
        }
        for row in rows {
            let task = task::Locked::from_row(&row)?;
            // A task may have been given to another host since the builder looked.
            if task.is_held_by(host) {
                transition::free(call, &task).await?;
            }
        }
        Ok(Value::Nil)
    }
}

impl Handle for HostRefuseTask {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let host = call.host_id().await?;
        let row = db::lock(&mut call.tx, self.task_id).await?;
        let row = row.ok_or_else(|| Fault::generic("query returned no rows"))?;
        let task = task::Locked::from_row(&row)?;
        if task.host_id != Some(host) {
            tracing::warn!(host, task = task.id, "host refused a task of another host");
            return Ok(Value::Nil);
        }
        db::refuse(&mut call.tx, task.id, host, self.soft.0, true, &self.msg).await?;
        let text = format!("Host refused task: {}", self.msg);
        db::log(&mut call.tx, &text, Some(task.id), Some(host)).await?;
        transition::free(call, &task).await?;
        Ok(Value::Nil)
    }
}

impl Handle for HostSetTaskWeight {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        task::lock_held(call, self.task_id).await?;
        db::set_weight(&mut call.tx, self.task_id, self.weight).await?;
        Ok(Value::Nil)
    }
}

impl Handle for HostSubtask {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        subtask(call, self.parent, &self.method, self.arglist, self.opts).await
    }
}

impl Handle for HostSubtask2 {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        let args = Args { positional: self.args, keywords: self.opts }.encode();
        let (parent, opts) = (self._host_exports__parent, self._host_exports__taskopts);
        subtask(call, parent, &self._host_exports__method, args, opts).await
    }
}

async fn subtask(
    call: &mut Call,
    parent: i64,
    method: &str,
    mut args: Vec<Value>,
    mut opts: Map,
) -> Result<i64, Fault> {
    task::lock_held(call, parent).await?;
    if opts.contains_key("owner") {
        return Err(Fault::not_allowed("The owner option is not allowed here"));
    }
    // A parent that was started again finds the subtasks of its first run by their labels.
    if let Some(label) = opts.str("label")
        && let Some(id) = db::labelled(&mut call.tx, parent, label).await?
    {
        return Ok(id);
    }
    if let Some(Value::Struct(keywords)) = opts.remove("kwargs") {
        args = Args { positional: args, keywords }.encode();
    }
    let mut options = make::Options::from_map(call, opts).await?;
    options.parent = Some(parent);
    make::make(call, method, args, options).await
}

impl Handle for HostTaskSetWait {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let held = task::lock_held(call, self.parent).await?;
        wait::set(call, self.parent, self.tasks.as_deref()).await?;
        // A subtask may have ended before it was awaited: the host looks once more.
        held.host_id.into_iter().for_each(|host| call.signal(Topic::Host(host)));
        Ok(Value::Nil)
    }
}

impl Handle for HostTaskWait {
    async fn handle(self, call: &mut Call) -> Result<Vec<Value>, Fault> {
        task::check_host(call, self.parent).await?;
        let (finished, unfinished) = wait::poll(call, self.parent).await?;
        Ok(vec![finished.into_value(), unfinished.into_value()])
    }
}

impl Handle for HostTaskWaitResults {
    async fn handle(self, call: &mut Call) -> Result<Vec<Value>, Fault> {
        task::check_host(call, self.parent).await?;
        let canfail = self.canfail.unwrap_or_default();
        wait::results(call, self.parent, self.tasks, &canfail).await
    }
}
