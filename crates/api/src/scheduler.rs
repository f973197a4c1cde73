//! The scheduler, as its administrators see it.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area scheduler;

    /// Runs the scheduler now; without `force` only if none runs and the last run is long enough ago.
    #[access(admin)]
    #[python("SchedulerExports.doRun")]
    write scheduler.doRun(force: toji_value::Truth = false) -> bool;

    /// Returns what a host, or every host, last said of itself, as `host_id` and `data`.
    #[access(anonymous)]
    #[python("get_host_data")]
    #[example("[]")]
    read scheduler.getHostData(hostID: Value = None) -> Value;

    /// Returns what the scheduler did; `clauses` are `[field, value]` or `[field, operator, value]`.
    #[access(anonymous)]
    #[python("get_log_messages")]
    #[example("[]")]
    read scheduler.getLogMessages(clauses: Value = None, fields: Value = None, opts: Value = None) -> Value;

    /// Returns which hosts have refused which tasks.
    #[access(anonymous)]
    #[python("get_task_refusals")]
    #[example("[]")]
    read scheduler.getTaskRefusals(clauses: Value = None, fields: Value = None) -> Value;

    /// Returns which tasks were given to which hosts.
    #[access(anonymous)]
    #[python("get_task_runs")]
    #[example("[]")]
    read scheduler.getTaskRuns(clauses: Value = None, fields: Value = None, opts: Value = None) -> Value;

    /// Tells why a task has not started: the `reason`, its `position` in the `queue` of its channel and arch, and
    /// what keeps each of the `hosts`. Not in Koji.
    #[access(anonymous)]
    #[example("[1]")]
    read scheduler.explain(taskID: i64) -> Value;

    /// Counts how many waiting tasks of each channel and arch would start at once, `now` and `then` with more `hosts`:
    /// each a map of `arches`, `channels` (names; default `default`), `capacity` (2) and `count` (1). Not in Koji.
    #[access(anonymous)]
    #[example("[[{\"arches\": \"s390x\", \"count\": 10}]]")]
    read scheduler.forecast(hosts: Value = None) -> Value;
}
