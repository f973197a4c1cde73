//! Which tags have changed, and what that means for their repositories.

use crate::{Result, Row, Tx, params};

/// `$body` for each table whose rows belong to a tag and live from event to event.
macro_rules! each_tag_table {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            "tag_listing",
            $after,
            " UNION ALL ",
            $before,
            "tag_inheritance",
            $after,
            " UNION ALL ",
            $before,
            "tag_config",
            $after,
            " UNION ALL ",
            $before,
            "tag_packages",
            $after,
            " UNION ALL ",
            $before,
            "tag_external_repos",
            $after,
            " UNION ALL ",
            $before,
            "tag_extra",
            $after,
            " UNION ALL ",
            $before,
            "group_package_listing",
            $after,
            " UNION ALL ",
            $before,
            "group_req_listing",
            $after,
            " UNION ALL ",
            $before,
            "group_config",
            $after
        )
    };
}

/// Tags that something happened to after an event, their external repositories included.
pub async fn changed_tags(tx: &mut Tx, since: i64) -> Result<Vec<i64>> {
    const SQL: &str = concat!(
        "SELECT DISTINCT changed.tag_id AS tag_id FROM (",
        each_tag_table!("SELECT tag_id FROM ", " WHERE create_event > $1"),
        " UNION ALL ",
        each_tag_table!("SELECT tag_id FROM ", " WHERE revoke_event > $1"),
        " UNION ALL SELECT tag_id FROM tag_updates WHERE update_event > $1 \
          UNION ALL SELECT tag_external_repos.tag_id FROM tag_external_repos \
          JOIN external_repo_config AS config ON config.external_repo_id = tag_external_repos.external_repo_id \
          WHERE config.create_event > $1 OR config.revoke_event > $1 \
          UNION ALL SELECT tag_external_repos.tag_id FROM tag_external_repos \
          JOIN external_repo_data AS data ON data.external_repo_id = tag_external_repos.external_repo_id \
          WHERE data.create_event > $1 OR data.revoke_event > $1) AS changed"
    );
    let rows = tx.query(SQL, params![since]).await?;
    rows.iter().map(|row| row.get("tag_id")).collect()
}

/// All inheritance links in force: `tag_id`, `parent_id`.
pub async fn links(tx: &mut Tx) -> Result<Vec<Row>> {
    tx.query("SELECT tag_id, parent_id FROM tag_inheritance WHERE active IS TRUE", params![]).await
}

/// The newest event; zero before the first.
pub async fn newest_event(tx: &mut Tx) -> Result<i64> {
    tx.scalar("SELECT COALESCE(max(id), 0) AS event FROM events", params![]).await
}

/// Repositories in one of `states` that no change of their tag is known for: `id`, `tag_id`, `create_event`.
pub async fn without_end(tx: &mut Tx, states: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT id, tag_id, create_event FROM repo \
               WHERE end_event IS NULL AND state = ANY($1) ORDER BY create_event, id";
    tx.query(sql, params![states]).await
}

/// Notes the event that made a repository out of date.
pub async fn set_end_event(tx: &mut Tx, repo: i64, event: i64) -> Result<()> {
    tx.execute("UPDATE repo SET end_event = $2 WHERE id = $1", params![repo, event]).await.map(drop)
}
