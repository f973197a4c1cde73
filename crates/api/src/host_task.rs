//! What builders call about themselves and the tasks they hold.

use toji_api_macros::rpcs;
use toji_value::{Map, Value};

rpcs! {
    area host_task;

    /// Returns the number of the calling host.
    #[access(host)]
    #[python("HostExports.getID")]
    read host.getID() -> i64;

    /// Returns the calling host.
    #[access(host)]
    #[python("HostExports.getHost")]
    read host.getHost() -> Value;

    /// Tells whether the calling host may take tasks.
    #[access(custom, "builders, also without an exclusive session")]
    #[python("HostExports.isEnabled")]
    read host.isEnabled() -> bool;

    /// Returns the calling host with its channels, and the tasks that are assigned to it.
    #[access(host)]
    #[python("HostExports.getLoadData")]
    read host.getLoadData() -> Value;

    /// Returns the tasks that are assigned to the calling host and not yet opened.
    #[access(host)]
    #[python("HostExports.getTasks")]
    read host.getTasks() -> Vec<Value>;

    /// Returns the open tasks of the calling host; `alert` marks those whose wait has an end.
    #[access(host)]
    #[python("HostExports.getHostTasks")]
    read host.getHostTasks() -> Vec<Value>;

    /// Stores the load of the calling host and whether it takes tasks.
    #[access(host)]
    #[python("HostExports.updateHost")]
    write host.updateHost(task_load: f64, ready: bool, data: Value = None) -> Value;

    /// Stores what the scheduler may know of the calling host.
    #[access(host)]
    #[python("HostExports.setHostData")]
    write host.setHostData(hostdata: Value) -> Value;

    /// Begins the work on a task and returns it with its request; nil if it cannot be had.
    #[access(host)]
    #[python("HostExports.openTask")]
    write host.openTask(task_id: i64) -> Value;

    /// Ends a task well, with the text of its response.
    #[access(host)]
    #[python("HostExports.closeTask")]
    write host.closeTask(task_id: i64, response: String) -> Value;

    /// Ends a task with a fault, with the text of its response.
    #[access(host)]
    #[python("HostExports.failTask")]
    write host.failTask(task_id: i64, response: String) -> Value;

    /// Gives tasks back; those that the host no longer holds are left out.
    #[access(host)]
    #[python("HostExports.freeTasks")]
    write host.freeTasks(tasks: Vec<i64>) -> Value;

    /// Declines a task that is assigned to the calling host.
    #[access(host)]
    #[python("HostExports.refuseTask")]
    write host.refuseTask(task_id: i64, soft: toji_value::Truth = true, msg: String = "") -> Value;

    /// Sets how much of the host's capacity a task takes.
    #[access(host)]
    #[python("HostExports.setTaskWeight")]
    write host.setTaskWeight(task_id: i64, weight: f64) -> Value;

    /// Makes a task below one that the calling host holds.
    #[access(host)]
    #[python("HostExports.subtask")]
    write host.subtask(method: String, arglist: Vec<Value>, parent: i64, **opts: Map) -> i64;

    /// The same, with the arguments of the task as further arguments.
    #[access(host)]
    #[python("HostExports.subtask2")]
    write host.subtask2(
        _HostExports__parent: i64, _HostExports__taskopts: Map, _HostExports__method: String,
        *args: Vec<Value>, **opts: Map
    ) -> i64;

    /// Marks a task as waiting for these subtasks, or for all.
    #[access(host)]
    #[python("HostExports.taskSetWait")]
    write host.taskSetWait(parent: i64, tasks: Option<Vec<i64>>) -> Value;

    /// Returns the awaited subtasks that have ended, and those that have not.
    #[access(host)]
    #[python("HostExports.taskWait")]
    write host.taskWait(parent: i64) -> Vec<Value>;

    /// Ends the waiting and returns the results of subtasks.
    #[access(host)]
    #[python("HostExports.taskWaitResults")]
    write host.taskWaitResults(
        parent: i64, tasks: Option<Vec<i64>>, canfail: Option<Vec<i64>> = None
    ) -> Vec<Value>;
}
