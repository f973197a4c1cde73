//! What the repository daemon looks for: tags that need a repository, repositories that nobody needs.

use toji_value::{Map, Value};

use crate::{Result, Row, Time, Tx, params};

/// Tags that should always have a current repository and have none, nor a request for one: `id`, `name`.
///
/// These are the tags that targets build in; a tag's extra `repo.auto` of `false` takes it out. A tag
/// without arches has no repository to make.
pub async fn outdated_build_tags(tx: &mut Tx, ready: i64) -> Result<Vec<Row>> {
    tx.query(
        "SELECT tag.id AS id, tag.name AS name FROM tag \
         JOIN tag_config ON tag_config.tag_id = tag.id AND tag_config.active IS TRUE \
         WHERE COALESCE(tag_config.arches, '') <> '' \
         AND EXISTS (SELECT 1 FROM build_target_config AS target \
             WHERE target.build_tag = tag.id AND target.active IS TRUE) \
         AND NOT EXISTS (SELECT 1 FROM tag_extra AS extra WHERE extra.tag_id = tag.id \
             AND extra.key = 'repo.auto' AND extra.active IS TRUE AND extra.value = 'false') \
         AND NOT EXISTS (SELECT 1 FROM repo WHERE repo.tag_id = tag.id AND repo.state = $1 \
             AND repo.dist IS FALSE AND repo.end_event IS NULL AND repo.custom_opts = $2) \
         AND NOT EXISTS (SELECT 1 FROM repo_queue AS queue WHERE queue.tag_id = tag.id \
             AND queue.active IS TRUE AND queue.at_event IS NULL AND queue.opts = $2) \
         ORDER BY tag.id",
        params![ready, Value::Struct(Map::new())],
    )
    .await
}

/// The tags' own `repo.auto` and `repo.lag`: `tag_id`, `key`, `value` (JSON text).
pub async fn auto_settings(tx: &mut Tx) -> Result<Vec<Row>> {
    tx.query(
        "SELECT tag_id, key, value FROM tag_extra \
         WHERE key = ANY($1) AND active IS TRUE ORDER BY tag_id, key",
        params![vec!["repo.auto", "repo.lag"]],
    )
    .await
}

/// A user by name, or else the first user: who owns what the hub does by itself.
pub async fn owner(tx: &mut Tx, name: &str) -> Result<Option<i64>> {
    let sql = "SELECT id FROM users ORDER BY CASE WHEN name = $1 THEN 0 ELSE 1 END, id LIMIT 1";
    tx.scalar_opt(sql, params![name]).await
}

/// Repositories being made since before `cutoff`, or whose task has ended in one of `states`: `id`.
pub async fn stuck(tx: &mut Tx, init: i64, cutoff: Time, states: &[i64]) -> Result<Vec<i64>> {
    let rows = tx
        .query(
            "SELECT repo.id AS id FROM repo LEFT JOIN task ON task.id = repo.task_id \
             WHERE repo.state = $1 AND (repo.creation_time IS NULL OR repo.creation_time < $2 \
             OR task.state = ANY($3)) ORDER BY repo.id",
            params![init, cutoff, states],
        )
        .await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// Ready repositories that came into that state before `cutoff`, or `dist` if they are for distribution, and that nobody
/// needs any more: `id`.
///
/// Kept are current ones with the tag's own options, and the newest one with the tag's own options if
/// it is for distribution or a target builds in its tag.
pub async fn expirable(tx: &mut Tx, ready: i64, cutoff: Time, dist: Time) -> Result<Vec<i64>> {
    let rows = tx
        .query(
            "SELECT repo.id AS id FROM repo WHERE repo.state = $1 \
             AND repo.state_time < CASE WHEN repo.dist IS TRUE THEN $4::timestamptz ELSE $2::timestamptz END \
             AND NOT (repo.end_event IS NULL AND (repo.custom_opts IS NULL OR repo.custom_opts = $3)) \
             AND NOT ((repo.dist IS TRUE OR (repo.custom_opts = $3 AND EXISTS \
                 (SELECT 1 FROM build_target_config AS target \
                  WHERE target.build_tag = repo.tag_id AND target.active IS TRUE))) \
               AND NOT EXISTS (SELECT 1 FROM repo AS newer WHERE newer.tag_id = repo.tag_id \
                  AND newer.state = $1 AND newer.create_event > repo.create_event \
                  AND newer.dist = repo.dist AND (newer.dist IS TRUE OR newer.custom_opts = $3))) \
             ORDER BY repo.id",
            params![ready, cutoff, Value::Struct(Map::new()), dist],
        )
        .await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// Repositories by their numbers: `id`, `state`, `state_ts`, `tag_id`, `tag_name`, `dist`.
pub async fn states(tx: &mut Tx, ids: &[i64]) -> Result<Vec<Row>> {
    tx.query(
        "SELECT repo.id AS id, repo.state AS state, date_part('epoch', repo.state_time) AS state_ts, \
         repo.tag_id AS tag_id, tag.name AS tag_name, repo.dist AS dist \
         FROM repo JOIN tag ON tag.id = repo.tag_id WHERE repo.id = ANY($1)",
        params![ids],
    )
    .await
}

/// Repositories in one of `states` since before `cutoff` that no buildroot uses: `id`, `tag_name`, `dist`.
pub async fn deletable(tx: &mut Tx, states: &[i64], cutoff: Time) -> Result<Vec<Row>> {
    tx.query(
        "SELECT repo.id AS id, tag.name AS tag_name, repo.dist AS dist FROM repo \
         JOIN tag ON tag.id = repo.tag_id WHERE repo.state = ANY($1) AND repo.state_time < $2 \
         AND NOT EXISTS (SELECT 1 FROM standard_buildroot AS root \
             WHERE root.repo_id = repo.id AND root.retire_event IS NULL) ORDER BY repo.id",
        params![states, cutoff],
    )
    .await
}
