//! New repositories.

use toji_types::RepoState;
use toji_value::Map;

use crate::{Result, Tx, params};

/// A repository to be made.
#[derive(Clone, Debug)]
pub struct New {
    /// The event that its content is of.
    pub create_event: i64,
    /// The last change of the tag before that.
    pub begin_event: Option<i64>,
    /// The first change of the tag after that.
    pub end_event: Option<i64>,
    /// The tag.
    pub tag_id: i64,
    /// The task that makes it.
    pub task_id: Option<i64>,
    /// All options.
    pub opts: Map,
    /// The options that differ from the tag's own.
    pub custom_opts: Map,
}

/// Adds a repository in the state INIT and returns its id.
pub async fn insert(tx: &mut Tx, new: New) -> Result<i64> {
    tx.scalar(
        "INSERT INTO repo (create_event, begin_event, end_event, tag_id, task_id, opts,
                           custom_opts, state, dist)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, FALSE) RETURNING id",
        params![
            new.create_event,
            new.begin_event.unwrap_or(new.create_event),
            new.end_event,
            new.tag_id,
            new.task_id,
            toji_value::Value::Struct(new.opts),
            toji_value::Value::Struct(new.custom_opts),
            RepoState::Init as i64,
        ],
    )
    .await
}

/// Makes a dist repository of a tag in the state INIT and returns its number.
pub async fn insert_dist(tx: &mut Tx, tag_id: i64, event: i64) -> Result<i64> {
    let sql = "INSERT INTO repo (create_event, tag_id, state, dist) VALUES ($1, $2, 0, TRUE)
               RETURNING id";
    tx.scalar(sql, params![event, tag_id]).await
}
