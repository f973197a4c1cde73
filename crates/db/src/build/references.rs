//! What still refers to a build: tags, buildroots and archives.

use toji_types::BuildState;

use crate::{Result, Row, Tx, params};

/// Tags that hold a build: `tag_id`, `name`.
pub async fn tags(tx: &mut Tx, id: i64) -> Result<Vec<Row>> {
    let sql = "SELECT tag_listing.tag_id AS tag_id, tag.name AS name
                 FROM tag_listing JOIN tag ON tag_listing.tag_id = tag.id
                WHERE tag_listing.build_id = $1 AND tag_listing.active = TRUE
                ORDER BY tag_listing.create_event, tag_listing.tag_id";
    tx.query(sql, params![id]).await
}

/// RPMs of complete builds that were made in buildroots with RPMs of this one.
pub async fn rpms_built_with(tx: &mut Tx, id: i64, limit: i64) -> Result<Vec<Row>> {
    let sql = "SELECT DISTINCT rpminfo.arch AS arch, rpminfo.build_id AS build_id,
                      rpminfo.id AS id, rpminfo.name AS name, rpminfo.release AS release,
                      rpminfo.version AS version
                 FROM rpminfo JOIN build ON rpminfo.build_id = build.id
                WHERE build.state = $2 AND rpminfo.buildroot_id IN (
                          SELECT bl.buildroot_id FROM buildroot_listing bl
                            JOIN rpminfo own ON own.id = bl.rpm_id
                           WHERE own.build_id = $1)
                ORDER BY rpminfo.id LIMIT $3";
    tx.query(sql, params![id, BuildState::Complete.number(), limit]).await
}

/// Archives of complete builds that hold RPMs of this one.
pub async fn archives_with_rpms(tx: &mut Tx, id: i64, limit: i64) -> Result<Vec<i64>> {
    let sql = "SELECT c.archive_id AS id FROM archive_rpm_components c
                 JOIN rpminfo own ON own.id = c.rpm_id
                 JOIN archiveinfo a ON a.id = c.archive_id
                 JOIN build ON a.build_id = build.id
                WHERE own.build_id = $1 AND build.state = $2 ORDER BY c.archive_id LIMIT $3";
    let rows = tx.query(sql, params![id, BuildState::Complete.number(), limit]).await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// Archives of complete builds that were made in buildroots with archives of this one.
pub async fn archives_built_with(tx: &mut Tx, id: i64, limit: i64) -> Result<Vec<Row>> {
    let sql = "SELECT DISTINCT archiveinfo.build_id AS build_id,
                      archiveinfo.filename AS filename, archiveinfo.id AS id,
                      archiveinfo.type_id AS type_id, archivetypes.name AS type_name
                 FROM archiveinfo
                 JOIN buildroot_archives ba ON ba.buildroot_id = archiveinfo.buildroot_id
                 JOIN archiveinfo own ON own.id = ba.archive_id
                 JOIN build ON archiveinfo.build_id = build.id
                 JOIN archivetypes ON archivetypes.id = archiveinfo.type_id
                WHERE own.build_id = $1 AND build.state = $2
                ORDER BY archiveinfo.id LIMIT $3";
    tx.query(sql, params![id, BuildState::Complete.number(), limit]).await
}

/// Archives of complete builds that hold archives of this one.
pub async fn archives_with_archives(tx: &mut Tx, id: i64, limit: i64) -> Result<Vec<i64>> {
    let sql = "SELECT c.archive_id AS id FROM archive_components c
                 JOIN archiveinfo own ON own.id = c.component_id
                 JOIN archiveinfo a ON a.id = c.archive_id
                 JOIN build ON a.build_id = build.id
                WHERE own.build_id = $1 AND build.state = $2 ORDER BY c.archive_id LIMIT $3";
    let rows = tx.query(sql, params![id, BuildState::Complete.number(), limit]).await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// When a buildroot with content of a build was last made, seconds since 1970.
pub async fn last_used(tx: &mut Tx, id: i64) -> Result<Option<f64>> {
    let sql = "SELECT date_part('epoch', events.time) AS ts FROM events
                WHERE events.id = (
                    SELECT max(used.event) FROM (
                        SELECT max(sb.create_event) AS event FROM standard_buildroot sb
                          JOIN buildroot_listing bl ON bl.buildroot_id = sb.buildroot_id
                          JOIN rpminfo r ON r.id = bl.rpm_id WHERE r.build_id = $1
                         UNION ALL
                        SELECT max(sb.create_event) AS event FROM standard_buildroot sb
                          JOIN buildroot_archives ba ON ba.buildroot_id = sb.buildroot_id
                          JOIN archiveinfo a ON a.id = ba.archive_id WHERE a.build_id = $1
                    ) used)";
    tx.scalar_opt(sql, params![id]).await
}
