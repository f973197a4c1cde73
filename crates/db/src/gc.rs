//! What garbage collection asks of builds: who holds them, who uses them, who signed them.

pub mod sweep;

use toji_types::BuildState;

use crate::{Result, Row, Time, Tx, params};

/// Complete builds above a number that no tag holds: `id`, `name`, `version`, `release`, `package_id`, `owner_id`,
/// `owner_name`, `volume_id`, `created` (seconds since 1970).
pub async fn untagged(tx: &mut Tx, after: i64, limit: i64) -> Result<Vec<Row>> {
    let sql = "SELECT build.id AS id, package.name AS name, build.version AS version,
                      build.release AS release, build.pkg_id AS package_id,
                      build.owner AS owner_id, users.name AS owner_name, build.volume_id AS volume_id,
                      date_part('epoch', events.time) AS created
                 FROM build
                 JOIN package ON package.id = build.pkg_id
                 JOIN users ON users.id = build.owner
                 JOIN events ON events.id = build.create_event
                WHERE build.state = $1 AND build.id > $2
                  AND NOT EXISTS (SELECT 1 FROM tag_listing
                                   WHERE tag_listing.build_id = build.id
                                     AND tag_listing.active = TRUE)
                ORDER BY build.id LIMIT $3";
    tx.query(sql, params![BuildState::Complete.number(), after, limit]).await
}

/// Builds above a number that a tag has held since before a moment: `id`, `name`, `version`, `release`, `since`.
pub async fn held(tx: &mut Tx, tag: i64, before: Time, after: i64, limit: i64) -> Result<Vec<Row>> {
    let sql = "SELECT build.id AS id, package.name AS name, build.version AS version,
                      build.release AS release, date_part('epoch', events.time) AS since
                 FROM tag_listing
                 JOIN build ON build.id = tag_listing.build_id
                 JOIN package ON package.id = build.pkg_id
                 JOIN events ON events.id = tag_listing.create_event
                WHERE tag_listing.tag_id = $1 AND tag_listing.active = TRUE
                  AND events.time < $2 AND build.id > $3
                ORDER BY build.id LIMIT $4";
    tx.query(sql, params![tag, before, after, limit]).await
}

/// One use of each kind of these builds, as text: `build_id`, `rpm` and `archive` that were made with it,
/// `component`, a file that holds part of it; and `used`, when it was last in a buildroot (seconds since 1970).
pub async fn uses(tx: &mut Tx, builds: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT b.id AS build_id,
             (SELECT made.name || '-' || made.version || '-' || made.release || '.' || made.arch
                FROM rpminfo own
                JOIN buildroot_listing bl ON bl.rpm_id = own.id
                JOIN rpminfo made ON made.buildroot_id = bl.buildroot_id
                JOIN build other ON other.id = made.build_id
               WHERE own.build_id = b.id AND other.state = $2 LIMIT 1) AS rpm,
             (SELECT made.filename
                FROM archiveinfo own
                JOIN buildroot_archives ba ON ba.archive_id = own.id
                JOIN archiveinfo made ON made.buildroot_id = ba.buildroot_id
                JOIN build other ON other.id = made.build_id
               WHERE own.build_id = b.id AND other.state = $2 LIMIT 1) AS archive,
             COALESCE(
                 (SELECT whole.filename
                    FROM rpminfo own
                    JOIN archive_rpm_components c ON c.rpm_id = own.id
                    JOIN archiveinfo whole ON whole.id = c.archive_id
                    JOIN build other ON other.id = whole.build_id
                   WHERE own.build_id = b.id AND other.state = $2 LIMIT 1),
                 (SELECT whole.filename
                    FROM archiveinfo own
                    JOIN archive_components c ON c.component_id = own.id
                    JOIN archiveinfo whole ON whole.id = c.archive_id
                    JOIN build other ON other.id = whole.build_id
                   WHERE own.build_id = b.id AND other.state = $2 LIMIT 1)) AS component,
             (SELECT date_part('epoch', max(events.time)) FROM events
               WHERE events.id = COALESCE(
                 (SELECT max(sb.create_event) FROM rpminfo own
                    JOIN buildroot_listing bl ON bl.rpm_id = own.id
                    JOIN standard_buildroot sb ON sb.buildroot_id = bl.buildroot_id
                   WHERE own.build_id = b.id),
                 (SELECT max(sb.create_event) FROM archiveinfo own
                    JOIN buildroot_archives ba ON ba.archive_id = own.id
                    JOIN standard_buildroot sb ON sb.buildroot_id = ba.buildroot_id
                   WHERE own.build_id = b.id))) AS used
        FROM build b WHERE b.id = ANY($1)";
    tx.query(sql, params![builds, BuildState::Complete.number()]).await
}

/// When these builds last left a tag: `build_id`, `left_at` (seconds since 1970).
pub async fn last_untagged(tx: &mut Tx, builds: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT l.build_id AS build_id, date_part('epoch', max(events.time)) AS left_at
                 FROM tag_listing l JOIN events ON events.id = l.revoke_event
                WHERE l.build_id = ANY($1) GROUP BY l.build_id";
    tx.query(sql, params![builds]).await
}

/// The keys that RPMs of these builds are signed with: `build_id`, `sigkey`.
pub async fn keys(tx: &mut Tx, builds: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT DISTINCT rpminfo.build_id AS build_id, rpmsigs.sigkey AS sigkey
                 FROM rpminfo JOIN rpmsigs ON rpmsigs.rpm_id = rpminfo.id
                WHERE rpminfo.build_id = ANY($1) AND rpmsigs.sigkey <> ''
                ORDER BY rpminfo.build_id, rpmsigs.sigkey";
    tx.query(sql, params![builds]).await
}

/// The tags that hold these builds: `build_id`, `tag`.
pub async fn tag_names(tx: &mut Tx, builds: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT l.build_id AS build_id, tag.name AS tag
                 FROM tag_listing l JOIN tag ON tag.id = l.tag_id
                WHERE l.build_id = ANY($1) AND l.active = TRUE ORDER BY l.build_id, tag.name";
    tx.query(sql, params![builds]).await
}

/// All tags by name: `id`, `name`, `locked`, `maven_include_all`.
pub async fn tags(tx: &mut Tx) -> Result<Vec<Row>> {
    let sql = "SELECT tag.id AS id, tag.name AS name, tag_config.locked AS locked,
                      tag_config.maven_include_all AS maven_include_all
                 FROM tag_config JOIN tag ON tag.id = tag_config.tag_id
                WHERE tag_config.active = TRUE ORDER BY tag.name";
    tx.query(sql, &[]).await
}

/// The builds of a tag, the latest first: `id`, `name`, `version`, `release`, `draft`, `tagged` (seconds since 1970),
/// `volume`, `cg`, `maven` (whether it is a Maven build).
pub async fn listing(tx: &mut Tx, tag: i64) -> Result<Vec<Row>> {
    let sql = "SELECT build.id AS id, package.name AS name, build.version AS version,
                      build.release AS release, build.draft AS draft, volume.name AS volume,
                      content_generator.name AS cg,
                      maven_builds.build_id IS NOT NULL AS \"maven:bool\",
                      date_part('epoch', events.time) AS tagged
                 FROM tag_listing
                 JOIN build ON build.id = tag_listing.build_id
                 JOIN package ON package.id = build.pkg_id
                 JOIN volume ON volume.id = build.volume_id
                 JOIN events ON events.id = tag_listing.create_event
                 LEFT JOIN content_generator ON content_generator.id = build.cg_id
                 LEFT JOIN maven_builds ON maven_builds.build_id = build.id
                WHERE tag_listing.tag_id = $1 AND tag_listing.active = TRUE
                ORDER BY tag_listing.create_event DESC, build.id DESC";
    tx.query(sql, params![tag]).await
}

/// How often users own these packages in tags: `package_id`, `owner`, `number`.
pub async fn package_owners(tx: &mut Tx, packages: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT package_id AS package_id, owner AS owner, count(*) AS number
                 FROM tag_package_owners
                WHERE package_id = ANY($1) AND active = TRUE GROUP BY package_id, owner
                ORDER BY package_id, count(*), owner";
    tx.query(sql, params![packages]).await
}

/// All side tags: `id`, `name`, `created`, `builds` (how many), `tagged` (when the last build came; seconds since 1970).
pub async fn side_tags(tx: &mut Tx) -> Result<Vec<Row>> {
    let sql = "SELECT tag.id AS id, tag.name AS name,
             (SELECT date_part('epoch', min(events.time)) FROM tag_config
                JOIN events ON events.id = tag_config.create_event
               WHERE tag_config.tag_id = tag.id) AS created,
             (SELECT count(*) FROM tag_listing
               WHERE tag_listing.tag_id = tag.id AND tag_listing.active = TRUE) AS builds,
             (SELECT date_part('epoch', max(events.time)) FROM tag_listing
                JOIN events ON events.id = tag_listing.create_event
               WHERE tag_listing.tag_id = tag.id) AS tagged
        FROM tag_extra
        JOIN tag ON tag.id = tag_extra.tag_id
        JOIN tag_config ON tag_config.tag_id = tag.id AND tag_config.active = TRUE
       WHERE tag_extra.key = 'sidetag' AND tag_extra.value = 'true' AND tag_extra.active = TRUE
       ORDER BY tag.id";
    tx.query(sql, &[]).await
}

/// Complete builds above a number of which an RPM is signed: `id`, `name`, `version`, `release`, `package_id`, `volume`.
pub async fn signed(tx: &mut Tx, after: i64, limit: i64) -> Result<Vec<Row>> {
    let sql = "SELECT build.id AS id, package.name AS name, build.version AS version,
                      build.release AS release, build.pkg_id AS package_id, volume.name AS volume
                 FROM build
                 JOIN package ON package.id = build.pkg_id
                 JOIN volume ON volume.id = build.volume_id
                WHERE build.state = $1 AND build.id > $2
                  AND EXISTS (SELECT 1 FROM rpminfo JOIN rpmsigs ON rpmsigs.rpm_id = rpminfo.id
                               WHERE rpminfo.build_id = build.id AND rpmsigs.sigkey <> '')
                ORDER BY build.id LIMIT $3";
    tx.query(sql, params![BuildState::Complete.number(), after, limit]).await
}

/// The stays of all builds of these builds' packages in the tags that these builds were ever in, by tagging:
/// `package_id`, `tag`, `build_id`, `create_event`, `revoke_event`, `began`, `ended` (seconds since 1970).
pub async fn stays(tx: &mut Tx, builds: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT other.pkg_id AS package_id, tag.name AS tag, l.build_id AS build_id,
                      l.create_event AS create_event, l.revoke_event AS revoke_event,
                      date_part('epoch', c.time) AS began, date_part('epoch', r.time) AS ended
                 FROM (SELECT DISTINCT mine.tag_id AS tag_id, b.pkg_id AS pkg_id
                         FROM tag_listing mine JOIN build b ON b.id = mine.build_id
                        WHERE mine.build_id = ANY($1)) AS place
                 JOIN build other ON other.pkg_id = place.pkg_id
                 JOIN tag_listing l ON l.build_id = other.id AND l.tag_id = place.tag_id
                 JOIN tag ON tag.id = l.tag_id
                 JOIN events c ON c.id = l.create_event
                 LEFT JOIN events r ON r.id = l.revoke_event
                ORDER BY l.create_event";
    tx.query(sql, params![builds]).await
}

/// The signatures of these builds' RPMs: `build_id`, `name`, `version`, `release`, `arch`, `sigkey`.
pub async fn signatures(tx: &mut Tx, builds: &[i64]) -> Result<Vec<Row>> {
    let sql =
        "SELECT rpminfo.build_id AS build_id, rpminfo.name AS name, rpminfo.version AS version,
                      rpminfo.release AS release, rpminfo.arch AS arch, rpmsigs.sigkey AS sigkey
                 FROM rpminfo JOIN rpmsigs ON rpmsigs.rpm_id = rpminfo.id
                WHERE rpminfo.build_id = ANY($1) AND rpmsigs.sigkey <> ''
                ORDER BY rpminfo.id";
    tx.query(sql, params![builds]).await
}
