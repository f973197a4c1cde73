//! Repository metadata of RPMs, as it was made at their import.

use std::collections::HashMap;

use toji_types::BuildState;

use crate::{Result, Row, Time, Tx, params};

/// The pieces of one RPM by kind, as they are stored.
pub type Pieces = HashMap<String, Vec<u8>>;

/// The stored pieces of RPMs (unsigned files); an RPM without pieces is left out.
pub async fn of_rpms(tx: &mut Tx, rpm_ids: &[i64]) -> Result<HashMap<i64, Pieces>> {
    let sql = "SELECT rpm_id, kind, data FROM toji_rpm_fragment
                WHERE sigkey = '' AND rpm_id = ANY($1)";
    let rows = tx.query(sql, params![rpm_ids]).await?;
    let mut found: HashMap<i64, Pieces> = HashMap::with_capacity(rpm_ids.len());
    for row in rows {
        let pieces = found.entry(row.get("rpm_id")?).or_default();
        pieces.insert(row.get("kind")?, row.get("data")?);
    }
    Ok(found)
}

/// Forgets the metadata of a build's RPMs, which name the place of their files.
pub async fn forget(tx: &mut Tx, build_id: i64) -> Result<()> {
    let sql = "DELETE FROM toji_rpm_fragment
                WHERE rpm_id IN (SELECT id FROM rpminfo WHERE build_id = $1)";
    tx.execute(sql, params![build_id]).await.map(drop)
}

/// How far the job is that makes the metadata of RPMs without any: the row of `toji_metadata_job`, times in seconds.
pub async fn job(tx: &mut Tx) -> Result<Row> {
    tx.query_one(
        "SELECT floor, position, top, made, paused, rate, workers, \
         date_part('epoch', started) AS started_ts, date_part('epoch', updated) AS updated_ts, \
         date_part('epoch', finished) AS finished_ts FROM toji_metadata_job WHERE id = 1",
        params![],
    )
    .await
}

/// Begins a round of the job with the RPMs from `floor` (without it) to `top`.
pub async fn begin_job(tx: &mut Tx, floor: i64, top: i64, now: Time) -> Result<()> {
    let sql = "UPDATE toji_metadata_job SET floor = $1, position = $2, top = $2, made = 0, started = $3, \
               updated = $3, finished = NULL WHERE id = 1";
    tx.execute(sql, params![floor, top, now]).await.map(drop)
}

/// Where the job is: the RPMs above `position` were looked at, in the round that began with `top`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The highest number that was not looked at.
    pub position: i64,
    /// The highest number of the round.
    pub top: i64,
}

/// Notes that the job has looked at all RPMs above `position`, and has made the metadata of `made` more; tells whether it
/// still was at `from`, and not sent to another place meanwhile.
pub async fn note_job(
    tx: &mut Tx,
    from: Place,
    position: i64,
    made: i64,
    now: Time,
    end: bool,
) -> Result<bool> {
    let sql = "UPDATE toji_metadata_job SET position = $1, made = made + $2, updated = $3, \
               finished = CASE WHEN $4 THEN $3 ELSE finished END \
               WHERE id = 1 AND position = $5 AND top = $6";
    let noted = tx.execute(sql, params![position, made, now, end, from.position, from.top]).await?;
    Ok(noted > 0)
}

/// Sets how the job works; what is nothing stays.
pub async fn set_job(
    tx: &mut Tx,
    paused: Option<bool>,
    rate: Option<i64>,
    workers: Option<i64>,
) -> Result<()> {
    // No rate at all is as many as possible.
    let sql = "UPDATE toji_metadata_job SET paused = COALESCE($1, paused), \
               rate = NULLIF(COALESCE($2, rate, 0), 0), workers = COALESCE($3, workers) WHERE id = 1";
    tx.execute(sql, params![paused, rate, workers]).await.map(drop)
}

/// The highest number of an RPM.
pub async fn newest_rpm(tx: &mut Tx) -> Result<i64> {
    tx.scalar("SELECT COALESCE(max(id), 0) AS id FROM rpminfo", params![]).await
}

/// RPMs of complete builds with numbers above `low` and up to `high` that have no metadata and did not fail before, the
/// newest first: `id`, `build_id`, `volume_id`, name, version, release and `arch`, and of the build `package_name`,
/// `build_version`, `build_release`, `volume_name`.
pub async fn missing(tx: &mut Tx, low: i64, high: i64, limit: i64) -> Result<Vec<Row>> {
    let sql = "SELECT r.id AS id, r.build_id AS build_id, r.name AS name, r.version AS version, r.release AS release, \
                r.arch AS arch, b.volume_id AS volume_id, p.name AS package_name, b.version AS build_version, \
                b.release AS build_release, v.name AS volume_name \
           FROM rpminfo r JOIN build b ON b.id = r.build_id JOIN package p ON p.id = b.pkg_id \
           JOIN volume v ON v.id = b.volume_id \
          WHERE r.id > $1 AND r.id <= $2 AND r.external_repo_id = 0 AND r.metadata_only IS NOT TRUE AND b.state = $4 \
            AND NOT EXISTS (SELECT 1 FROM toji_metadata_failure f WHERE f.rpm_id = r.id) \
            AND (SELECT count(*) FROM toji_rpm_fragment g WHERE g.rpm_id = r.id AND g.sigkey = '') < 3 \
          ORDER BY r.id DESC LIMIT $3";
    tx.query(sql, params![low, high, limit, BuildState::Complete as i64]).await
}

/// Holds builds until the end of the transaction, and tells where they are: `id`, `volume_id`, `state`.
pub async fn hold_builds(tx: &mut Tx, ids: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT id, volume_id, state FROM build WHERE id = ANY($1) ORDER BY id FOR UPDATE";
    tx.query(sql, params![ids]).await
}

/// Notes why the metadata of an RPM cannot be made.
pub async fn fail(tx: &mut Tx, rpm_id: i64, reason: &str, now: Time) -> Result<()> {
    let sql = "INSERT INTO toji_metadata_failure (rpm_id, reason, tried) VALUES ($1, $2, $3) \
               ON CONFLICT (rpm_id) DO UPDATE SET reason = excluded.reason, tried = excluded.tried";
    tx.execute(sql, params![rpm_id, reason, now]).await.map(drop)
}

/// Forgets what failed, so that it is tried again.
pub async fn forget_failures(tx: &mut Tx) -> Result<u64> {
    tx.execute("DELETE FROM toji_metadata_failure", params![]).await
}

/// How many RPMs failed and have no metadata from elsewhere.
pub async fn count_failures(tx: &mut Tx) -> Result<i64> {
    let sql = "SELECT count(*) AS count FROM toji_metadata_failure f \
               WHERE NOT EXISTS (SELECT 1 FROM toji_rpm_fragment g WHERE g.rpm_id = f.rpm_id AND g.sigkey = '')";
    tx.scalar(sql, params![]).await
}

/// The RPMs that failed, the newest first: `rpm_id`, `nvra`, `build_id`, `reason`, `tried_ts`.
pub async fn failures(tx: &mut Tx, limit: i64) -> Result<Vec<Row>> {
    let sql = "SELECT f.rpm_id AS rpm_id, r.name || '-' || r.version || '-' || r.release || '.' || r.arch AS nvra, \
                r.build_id AS build_id, f.reason AS reason, date_part('epoch', f.tried) AS tried_ts \
           FROM toji_metadata_failure f JOIN rpminfo r ON r.id = f.rpm_id \
          WHERE NOT EXISTS (SELECT 1 FROM toji_rpm_fragment g WHERE g.rpm_id = f.rpm_id AND g.sigkey = '') \
          ORDER BY f.rpm_id DESC LIMIT $1";
    tx.query(sql, params![limit]).await
}
