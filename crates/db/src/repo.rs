//! Repositories and the requests for them.

mod change;
mod made;
mod queue;
mod upkeep;

pub use change::*;
pub use made::*;
pub use queue::*;
pub use upkeep::*;

use toji_types::RepoState;
use toji_value::Value;

use crate::view::{Field, Kind, View};
use crate::{Result, Row, Tx, params};

/// Repositories, for callers who compose their queries.
pub const REPOS: View = View {
    table: "repo",
    joins: &[
        ("tag", "JOIN tag ON tag.id = repo.tag_id"),
        ("create_ev", "JOIN events AS create_ev ON create_ev.id = repo.create_event"),
        ("begin_ev", "LEFT JOIN events AS begin_ev ON begin_ev.id = repo.begin_event"),
        ("end_ev", "LEFT JOIN events AS end_ev ON end_ev.id = repo.end_event"),
        ("task", "LEFT JOIN task ON task.id = repo.task_id"),
    ],
    fields: &[
        Field::own("id", "repo.id"),
        Field::own("tag_id", "repo.tag_id"),
        Field::own("creation_time", "repo.creation_time").holds(Kind::Time),
        Field::own("creation_ts", "date_part('epoch', repo.creation_time)").holds(Kind::Float),
        Field::own("state_time", "repo.state_time").holds(Kind::Time),
        Field::own("state_ts", "date_part('epoch', repo.state_time)").holds(Kind::Float),
        Field::own("create_event", "repo.create_event"),
        Field::joined("create_ts", "date_part('epoch', create_ev.time)", "create_ev")
            .holds(Kind::Float),
        Field::own("begin_event", "repo.begin_event"),
        Field::joined("begin_ts", "date_part('epoch', begin_ev.time)", "begin_ev")
            .holds(Kind::Float),
        Field::own("end_event", "repo.end_event"),
        Field::joined("end_ts", "date_part('epoch', end_ev.time)", "end_ev").holds(Kind::Float),
        Field::own("state", "repo.state"),
        Field::own("dist", "repo.dist").holds(Kind::Bool),
        Field::json("opts", "repo.opts"),
        Field::json("custom_opts", "repo.custom_opts"),
        Field::own("task_id", "repo.task_id"),
        Field::joined("task_state", "task.state", "task"),
        Field::joined("tag_name", "tag.name", "tag").holds(Kind::Text),
    ],
    default: &["id", "tag_id", "create_event", "state", "dist", "task_id", "opts", "custom_opts"],
};

/// A repository with all its fields.
pub async fn get(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    Ok(REPOS.all(tx, "WHERE repo.id = $1", params![id]).await?.pop())
}

/// Repositories that are not deleted, with the fields that a repository daemon needs.
pub async fn not_deleted(tx: &mut Tx) -> Result<Vec<Value>> {
    tx.maps(
        "SELECT repo.id AS id, repo.tag_id AS tag_id, repo.create_event AS create_event, \
         date_part('epoch', create_ev.time) AS create_ts, repo.state AS state, repo.dist AS dist, \
         repo.task_id AS task_id, tag.name AS tag_name, \
         date_part('epoch', repo.creation_time) AS creation_ts, \
         date_part('epoch', repo.state_time) AS state_ts, repo.end_event AS end_event, repo.opts AS opts \
         FROM repo JOIN events AS create_ev ON create_ev.id = repo.create_event \
         JOIN tag ON tag.id = repo.tag_id WHERE repo.state <> 3 ORDER BY repo.id",
        params![],
    )
    .await
}

/// The newest repository of a tag by its time of creation, in a state or made from an event up to `event`.
pub async fn latest(
    tx: &mut Tx,
    tag: i64,
    dist: bool,
    state: Option<i64>,
    event: Option<i64>,
    min_event: Option<i64>,
) -> Result<Option<Row>> {
    let rest = "WHERE repo.tag_id = $1 AND repo.dist IS NOT DISTINCT FROM $2 \
                AND ($3::int IS NULL OR repo.state = $3) AND ($4::int IS NULL OR repo.create_event <= $4) \
                AND ($5::int IS NULL OR repo.create_event >= $5) \
                ORDER BY repo.creation_time DESC, repo.id LIMIT 1";
    let found = REPOS.all(tx, rest, params![tag, dist, state, event, min_event]).await?;
    Ok(found.into_iter().next())
}

/// Repositories of a tag in a state that are not for distribution, the newest event first.
pub async fn in_state(tx: &mut Tx, tag: i64, state: i64) -> Result<Vec<Row>> {
    let rest = "WHERE repo.tag_id = $1 AND repo.state = $2 AND repo.dist IS FALSE \
                ORDER BY repo.create_event DESC, repo.id DESC";
    REPOS.all(tx, rest, params![tag, state]).await
}

/// The state of a repository, which is locked until the end of the transaction.
pub async fn lock_state(tx: &mut Tx, id: i64) -> Result<Option<(i64, i64)>> {
    let sql = "SELECT state, tag_id FROM repo WHERE id = $1 FOR UPDATE";
    let row = tx.query_opt(sql, params![id]).await?;
    row.map(|row| Ok((row.get("state")?, row.get("tag_id")?))).transpose()
}

/// Sets the state of a repository; the caller has locked it and checked the move.
pub async fn set_state(tx: &mut Tx, id: i64, state: i64) -> Result<()> {
    let sql = "UPDATE repo SET state = $2, state_time = NOW() WHERE id = $1";
    tx.execute(sql, params![id, state]).await.map(drop)
}

/// Buildroots of a repository that are not retired.
pub async fn references(tx: &mut Tx, id: i64) -> Result<Vec<Value>> {
    tx.maps(
        "SELECT buildroot_id AS id, host_id, task_id, create_event, state FROM standard_buildroot \
         WHERE repo_id = $1 AND retire_event IS NULL ORDER BY buildroot_id",
        params![id],
    )
    .await
}

/// What was noted of an external repository.
pub async fn external_data(tx: &mut Tx, id: i64) -> Result<Option<Value>> {
    let sql = "SELECT data FROM external_repo_data WHERE external_repo_id = $1 AND active IS TRUE";
    Ok(tx.query_opt(sql, params![id]).await?.map(|row| row.value("data").clone()))
}

/// Repositories of a tag with its own options that are or were ready, the newest event first: `id`, `state`, `state_ts`,
/// `tag_name`.
pub async fn published(tx: &mut Tx, tag: i64, dist: bool, limit: i64) -> Result<Vec<Row>> {
    let sql = "SELECT repo.id AS id, repo.state AS state, date_part('epoch', repo.state_time) AS state_ts, \
               tag.name AS tag_name FROM repo JOIN tag ON tag.id = repo.tag_id \
               WHERE repo.tag_id = $1 AND repo.dist = $2 AND repo.state = ANY($3) \
               AND (repo.dist IS TRUE OR repo.custom_opts = $4) \
               ORDER BY repo.create_event DESC, repo.id DESC LIMIT $5";
    let states = vec![RepoState::Ready as i64, RepoState::Expired as i64];
    let plain = Value::Struct(toji_value::Map::new());
    tx.query(sql, params![tag, dist, states, plain, limit]).await
}

/// The repository of each tag in a state that was made of the newest event: `id`, `tag_id`, `tag_name`, `dist`.
pub async fn newest(tx: &mut Tx, state: i64) -> Result<Vec<Row>> {
    let sql = "SELECT id, tag_id, tag_name, dist FROM ( \
               SELECT repo.id AS id, repo.tag_id AS tag_id, tag.name AS tag_name, repo.dist AS dist, \
               ROW_NUMBER() OVER (PARTITION BY repo.tag_id, repo.dist ORDER BY repo.create_event DESC, repo.id DESC) AS place \
               FROM repo JOIN tag ON tag.id = repo.tag_id WHERE repo.state = $1 AND repo.dist IS NOT NULL \
               AND (repo.dist IS TRUE OR repo.custom_opts = $2)) AS placed WHERE place = 1";
    let plain = Value::Struct(toji_value::Map::new());
    tx.query(sql, params![state, plain]).await
}
