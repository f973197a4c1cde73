//! What the scheduler reads and writes.

use crate::view::{Field, Kind, View};
use crate::{Result, Row, Time, Tx, params};

/// Which tasks were given to which hosts, for callers who compose their queries.
pub const RUNS: View = View {
    table: "scheduler_task_runs",
    joins: &[
        ("task", "JOIN task ON task.id = scheduler_task_runs.task_id"),
        ("host", "JOIN host ON host.id = scheduler_task_runs.host_id"),
    ],
    fields: &[
        Field::own("id", "scheduler_task_runs.id"),
        Field::own("task_id", "scheduler_task_runs.task_id"),
        Field::joined("method", "task.method", "task").holds(Kind::Text),
        Field::joined("state", "task.state", "task"),
        Field::joined("owner", "task.owner", "task"),
        Field::joined("arch", "task.arch", "task").holds(Kind::Text),
        Field::joined("channel_id", "task.channel_id", "task"),
        Field::joined("host_name", "host.name", "host").holds(Kind::Text),
        Field::joined("host_ready", "host.ready", "host").holds(Kind::Bool),
        Field::own("host_id", "scheduler_task_runs.host_id"),
        Field::own("active", "scheduler_task_runs.active").holds(Kind::Bool),
        Field::own("create_ts", "date_part('epoch', scheduler_task_runs.create_time)")
            .holds(Kind::Float),
        Field::joined("start_ts", "date_part('epoch', task.start_time)", "task").holds(Kind::Float),
        Field::joined("completion_ts", "date_part('epoch', task.completion_time)", "task")
            .holds(Kind::Float),
    ],
    default: &["id", "task_id", "host_id", "active", "create_ts"],
};

/// Which hosts refused which tasks, for callers who compose their queries.
pub const REFUSALS: View = View {
    table: "scheduler_task_refusals",
    joins: &[
        ("task", "JOIN task ON task.id = scheduler_task_refusals.task_id"),
        ("host", "JOIN host ON host.id = scheduler_task_refusals.host_id"),
    ],
    fields: &[
        Field::own("id", "scheduler_task_refusals.id"),
        Field::own("task_id", "scheduler_task_refusals.task_id"),
        Field::own("host_id", "scheduler_task_refusals.host_id"),
        Field::own("by_host", "scheduler_task_refusals.by_host").holds(Kind::Bool),
        Field::own("soft", "scheduler_task_refusals.soft").holds(Kind::Bool),
        Field::own("msg", "scheduler_task_refusals.msg").holds(Kind::Text),
        Field::own("ts", "date_part('epoch', scheduler_task_refusals.time)").holds(Kind::Float),
        Field::joined("method", "task.method", "task").holds(Kind::Text),
        Field::joined("state", "task.state", "task"),
        Field::joined("owner", "task.owner", "task"),
        Field::joined("arch", "task.arch", "task").holds(Kind::Text),
        Field::joined("channel_id", "task.channel_id", "task"),
        Field::joined("host_name", "host.name", "host").holds(Kind::Text),
        Field::joined("host_ready", "host.ready", "host").holds(Kind::Bool),
    ],
    default: &["id", "task_id", "host_id", "by_host", "soft", "msg", "ts"],
};

/// What the scheduler did, for callers who compose their queries.
pub const LOG: View = View {
    table: "scheduler_log_messages",
    joins: &[
        ("task", "LEFT JOIN task ON task.id = scheduler_log_messages.task_id"),
        ("host", "LEFT JOIN host ON host.id = scheduler_log_messages.host_id"),
    ],
    fields: &[
        Field::own("id", "scheduler_log_messages.id"),
        Field::own("task_id", "scheduler_log_messages.task_id"),
        Field::own("host_id", "scheduler_log_messages.host_id"),
        Field::own("msg_ts", "date_part('epoch', scheduler_log_messages.msg_time)")
            .holds(Kind::Float),
        Field::own("msg", "scheduler_log_messages.msg").holds(Kind::Text),
        Field::joined("method", "task.method", "task").holds(Kind::Text),
        Field::joined("state", "task.state", "task"),
        Field::joined("owner", "task.owner", "task"),
        Field::joined("arch", "task.arch", "task").holds(Kind::Text),
        Field::joined("channel_id", "task.channel_id", "task"),
        Field::joined("host_name", "host.name", "host").holds(Kind::Text),
        Field::joined("host_ready", "host.ready", "host").holds(Kind::Bool),
    ],
    default: &["id", "task_id", "host_id", "msg", "msg_ts"],
};

/// Most free tasks that are looked at, the most urgent first.
const MAX_FREE: i64 = 50_000;

/// The database's time, in seconds since 1970: the one that all columns of times are set by.
pub async fn now(tx: &mut Tx) -> Result<f64> {
    tx.scalar("SELECT date_part('epoch', NOW())", params![]).await
}

/// What a run begins with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// The database's time.
    pub now: f64,
    /// When a scheduler last did something.
    pub last_run: Option<f64>,
    /// The number of the newest outbox entry.
    pub seq: i64,
}

/// The time, the last run and the newest outbox entry, in one statement.
pub async fn moment(tx: &mut Tx) -> Result<Moment> {
    let sql = "SELECT date_part('epoch', NOW()) AS now, last AS seq,
                      (SELECT data FROM scheduler_sys_data WHERE name = $1) AS \"last_run:json\"
                 FROM toji_sequence WHERE name = $2";
    let row = tx.query_one(sql, params!["last_run_ts", "outbox"]).await?;
    let last_run = row.value("last_run").as_f64();
    Ok(Moment { now: row.get("now")?, last_run, seq: row.get("seq")? })
}

/// All hosts: `id`, `enabled`, `ready`, `updated` (seconds), `capacity`, `arches`, `data`, `pressure`, and `lost`
/// (seconds) where a live connection broke off and the host has not spoken since.
pub async fn hosts(tx: &mut Tx) -> Result<Vec<Row>> {
    tx.query(
        "SELECT host.id AS id, host_config.enabled AS enabled, \
         host.ready AS ready, users.status AS user_status, \
         date_part('epoch', host.update_time) AS updated, host_config.capacity AS capacity, \
         host_config.arches AS arches, scheduler_host_data.data AS data, \
         toji_host_stream.pressure AS pressure, \
         CASE WHEN host.update_time > toji_host_stream.lost THEN NULL \
              ELSE date_part('epoch', toji_host_stream.lost) END AS lost \
         FROM host \
         JOIN host_config ON host_config.host_id = host.id AND host_config.active IS TRUE \
         JOIN users ON users.id = host.user_id \
         LEFT JOIN scheduler_host_data ON scheduler_host_data.host_id = host.id \
         LEFT JOIN toji_host_stream ON toji_host_stream.host_id = host.id",
        params![],
    )
    .await
}

/// Names by id: of hosts and of channels.
pub async fn names(tx: &mut Tx, table: Named) -> Result<Vec<(i64, String)>> {
    let sql = match table {
        Named::Hosts => "SELECT id, name FROM host ORDER BY id",
        Named::Channels => "SELECT id, name FROM channels ORDER BY id",
    };
    let rows = tx.query(sql, params![]).await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("name")?))).collect()
}

/// What [`names`] gives the names of.
#[derive(Clone, Copy, Debug)]
pub enum Named {
    /// All hosts.
    Hosts,
    /// All channels.
    Channels,
}

/// The enabled channels of hosts: `host_id`, `channel_id`.
pub async fn host_channels(tx: &mut Tx) -> Result<Vec<Row>> {
    tx.query(
        "SELECT host_channels.host_id AS host_id, host_channels.channel_id AS channel_id \
         FROM host_channels JOIN channels ON channels.id = host_channels.channel_id \
         WHERE host_channels.active IS TRUE AND channels.enabled IS TRUE",
        params![],
    )
    .await
}

/// The name of a task's channel if no host is in it, not even one that takes no tasks now.
pub async fn channel_without_hosts(tx: &mut Tx, task: i64) -> Result<Option<String>> {
    tx.scalar_opt(
        "SELECT channels.name FROM task JOIN channels ON channels.id = task.channel_id \
         WHERE task.id = $1 AND NOT EXISTS (SELECT 1 FROM host_channels \
         WHERE host_channels.channel_id = channels.id AND host_channels.active IS TRUE)",
        params![task],
    )
    .await
}

/// The columns of a task that the scheduler looks at, of [`FROM`].
///
/// `assigned` is there where the scheduler has an active run for it, `tree` is when the top of its group was made (three
/// levels are looked at), `expected` how long it took in earlier builds of the same package, on the average in seconds.
macro_rules! columns {
    () => {
        "SELECT task.id AS id, task.owner AS owner, task.channel_id AS channel_id, task.arch AS arch,
                task.host_id AS host_id, task.state AS state, task.waiting AS waiting,
                task.weight AS weight, task.priority AS priority, task.parent AS parent,
                date_part('epoch', task.create_time) AS created,
                date_part('epoch', COALESCE(top.create_time, up.create_time, task.create_time)) AS tree,
                CASE WHEN task.state <> 0 THEN
                    (SELECT min(date_part('epoch', create_time)) FROM scheduler_task_runs
                      WHERE task_id = task.id AND active IS TRUE) END AS assigned,
                CASE WHEN task.state = 0 AND task.parent IS NOT NULL THEN
                    (SELECT avg(date_part('epoch', past.completion_time) - date_part('epoch', past.start_time))
                       FROM build now
                       JOIN build old ON old.pkg_id = now.pkg_id
                       JOIN task past ON past.parent = old.task_id
                      WHERE now.task_id = task.parent AND past.method = task.method
                        AND past.arch = task.arch AND past.state = 2
                        AND past.completion_time > toji_ago(15552000.0)) END AS expected
           FROM task LEFT JOIN task up ON up.id = task.parent
                     LEFT JOIN task top ON top.id = up.parent"
    };
}

/// Those that do not pause after a builder gave them back.
macro_rules! awake {
    () => {
        " NOT EXISTS (SELECT 1 FROM toji_task_return pause
                       WHERE pause.task_id = task.id AND task.state = 0 AND pause.not_before > NOW())"
    };
}

/// Tasks in state `free` that do not pause, the most urgent first.
pub async fn free_tasks(tx: &mut Tx, free: i64) -> Result<Vec<Row>> {
    let sql = concat!(
        columns!(),
        " WHERE task.state = $1 AND",
        awake!(),
        " ORDER BY task.priority, task.create_time, task.id LIMIT $2"
    );
    tx.query(sql, params![free, MAX_FREE]).await
}

/// Tasks in one of `states`.
pub async fn active_tasks(tx: &mut Tx, states: &[i64]) -> Result<Vec<Row>> {
    tx.query(concat!(columns!(), " WHERE task.state = ANY($1)"), params![states]).await
}

/// Tasks by their numbers, whatever their state; without free ones that pause.
pub async fn tasks(tx: &mut Tx, ids: &[i64]) -> Result<Vec<Row>> {
    let sql = concat!(columns!(), " WHERE task.id = ANY($1) AND", awake!());
    tx.query(sql, params![ids]).await
}

/// Refusals of these tasks: `task_id`, `host_id`, `soft`, `time` (seconds).
pub async fn refusals_of(tx: &mut Tx, tasks: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT task_id, host_id, soft, date_part('epoch', time) AS time
                 FROM scheduler_task_refusals WHERE task_id = ANY($1)";
    tx.query(sql, params![tasks]).await
}

/// Refusals of unfinished tasks: `task_id`, `host_id`, `soft`, `time` (seconds).
pub async fn refusals(tx: &mut Tx) -> Result<Vec<Row>> {
    tx.query(
        "SELECT task_id, host_id, soft, date_part('epoch', time) AS time FROM scheduler_task_refusals",
        params![],
    )
    .await
}

/// Deletes soft refusals older than `cutoff` and those of tasks in none of `states`.
pub async fn drop_refusals(tx: &mut Tx, cutoff: Time, states: &[i64]) -> Result<u64> {
    tx.execute(
        "DELETE FROM scheduler_task_refusals WHERE (soft IS TRUE AND time < $1) \
         OR task_id NOT IN (SELECT task.id FROM task \
            JOIN scheduler_task_refusals AS held ON held.task_id = task.id WHERE task.state = ANY($2))",
        params![cutoff, states],
    )
    .await
}

/// Notes a soft refusal on behalf of a host; it replaces an earlier one.
pub async fn set_refusal(tx: &mut Tx, task: i64, host: i64, message: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO scheduler_task_refusals (task_id, host_id, soft, by_host, msg) \
         VALUES ($1, $2, TRUE, FALSE, $3) ON CONFLICT (task_id, host_id) DO UPDATE SET \
         soft = excluded.soft, by_host = excluded.by_host, msg = excluded.msg, time = NOW()",
        params![task, host, message],
    )
    .await
    .map(drop)
}

/// Marks hosts as not ready.
pub async fn mark_not_ready(tx: &mut Tx, hosts: &[i64]) -> Result<u64> {
    tx.execute("UPDATE host SET ready = FALSE WHERE id = ANY($1)", params![hosts]).await
}

/// Those of these hosts that are ready now, and whose users are not blocked.
pub async fn takers(tx: &mut Tx, hosts: &[i64]) -> Result<Vec<i64>> {
    let sql = "SELECT host.id AS id FROM host JOIN users ON users.id = host.user_id \
                WHERE host.id = ANY($1) AND host.ready IS TRUE AND users.status = 0";
    let rows = tx.query(sql, params![hosts]).await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// Gives tasks to a host; the caller has locked them and checked the move.
pub async fn assign(tx: &mut Tx, tasks: &[i64], host: i64, assigned: i64) -> Result<()> {
    let sql = "UPDATE task SET state = $1, host_id = $2 WHERE id = ANY($3)";
    tx.execute(sql, params![assigned, host, tasks]).await.map(drop)
}

/// Ends earlier runs of the tasks and notes new ones on the hosts that they have now.
pub async fn start_runs(tx: &mut Tx, tasks: &[i64]) -> Result<()> {
    let sql =
        "UPDATE scheduler_task_runs SET active = FALSE WHERE task_id = ANY($1) AND active IS TRUE";
    tx.execute(sql, params![tasks]).await?;
    let sql = "INSERT INTO scheduler_task_runs (task_id, host_id) \
               SELECT id, host_id FROM task WHERE id = ANY($1) ORDER BY id";
    tx.execute(sql, params![tasks]).await.map(drop)
}

/// Ends the runs of all tasks that are in none of `states`.
pub async fn end_stale_runs(tx: &mut Tx, states: &[i64]) -> Result<u64> {
    tx.execute(
        "UPDATE scheduler_task_runs SET active = FALSE WHERE active IS TRUE \
         AND task_id NOT IN (SELECT id FROM task WHERE state = ANY($1))",
        params![states],
    )
    .await
}

/// Logs one message for several tasks and the hosts that they have now.
pub async fn log_tasks(tx: &mut Tx, message: &str, tasks: &[i64]) -> Result<()> {
    let sql = "INSERT INTO scheduler_log_messages (task_id, host_id, msg) \
               SELECT id, host_id, $1::text FROM task WHERE id = ANY($2) ORDER BY id";
    tx.execute(sql, params![message, tasks]).await.map(drop)
}

/// What hosts last said of themselves: `host_id`, `data`; of one host or of all.
pub async fn host_data(tx: &mut Tx, host: Option<i64>) -> Result<Vec<Row>> {
    const ALL: &str = "SELECT host_id, data FROM scheduler_host_data ORDER BY host_id";
    const ONE: &str = "SELECT host_id, data FROM scheduler_host_data WHERE host_id = $1";
    match host {
        Some(id) => tx.query(ONE, params![id]).await,
        None => tx.query(ALL, params![]).await,
    }
}

/// The moment of the last run, in seconds since 1970.
pub async fn last_run(tx: &mut Tx) -> Result<Option<f64>> {
    let row = tx
        .query_opt("SELECT data FROM scheduler_sys_data WHERE name = $1", params!["last_run_ts"])
        .await?;
    Ok(row.and_then(|r| r.value("data").as_f64()))
}

/// Sets the moment of the last run.
pub async fn set_last_run(tx: &mut Tx, now: f64) -> Result<()> {
    tx.execute(
        "INSERT INTO scheduler_sys_data (name, data) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET data = excluded.data",
        params!["last_run_ts", toji_value::Value::Double(now)],
    )
    .await?;
    Ok(())
}

/// The enabled hosts of a channel: `id`, `arches`.
pub async fn channel_hosts(tx: &mut Tx, channel: i64) -> Result<Vec<Row>> {
    tx.query(
        "SELECT host_config.host_id AS id, host_config.arches AS arches FROM host_config \
         JOIN host_channels ON host_channels.host_id = host_config.host_id \
         WHERE host_config.active IS TRUE AND host_config.enabled IS TRUE \
         AND host_channels.active IS TRUE AND host_channels.channel_id = $1 ORDER BY host_config.host_id",
        params![channel],
    )
    .await
}

/// Notes and logs, for a new task, that hosts cannot do it.
pub async fn refuse_for_hosts(tx: &mut Tx, task: i64, hosts: &[i64], message: &str) -> Result<()> {
    let sql = "INSERT INTO scheduler_task_refusals (task_id, host_id, soft, by_host, msg) \
               SELECT $1::int, id, FALSE, FALSE, $2::text FROM host WHERE id = ANY($3) ORDER BY id";
    tx.execute(sql, params![task, message, hosts]).await?;
    let sql = "INSERT INTO scheduler_log_messages (task_id, host_id, msg) \
               SELECT $1::int, id, $2::text FROM host WHERE id = ANY($3) ORDER BY id";
    let message = format!("Host refused task: {message}");
    tx.execute(sql, params![task, message, hosts]).await.map(drop)
}
