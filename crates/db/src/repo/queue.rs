//! The queue of requests.

use toji_value::Value;

use crate::view::{Field, Kind, View};
use crate::{Param, Result, Row, Time, Tx, params};

/// Requests, for callers who compose their queries.
pub const REQUESTS: View = View {
    table: "repo_queue",
    joins: &[
        ("tag", "JOIN tag ON tag.id = repo_queue.tag_id"),
        ("task", "LEFT JOIN task ON task.id = repo_queue.task_id"),
        ("users", "JOIN users ON users.id = repo_queue.owner"),
    ],
    fields: &[
        Field::own("id", "repo_queue.id"),
        Field::own("create_time", "repo_queue.create_time").holds(Kind::Time),
        Field::own("create_ts", "date_part('epoch', repo_queue.create_time)").holds(Kind::Float),
        Field::own("owner", "repo_queue.owner"),
        Field::joined("owner_name", "users.name", "users").holds(Kind::Text),
        Field::own("priority", "repo_queue.priority"),
        Field::own("tag_id", "repo_queue.tag_id"),
        Field::joined("tag_name", "tag.name", "tag").holds(Kind::Text),
        Field::own("at_event", "repo_queue.at_event"),
        Field::own("min_event", "repo_queue.min_event"),
        Field::json("opts", "repo_queue.opts"),
        Field::own("update_time", "repo_queue.update_time").holds(Kind::Time),
        Field::own("update_ts", "date_part('epoch', repo_queue.update_time)").holds(Kind::Float),
        Field::own("active", "repo_queue.active").holds(Kind::Bool),
        Field::own("task_id", "repo_queue.task_id"),
        Field::joined("task_state", "task.state", "task"),
        Field::own("tries", "repo_queue.tries"),
        Field::own("repo_id", "repo_queue.repo_id"),
    ],
    default: &[
        "id",
        "tag_id",
        "at_event",
        "min_event",
        "create_ts",
        "task_id",
        "tries",
        "repo_id",
        "opts",
        "active",
        "update_ts",
    ],
};

/// A request to be made.
#[derive(Clone, Debug)]
pub struct NewRequest<'a> {
    /// The user who asks.
    pub owner: i64,
    /// Lower goes first.
    pub priority: i64,
    /// The tag.
    pub tag_id: i64,
    /// The event that the repository must be made from.
    pub at_event: Option<i64>,
    /// The event that the repository must not be older than.
    pub min_event: Option<i64>,
    /// Options that differ from the tag's.
    pub opts: &'a Value,
}

/// A request with all its fields.
pub async fn request(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    Ok(REQUESTS.all(tx, "WHERE repo_queue.id = $1", params![id]).await?.pop())
}

/// Makes a request and returns its number.
pub async fn insert_request(tx: &mut Tx, new: &NewRequest<'_>) -> Result<i64> {
    tx.scalar(
        "INSERT INTO repo_queue (owner, priority, tag_id, at_event, min_event, opts) \
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        params![new.owner, new.priority, new.tag_id, new.at_event, new.min_event, new.opts],
    )
    .await
}

/// Active requests of a tag, the most urgent first.
pub async fn requests_of_tag(tx: &mut Tx, tag: i64) -> Result<Vec<Row>> {
    let rest = "WHERE repo_queue.tag_id = $1 AND repo_queue.active IS TRUE \
                ORDER BY repo_queue.priority, repo_queue.id";
    REQUESTS.all(tx, rest, params![tag]).await
}

/// Active requests without a repository, the most urgent first.
pub async fn waiting_requests(tx: &mut Tx) -> Result<Vec<Row>> {
    let rest = "WHERE repo_queue.active IS TRUE AND repo_queue.repo_id IS NULL \
                ORDER BY repo_queue.priority, repo_queue.id";
    REQUESTS.all(tx, rest, params![]).await
}

/// Sets the priority of a request.
pub async fn set_request_priority(tx: &mut Tx, id: i64, priority: i64) -> Result<()> {
    let sql = "UPDATE repo_queue SET priority = $2 WHERE id = $1";
    tx.execute(sql, params![id, priority]).await.map(drop)
}

/// Sets a request's task and the number of tries.
pub async fn set_request_task(tx: &mut Tx, id: i64, task: Option<i64>, tries: i64) -> Result<()> {
    let sql = "UPDATE repo_queue SET task_id = $2, tries = $3, update_time = NOW() WHERE id = $1";
    tx.execute(sql, params![id, task, tries]).await.map(drop)
}

/// Ends requests, with the repository that fulfils them if there is one.
pub async fn end_requests(tx: &mut Tx, ids: &[i64], repo: Option<i64>) -> Result<()> {
    let sql = "UPDATE repo_queue SET active = FALSE, repo_id = $2, update_time = NOW() WHERE id = ANY($1)";
    tx.execute(sql, params![ids, repo]).await.map(drop)
}

/// Deletes ended requests that were last changed before `cutoff`.
pub async fn forget_requests(tx: &mut Tx, cutoff: Time) -> Result<u64> {
    let sql = "DELETE FROM repo_queue WHERE active IS FALSE AND update_time < $1";
    tx.execute(sql, params![cutoff]).await
}

/// The latest event that requests of each tag asked for in vain: `tag_id`, `event`, and when the last
/// of them was given up, `ended` (seconds).
pub async fn failed_requests(tx: &mut Tx, tags: &[i64]) -> Result<Vec<Row>> {
    tx.query(
        "SELECT tag_id, max(min_event) AS event, max(date_part('epoch', update_time)) AS ended \
         FROM repo_queue WHERE active IS FALSE AND repo_id IS NULL AND tag_id = ANY($1) GROUP BY tag_id",
        &[Param::from(tags)],
    )
    .await
}
