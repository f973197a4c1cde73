//! Tasks: making, watching and ending them.

use toji_api_macros::rpcs;
use toji_value::{Map, Value};

rpcs! {
    area task;

    /// Makes a task of any method; meant for administrators who test or repair.
    #[access(admin)]
    write makeTask(*args: Vec<Value>, **opts: Map) -> i64;

    /// Returns a task (or a list of them for a list of numbers), with its request if asked for.
    #[access(anonymous)]
    #[example("[400001]")]
    read getTaskInfo(task_id: Value, request: bool = false, strict: bool = false) -> Value;

    /// Returns the arguments of a task.
    #[access(anonymous)]
    #[example("[400001]")]
    read getTaskRequest(taskId: i64) -> Vec<Value>;

    /// Returns the result of a finished task; the fault of a failed one is raised, or returned as
    /// a struct.
    #[access(anonymous)]
    #[example("[400001]")]
    read getTaskResult(taskId: i64, raise_fault: bool = true) -> Value;

    /// Returns the tasks right below a task.
    #[access(anonymous)]
    #[example("[400001]")]
    read getTaskChildren(task_id: i64, request: bool = false, strict: bool = false) -> Vec<Value>;

    /// Returns, for a task and every task below it, the list of its children.
    #[access(anonymous)]
    #[example("[400001]")]
    read getTaskDescendents(task_id: i64, request: bool = false) -> Value;

    /// Returns tasks by arch, state, owner, host, channel, parent, method and times.
    #[access(anonymous)]
    #[example(r#"[{"method": "build"}, {"limit": 1}]"#)]
    read listTasks(opts: Value = None, queryOpts: Value = None) -> Value;

    /// Tells whether a task has ended, well or not.
    #[access(anonymous)]
    #[example("[400001]")]
    read taskFinished(taskId: i64) -> bool;

    /// Makes a task like a failed or cancelled one and returns its number.
    #[access(custom, "the owner of the task; administrators")]
    write resubmitTask(taskID: i64) -> i64;

    /// Cancels a task and, unless told otherwise, the tasks below it.
    #[access(custom, "the owner of the task, the host that works on it; administrators")]
    write cancelTask(task_id: i64, recurse: bool = true) -> Value;

    /// Cancels a task with its whole group.
    #[access(admin)]
    write cancelTaskFull(task_id: i64, strict: bool = true) -> Value;

    /// Cancels the tasks below a task.
    #[access(owner, "the owner of the task, the host that works on it; administrators")]
    write cancelTaskChildren(task_id: i64) -> Value;

    /// Takes a task from its host and puts it back into the queue.
    #[access(admin)]
    write freeTask(task_id: i64) -> Value;

    /// Gives a task to a host and tells whether that was possible.
    #[access(admin)]
    #[python("do_assign")]
    write assignTask(
        task_id: i64, host: Value, force: toji_value::Truth = false, override: toji_value::Truth = false
    ) -> bool;

    /// Changes the priority of a task and, unless told otherwise, of the tasks below it.
    #[access(admin)]
    write setTaskPriority(task_id: i64, priority: i64, recurse: bool = true) -> Value;

    /// Submits a build from an SRPM or a source URL for a target and returns the task's number.
    #[access(login)]
    write build(
        src: Value, target: Value, opts: Value = None, priority: Option<i64> = None,
        channel: Value = None
    ) -> i64;

    /// Submits builds that are made one list after the other and returns the task's number.
    #[access(login)]
    write chainBuild(
        srcs: Value, target: Value, opts: Value = None, priority: Option<i64> = None,
        channel: Value = None
    ) -> i64;
}
