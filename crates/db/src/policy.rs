//! What policy tests ask of builds.

use crate::{Result, Row, Tx, params};

macro_rules! build_columns {
    () => {
        "SELECT b.id AS id, b.pkg_id AS package_id, p.name AS name, b.version AS version,
                b.release AS release, b.draft AS draft, b.owner AS owner_id, b.source AS source,
                b.task_id AS task_id, b.volume_id AS volume_id, v.name AS volume_name
           FROM build b JOIN package p ON p.id = b.pkg_id JOIN volume v ON v.id = b.volume_id "
    };
}

/// The build with this id.
pub async fn build_by_id(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    tx.query_opt(concat!(build_columns!(), "WHERE b.id = $1"), params![id]).await
}

/// The build with this name, version and release.
pub async fn build_by_nvr(
    tx: &mut Tx,
    name: &str,
    version: &str,
    release: &str,
) -> Result<Option<Row>> {
    let sql = concat!(build_columns!(), "WHERE p.name = $1 AND b.version = $2 AND b.release = $3");
    tx.query_opt(sql, params![name, version, release]).await
}

/// Names of the types of a build, those with rows in the older tables included.
pub async fn build_types(tx: &mut Tx, build_id: i64) -> Result<Vec<String>> {
    let rows = tx
        .query(
            "SELECT t.name AS name FROM build_types bt JOIN btype t ON t.id = bt.btype_id
              WHERE bt.build_id = $1
              UNION SELECT 'maven' FROM maven_builds WHERE build_id = $1
              UNION SELECT 'win' FROM win_builds WHERE build_id = $1
              UNION SELECT 'image' FROM image_builds WHERE build_id = $1",
            params![build_id],
        )
        .await?;
    rows.iter().map(|row| row.get("name")).collect()
}

/// The buildroots of what a build consists of; NULL for imported files.
pub async fn buildroots(tx: &mut Tx, build_id: i64) -> Result<Vec<Option<i64>>> {
    let rows = tx
        .query(
            "SELECT buildroot_id AS id FROM rpminfo WHERE build_id = $1
              UNION
             SELECT buildroot_id AS id FROM archiveinfo WHERE build_id = $1",
            params![build_id],
        )
        .await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// What made buildroots: `cg_name`, and for standard ones `tag_id`, `tag_name` and `event`.
pub async fn origins(tx: &mut Tx, buildroots: &[i64]) -> Result<Vec<Row>> {
    tx.query(
        "SELECT DISTINCT cg.name AS cg_name, t.id AS tag_id, t.name AS tag_name,
                r.create_event AS event
           FROM buildroot b
           LEFT JOIN content_generator cg ON cg.id = b.cg_id
           LEFT JOIN standard_buildroot sb ON sb.buildroot_id = b.id
           LEFT JOIN repo r ON r.id = sb.repo_id
           LEFT JOIN tag t ON t.id = r.tag_id
          WHERE b.id = ANY($1)",
        params![buildroots],
    )
    .await
}

/// Names of the tags that hold a build now.
pub async fn tags(tx: &mut Tx, build_id: i64) -> Result<Vec<String>> {
    let rows = tx
        .query(
            "SELECT t.name AS name FROM tag_listing tl JOIN tag t ON t.id = tl.tag_id
               JOIN tag_config tc ON tc.tag_id = t.id AND tc.active = TRUE
              WHERE tl.active = TRUE AND tl.build_id = $1",
            params![build_id],
        )
        .await?;
    rows.iter().map(|row| row.get("name")).collect()
}
