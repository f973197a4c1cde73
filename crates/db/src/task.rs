//! Tasks: look-ups, state changes and waiting.

mod host;
mod list;

pub use host::*;
pub use list::{Filter, Match, Moment, Number, list};

use toji_types::{BuildState, TaskState};

use crate::{Result, Row, Tx, params};

/// The columns that clients see of a task, in the order of their names.
macro_rules! fields {
    () => {
        "task.arch AS arch, task.awaited AS awaited, task.channel_id AS channel_id,
         task.completion_time AS completion_time,
         date_part('epoch', task.completion_time) AS completion_ts,
         task.create_time AS create_time, date_part('epoch', task.create_time) AS create_ts,
         task.host_id AS host_id, task.id AS id, task.label AS label, task.method AS method,
         task.owner AS owner, task.parent AS parent, task.priority AS priority,
         task.start_time AS start_time, date_part('epoch', task.start_time) AS start_ts,
         task.state AS state, task.waiting AS waiting, task.weight AS weight"
    };
}

/// The columns that a transition looks at.
macro_rules! locked {
    () => {
        "task.id AS id, task.state AS state, task.host_id AS host_id, task.parent AS parent,
         task.owner AS owner, task.method AS method, task.arch AS arch,
         task.channel_id AS channel_id, task.label AS label, task.awaited AS awaited,
         task.start_time AS start_time,
         (SELECT up.host_id FROM task up WHERE up.id = task.parent) AS parent_host"
    };
}

/// A task to be made.
#[derive(Clone, Debug)]
pub struct New<'a> {
    /// The state that it starts in.
    pub state: TaskState,
    /// Its host, if it starts assigned.
    pub host_id: Option<i64>,
    /// The user it belongs to.
    pub owner: i64,
    /// What is to be done.
    pub method: &'a str,
    /// The arguments, as the text of an XML-RPC call.
    pub request: &'a str,
    /// Lower goes first.
    pub priority: i64,
    /// The task that waits for it.
    pub parent: Option<i64>,
    /// Names it among its siblings.
    pub label: Option<&'a str>,
    /// Where it runs.
    pub channel_id: i64,
    /// What it runs on.
    pub arch: &'a str,
}

/// One task as clients see it.
pub async fn get(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    tx.query_opt(concat!("SELECT ", fields!(), " FROM task WHERE task.id = $1"), params![id]).await
}

/// Tasks as clients see them, with their `request` texts.
pub async fn get_with_requests(tx: &mut Tx, ids: &[i64]) -> Result<Vec<Row>> {
    let sql = concat!(
        "SELECT ",
        fields!(),
        ", task.request AS request FROM task WHERE task.id = ANY($1) ORDER BY task.id"
    );
    tx.query(sql, params![ids]).await
}

/// Tasks of a method in some states: `id`, `request`.
pub async fn of_method(tx: &mut Tx, method: &str, states: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT id, request FROM task WHERE method = $1 AND state = ANY($2) ORDER BY id";
    tx.query(sql, params![method, states]).await
}

/// The text of a task's request.
pub async fn request(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    tx.query_opt("SELECT method, request FROM task WHERE id = $1", params![id]).await
}

/// States and result texts of tasks: `id`, `state`, `result`.
pub async fn results(tx: &mut Tx, ids: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT id, state, result FROM task WHERE id = ANY($1) ORDER BY id";
    tx.query(sql, params![ids]).await
}

/// The names of the hosts of those of the tasks that have one: `id` of the task, `name`.
pub async fn host_names(tx: &mut Tx, ids: &[i64]) -> Result<Vec<Row>> {
    let sql =
        "SELECT task.id AS id, host.name AS name FROM task JOIN host ON host.id = task.host_id
                WHERE task.id = ANY($1)";
    tx.query(sql, params![ids]).await
}

/// The tasks right below one, with their `request` texts, in the order of their labels.
pub async fn children(tx: &mut Tx, parent: i64) -> Result<Vec<Row>> {
    let sql = concat!(
        "SELECT ",
        fields!(),
        ", task.request AS request FROM task WHERE task.parent = $1 ORDER BY task.label, task.id"
    );
    tx.query(sql, params![parent]).await
}

/// All tasks below one, with their `request` texts.
pub async fn descendants(tx: &mut Tx, id: i64) -> Result<Vec<Row>> {
    let sql = concat!(
        "WITH RECURSIVE below(id) AS (
             SELECT t.id FROM task t WHERE t.parent = $1
              UNION
             SELECT t.id FROM task t JOIN below ON t.parent = below.id)
         SELECT ",
        fields!(),
        ", task.request AS request FROM below CROSS JOIN task WHERE task.id = below.id ORDER BY below.id"
    );
    tx.query(sql, params![id]).await
}

/// The numbers of all tasks below some, at most `limit`.
pub async fn below(tx: &mut Tx, ids: &[i64], limit: i64) -> Result<Vec<i64>> {
    let sql = "WITH RECURSIVE below(id) AS (
                   SELECT t.id FROM task t WHERE t.parent = ANY($1)
                    UNION
                   SELECT t.id FROM task t JOIN below ON t.parent = below.id)
               SELECT id FROM below LIMIT $2";
    let rows = tx.query(sql, params![ids, limit]).await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// Locks a task's row until the end of the transaction.
pub async fn lock(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    let sql = concat!("SELECT ", locked!(), " FROM task WHERE task.id = $1 FOR UPDATE OF task");
    tx.query_opt(sql, params![id]).await
}

/// Numbers and states of those of the tasks that exist.
pub async fn states(tx: &mut Tx, ids: &[i64]) -> Result<Vec<Row>> {
    tx.query("SELECT id, state FROM task WHERE id = ANY($1)", params![ids]).await
}

/// Locks several tasks, in the order of their numbers.
pub async fn lock_all(tx: &mut Tx, ids: &[i64]) -> Result<Vec<Row>> {
    let sql = concat!(
        "SELECT ",
        locked!(),
        " FROM task WHERE task.id = ANY($1) ORDER BY task.id FOR UPDATE OF task"
    );
    tx.query(sql, params![ids]).await
}

/// Locks a task and all tasks below it, in the order of their numbers.
pub async fn lock_tree(tx: &mut Tx, id: i64) -> Result<Vec<Row>> {
    let sql = concat!(
        "SELECT ",
        locked!(),
        " FROM task WHERE task.id IN (
             WITH RECURSIVE tree(id) AS (
                 SELECT t.id FROM task t WHERE t.id = $1
                  UNION
                 SELECT t.id FROM task t JOIN tree ON t.parent = tree.id)
             SELECT tree.id FROM tree)
          ORDER BY task.id FOR UPDATE OF task"
    );
    tx.query(sql, params![id]).await
}

/// The task at the top of the group of this one.
pub async fn top(tx: &mut Tx, id: i64) -> Result<Option<i64>> {
    let sql = "WITH RECURSIVE up(id, parent) AS (
                   SELECT t.id, t.parent FROM task t WHERE t.id = $1
                    UNION
                   SELECT t.id, t.parent FROM task t JOIN up ON t.id = up.parent)
               SELECT up.id AS id FROM up WHERE up.parent IS NULL";
    tx.scalar_opt(sql, params![id]).await
}

/// What a subtask takes from its parent: `state`, `owner`, `channel_id`, `priority`, `arch`.
pub async fn parent(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    let sql =
        "SELECT state, owner, channel_id, priority, arch, host_id, parent FROM task WHERE id = $1";
    tx.query_opt(sql, params![id]).await
}

/// The child of this parent with this label.
pub async fn labelled(tx: &mut Tx, parent: i64, label: &str) -> Result<Option<i64>> {
    let sql = "SELECT id FROM task WHERE parent = $1 AND label = $2";
    tx.scalar_opt(sql, params![parent, label]).await
}

/// Makes a task and returns its number.
pub async fn insert(tx: &mut Tx, new: &New<'_>) -> Result<i64> {
    tx.scalar(
        "INSERT INTO task (state, host_id, owner, method, request, priority, parent, label,
                           channel_id, arch)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id",
        params![
            new.state.number(),
            new.host_id,
            new.owner,
            new.method,
            new.request,
            new.priority,
            new.parent,
            new.label,
            new.channel_id,
            new.arch
        ],
    )
    .await
}

/// Sets state and host of a task; the caller has locked it and checked the move.
///
/// A task that opens gets its time of start.
pub async fn place(tx: &mut Tx, id: i64, state: TaskState, host_id: Option<i64>) -> Result<()> {
    let sql = if state == TaskState::Open {
        "UPDATE task SET state = $2, host_id = $3, start_time = NOW() WHERE id = $1"
    } else {
        "UPDATE task SET state = $2, host_id = $3 WHERE id = $1"
    };
    tx.execute(sql, params![id, state.number(), host_id]).await.map(drop)
}

/// Ends a task with a result text; the caller has locked it and checked the move.
pub async fn finish(tx: &mut Tx, id: i64, state: TaskState, result: &str) -> Result<()> {
    let sql = "UPDATE task SET state = $2, result = $3, completion_time = NOW() WHERE id = $1";
    tx.execute(sql, params![id, state.number(), result]).await.map(drop)
}

/// Marks tasks cancelled; the caller has locked them and checked the moves.
pub async fn cancel(tx: &mut Tx, ids: &[i64]) -> Result<()> {
    let sql = "UPDATE task SET state = $2, completion_time = NOW() WHERE id = ANY($1)";
    tx.execute(sql, params![ids, TaskState::Canceled.number()]).await.map(drop)
}

/// Builds in progress of these tasks, locked.
pub async fn running_builds(tx: &mut Tx, tasks: &[i64]) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM build WHERE task_id = ANY($1) AND state = $2 ORDER BY id FOR UPDATE";
    let rows = tx.query(sql, params![tasks, BuildState::Building.number()]).await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// Sets the weight of a task.
pub async fn set_weight(tx: &mut Tx, id: i64, weight: f64) -> Result<()> {
    tx.execute("UPDATE task SET weight = $2 WHERE id = $1", params![id, weight]).await.map(drop)
}

/// Sets the priority of tasks.
pub async fn set_priority(tx: &mut Tx, ids: &[i64], priority: i64) -> Result<()> {
    let sql = "UPDATE task SET priority = $2 WHERE id = ANY($1)";
    tx.execute(sql, params![ids, priority]).await.map(drop)
}

/// Marks the runs of a task as past.
pub async fn end_runs(tx: &mut Tx, id: i64) -> Result<()> {
    let sql = "UPDATE scheduler_task_runs SET active = FALSE WHERE task_id = $1 AND active = TRUE";
    tx.execute(sql, params![id]).await.map(drop)
}

/// Records that a task was given to a host.
pub async fn insert_run(tx: &mut Tx, id: i64, host_id: i64) -> Result<()> {
    let sql = "INSERT INTO scheduler_task_runs (task_id, host_id) VALUES ($1, $2)";
    tx.execute(sql, params![id, host_id]).await.map(drop)
}

/// Writes a line of the scheduler's log.
pub async fn log(
    tx: &mut Tx,
    text: &str,
    task_id: Option<i64>,
    host_id: Option<i64>,
) -> Result<()> {
    let sql = "INSERT INTO scheduler_log_messages (msg, task_id, host_id) VALUES ($1, $2, $3)";
    tx.execute(sql, params![text, task_id, host_id]).await.map(drop)
}

/// A channel by number or name: `id`, `enabled`.
pub async fn channel(tx: &mut Tx, id: Option<i64>, name: Option<&str>) -> Result<Option<Row>> {
    let sql = "SELECT id, enabled FROM channels WHERE id = $1::int OR name = $2::text";
    tx.query_opt(sql, params![id, name]).await
}

/// The name of a build target by number or name.
pub async fn target_name(
    tx: &mut Tx,
    id: Option<i64>,
    name: Option<&str>,
) -> Result<Option<String>> {
    let sql = "SELECT name FROM build_target WHERE id = $1::int OR name = $2::text";
    tx.scalar_opt(sql, params![id, name]).await
}

/// The name of a tag by number or name.
pub async fn tag_name(tx: &mut Tx, id: Option<i64>, name: Option<&str>) -> Result<Option<String>> {
    let sql = "SELECT name FROM tag WHERE id = $1::int OR name = $2::text";
    tx.scalar_opt(sql, params![id, name]).await
}
