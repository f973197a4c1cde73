//! Rows that grow without end: sessions, reservations, the scheduler's log, tasks of no lasting interest, buildroots.

use toji_types::TaskState;

use crate::{Result, Row, Time, Tx, params, sql};

/// Sessions that nobody has used since a moment, or that began before another one, and whose subsessions are such, too.
const OLD_SESSIONS: &str = "(s.update_time < $1 OR s.start_time < $2)
    AND NOT EXISTS (SELECT 1 FROM sessions c WHERE c.master = s.id
                       AND NOT (c.update_time < $1 OR c.start_time < $2))";

/// How many sessions are old.
pub async fn count_sessions(tx: &mut Tx, unused: Time, begun: Time) -> Result<i64> {
    let sql = sql!["SELECT count(*) FROM sessions s WHERE ", OLD_SESSIONS];
    tx.scalar(sql, params![unused, begun]).await
}

/// Deletes old sessions, subsessions first; gives how many.
pub async fn delete_sessions(tx: &mut Tx, unused: Time, begun: Time, limit: i64) -> Result<u64> {
    let sql = sql![
        "DELETE FROM sessions WHERE id IN (SELECT s.id FROM sessions s WHERE ",
        OLD_SESSIONS,
        " ORDER BY s.master IS NULL, s.id LIMIT $3)"
    ];
    tx.execute(sql, params![unused, begun, limit]).await
}

/// How many reservations of content generators were made before a moment.
pub async fn count_reservations(tx: &mut Tx, before: Time) -> Result<i64> {
    tx.scalar("SELECT count(*) FROM build_reservations WHERE created < $1", params![before]).await
}

/// Deletes reservations that were made before a moment; gives how many.
pub async fn delete_reservations(tx: &mut Tx, before: Time) -> Result<u64> {
    tx.execute("DELETE FROM build_reservations WHERE created < $1", params![before]).await
}

/// How many lines the scheduler wrote before a moment.
pub async fn count_logs(tx: &mut Tx, before: Time) -> Result<i64> {
    let sql = "SELECT count(*) FROM scheduler_log_messages WHERE msg_time < $1";
    tx.scalar(sql, params![before]).await
}

/// Deletes lines of the scheduler's log from before a moment; gives how many.
pub async fn delete_logs(tx: &mut Tx, before: Time, limit: i64) -> Result<u64> {
    let sql = "DELETE FROM scheduler_log_messages WHERE id IN (
                   SELECT id FROM scheduler_log_messages WHERE msg_time < $1
                    ORDER BY id LIMIT $2)";
    tx.execute(sql, params![before, limit]).await
}

/// Ended tasks of a method above a number from before a moment, without a parent and without a build or a repository
/// that names them: `id`, `request`. With `scratch` only those whose request speaks of scratch.
pub async fn old_tasks(
    tx: &mut Tx,
    method: &str,
    scratch: bool,
    before: Time,
    after: i64,
    limit: i64,
) -> Result<Vec<Row>> {
    let ended = [TaskState::Closed, TaskState::Canceled, TaskState::Failed];
    let ended: Vec<i64> = ended.iter().map(|state| *state as i64).collect();
    let words = if scratch { "%<name>scratch</name>%" } else { "%" };
    let sql = "SELECT t.id AS id, t.request AS request FROM task t
                WHERE t.method = $1 AND t.completion_time < $2 AND t.id > $3
                  AND t.parent IS NULL AND t.state = ANY($4) AND t.request LIKE $5
                  AND NOT EXISTS (SELECT 1 FROM build WHERE build.task_id = t.id)
                  AND NOT EXISTS (SELECT 1 FROM repo WHERE repo.task_id = t.id)
                ORDER BY t.id LIMIT $6";
    tx.query(sql, params![method, before, after, ended, words, limit]).await
}

/// These tasks and all below them.
pub async fn with_descendants(tx: &mut Tx, tasks: &[i64]) -> Result<Vec<i64>> {
    let sql = "WITH RECURSIVE tree AS (
                   SELECT id FROM task WHERE id = ANY($1)
                    UNION
                   SELECT task.id FROM task JOIN tree ON task.parent = tree.id
               ) SELECT id FROM tree ORDER BY id";
    let rows = tx.query(sql, params![tasks]).await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// Deletes tasks, which must include all their descendants, with what the scheduler and buildroots note of them.
pub async fn delete_tasks(tx: &mut Tx, tasks: &[i64]) -> Result<u64> {
    for sql in [
        "DELETE FROM standard_buildroot WHERE task_id = ANY($1)",
        "DELETE FROM scheduler_task_runs WHERE task_id = ANY($1)",
        "DELETE FROM scheduler_task_refusals WHERE task_id = ANY($1)",
        "DELETE FROM scheduler_log_messages WHERE task_id = ANY($1)",
        "UPDATE repo_queue SET task_id = NULL WHERE task_id = ANY($1)",
    ] {
        tx.execute(sql, params![tasks]).await?;
    }
    tx.execute("DELETE FROM task WHERE id = ANY($1)", params![tasks]).await
}

/// Buildroots that no task, no RPM and no archive names.
const LOOSE: &str = "b.cg_id IS NULL
    AND NOT EXISTS (SELECT 1 FROM standard_buildroot s WHERE s.buildroot_id = b.id)
    AND NOT EXISTS (SELECT 1 FROM rpminfo r WHERE r.buildroot_id = b.id)
    AND NOT EXISTS (SELECT 1 FROM archiveinfo a WHERE a.buildroot_id = b.id)";

/// How many buildroots nothing names.
pub async fn count_buildroots(tx: &mut Tx) -> Result<i64> {
    tx.scalar(sql!["SELECT count(*) FROM buildroot b WHERE ", LOOSE], &[]).await
}

/// Deletes buildroots that nothing names, with what was in them; gives how many.
pub async fn delete_buildroots(tx: &mut Tx, limit: i64) -> Result<u64> {
    let sql = sql!["SELECT b.id AS id FROM buildroot b WHERE ", LOOSE, " ORDER BY b.id LIMIT $1"];
    let rows = tx.query(sql, params![limit]).await?;
    let ids: Vec<i64> = rows.iter().map(|row| row.get("id")).collect::<Result<_>>()?;
    for sql in [
        "DELETE FROM buildroot_listing WHERE buildroot_id = ANY($1)",
        "DELETE FROM buildroot_archives WHERE buildroot_id = ANY($1)",
        "DELETE FROM buildroot_tools_info WHERE buildroot_id = ANY($1)",
    ] {
        tx.execute(sql, params![&ids[..]]).await?;
    }
    tx.execute("DELETE FROM buildroot WHERE id = ANY($1)", params![&ids[..]]).await
}
