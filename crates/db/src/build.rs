//! Builds: look-ups, listing, states, and what hangs on them.

mod list;
mod references;
mod remove;

pub use list::{Filter, Type, list};
pub use references::*;
pub use remove::*;

use toji_types::BuildState;
use toji_value::Value;

use crate::versioned::{event, next_id};
use crate::{Result, Row, Time, Tx, params};

/// The build of this name, version and release.
pub async fn find(tx: &mut Tx, name: &str, version: &str, release: &str) -> Result<Option<i64>> {
    let sql = "SELECT build.id AS id FROM build JOIN package ON build.pkg_id = package.id
                WHERE package.name = $1 AND build.version = $2 AND build.release = $3";
    tx.scalar_opt(sql, params![name, version, release]).await
}

/// A build as clients see it.
pub async fn get(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    tx.query_opt(
        "SELECT build.id AS build_id, build.cg_id AS cg_id,
                build.completion_time AS completion_time,
                date_part('epoch', build.completion_time) AS completion_ts,
                events.id AS creation_event_id, events.time AS creation_time,
                date_part('epoch', events.time) AS creation_ts, build.draft AS draft,
                build.epoch AS epoch, build.extra AS \"extra:json\", build.id AS id,
                package.name AS name,
                package.name || '-' || build.version || '-' || build.release AS nvr,
                users.id AS owner_id, users.name AS owner_name, package.id AS package_id,
                package.name AS package_name, promoter.id AS promoter_id,
                promoter.name AS promoter_name, build.promotion_time AS promotion_time,
                date_part('epoch', build.promotion_time) AS promotion_ts,
                build.release AS release, build.source AS source, build.start_time AS start_time,
                date_part('epoch', build.start_time) AS start_ts, build.state AS state,
                build.task_id AS task_id, build.version AS version, volume.id AS volume_id,
                volume.name AS volume_name, content_generator.name AS cg_name
           FROM build
           JOIN events ON build.create_event = events.id
           JOIN package ON build.pkg_id = package.id
           JOIN volume ON build.volume_id = volume.id
           JOIN users ON build.owner = users.id
           LEFT JOIN users AS promoter ON build.promoter = promoter.id
           LEFT JOIN content_generator ON build.cg_id = content_generator.id
          WHERE build.id = $1",
        params![id],
    )
    .await
}

/// Locks a build's row until the end of the transaction: `state`, `task_id`.
pub async fn lock(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    let sql = "SELECT state, task_id FROM build WHERE id = $1 FOR UPDATE";
    tx.query_opt(sql, params![id]).await
}

/// A build to be made.
#[derive(Clone, Debug, Default)]
pub struct New {
    /// The package.
    pub pkg_id: i64,
    /// Upstream's version.
    pub version: String,
    /// The packager's release; of a draft without its suffix.
    pub release: String,
    /// The epoch.
    pub epoch: Option<i64>,
    /// Whether it is a draft.
    pub draft: bool,
    /// A number of [`BuildState`].
    pub state: i64,
    /// The task that makes it.
    pub task_id: Option<i64>,
    /// The user it belongs to.
    pub owner: i64,
    /// Where its source is.
    pub source: Option<String>,
    /// Further data.
    pub extra: Option<Value>,
    /// The volume that it is stored on.
    pub volume_id: i64,
    /// The content generator that made it.
    pub cg_id: Option<i64>,
    /// When it began and ended, if that is not now.
    pub times: (Option<Time>, Option<Time>),
    /// A number that was reserved for it.
    pub id: Option<i64>,
}

/// Reserves the number of a build that is yet to be made.
pub async fn reserve_id(tx: &mut Tx) -> Result<i64> {
    next_id(tx, "build").await
}

/// Locks a package, so that only one caller at a time counts its releases up.
pub async fn lock_package(tx: &mut Tx, pkg_id: i64) -> Result<()> {
    tx.query("SELECT id FROM package WHERE id = $1 FOR UPDATE", params![pkg_id]).await.map(drop)
}

/// Makes a build and returns its number; a draft's release gets its suffix.
pub async fn insert(tx: &mut Tx, new: &New) -> Result<i64> {
    let event = event(tx).await?;
    let id = match new.id {
        Some(id) => id,
        None => next_id(tx, "build").await?,
    };
    let release = if new.draft {
        toji_types::nvr::draft_release(&new.release, id)
    } else {
        new.release.clone()
    };
    tx.execute(
        "INSERT INTO build (id, pkg_id, version, release, epoch, draft, state, task_id, owner,
                            source, extra, volume_id, cg_id, create_event, start_time,
                            completion_time)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
                 $15::timestamptz, $16::timestamptz)",
        params![
            id,
            new.pkg_id,
            &new.version,
            release,
            new.epoch,
            new.draft,
            new.state,
            new.task_id,
            new.owner,
            new.source.as_ref(),
            new.extra.as_ref().map(|e| e.to_json().to_string()),
            new.volume_id,
            new.cg_id,
            event,
            new.times.0,
            new.times.1
        ],
    )
    .await?;
    Ok(id)
}

/// Takes up a failed or cancelled build again, under a new event.
pub async fn recycle(tx: &mut Tx, id: i64, new: &New) -> Result<()> {
    let event = event(tx).await?;
    tx.execute(
        "UPDATE build SET state = $2, task_id = $3, owner = $4, epoch = $5, source = $6,
                extra = $7, volume_id = $8, create_event = $9, cg_id = COALESCE($10::int, cg_id),
                start_time = $11::timestamptz, completion_time = $12::timestamptz
          WHERE id = $1",
        params![
            id,
            new.state,
            new.task_id,
            new.owner,
            new.epoch,
            new.source.as_ref(),
            new.extra.as_ref().map(|e| e.to_json().to_string()),
            new.volume_id,
            event,
            new.cg_id,
            new.times.0,
            new.times.1
        ],
    )
    .await
    .map(drop)
}

/// Whether a build was ever tagged, has RPMs, or has archives: three truth values by these names.
pub async fn traces(tx: &mut Tx, id: i64) -> Result<Row> {
    tx.query_one(
        "SELECT EXISTS (SELECT 1 FROM tag_listing WHERE build_id = $1) AS \"tags:bool\",
                EXISTS (SELECT 1 FROM rpminfo WHERE build_id = $1) AS \"rpms:bool\",
                EXISTS (SELECT 1 FROM archiveinfo WHERE build_id = $1) AS \"archives:bool\"",
        params![id],
    )
    .await
}

/// Whether a build has RPMs.
pub async fn has_rpms(tx: &mut Tx, id: i64) -> Result<bool> {
    let sql = "SELECT id FROM rpminfo WHERE build_id = $1 LIMIT 1";
    Ok(tx.query_opt(sql, params![id]).await?.is_some())
}

/// Ends a build in progress in a state other than complete.
pub async fn end(tx: &mut Tx, id: i64, state: BuildState) -> Result<()> {
    let sql = "UPDATE build SET state = $2, completion_time = NOW() WHERE id = $1";
    tx.execute(sql, params![id, state.number()]).await.map(drop)
}

/// Moves a build to a volume.
pub async fn set_volume(tx: &mut Tx, id: i64, volume_id: i64) -> Result<()> {
    let sql = "UPDATE build SET volume_id = $2 WHERE id = $1";
    tx.execute(sql, params![id, volume_id]).await.map(drop)
}

/// Gives a build another owner.
pub async fn set_owner(tx: &mut Tx, id: i64, owner: i64) -> Result<()> {
    tx.execute("UPDATE build SET owner = $2 WHERE id = $1", params![id, owner]).await.map(drop)
}

/// Sets the time of a build's completion.
pub async fn set_completion(tx: &mut Tx, id: i64, time: Time) -> Result<()> {
    let sql = "UPDATE build SET completion_time = $2::timestamptz WHERE id = $1";
    tx.execute(sql, params![id, time]).await.map(drop)
}

/// Makes a draft a regular build with this release, in the name of `promoter`.
pub async fn promote(tx: &mut Tx, id: i64, release: &str, promoter: i64) -> Result<()> {
    let sql = "UPDATE build SET draft = FALSE, release = $2, promoter = $3,
                      promotion_time = NOW() WHERE id = $1";
    tx.execute(sql, params![id, release, promoter]).await.map(drop)
}

/// Completes a build on a volume.
pub async fn complete(tx: &mut Tx, id: i64, volume_id: i64) -> Result<()> {
    let sql = "UPDATE build SET state = $2, volume_id = $3, completion_time = NOW() WHERE id = $1";
    tx.execute(sql, params![id, BuildState::Complete.number(), volume_id]).await.map(drop)
}

/// Sets the source of a build.
pub async fn set_source(tx: &mut Tx, id: i64, source: Option<&str>) -> Result<()> {
    tx.execute("UPDATE build SET source = $2 WHERE id = $1", params![id, source]).await.map(drop)
}

/// Forgets the reservation of a build by a content generator.
pub async fn clear_reservation(tx: &mut Tx, id: i64) -> Result<()> {
    let sql = "DELETE FROM build_reservations WHERE build_id = $1";
    tx.execute(sql, params![id]).await.map(drop)
}

/// Gives a build a type, if it has it not yet.
pub async fn add_type(tx: &mut Tx, id: i64, btype: &str) -> Result<()> {
    let sql = "INSERT INTO build_types (build_id, btype_id)
               SELECT $1, btype.id FROM btype WHERE btype.name = $2
               ON CONFLICT (build_id, btype_id) DO NOTHING";
    tx.execute(sql, params![id, btype]).await.map(drop)
}

/// The types of a build by name, with the details that old types keep in their own tables.
pub async fn types(tx: &mut Tx, id: i64) -> Result<Vec<String>> {
    let sql = "SELECT btype.name AS name FROM btype
                 JOIN build_types ON build_types.btype_id = btype.id
                WHERE build_types.build_id = $1 ORDER BY btype.id";
    let rows = tx.query(sql, params![id]).await?;
    rows.iter().map(|row| row.get("name")).collect()
}

/// Details of a Maven build.
pub async fn maven(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    let sql = "SELECT build_id, group_id, artifact_id, version FROM maven_builds
                WHERE build_id = $1";
    tx.query_opt(sql, params![id]).await
}

/// Details of a Windows build.
pub async fn win(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    let sql = "SELECT build_id, platform FROM win_builds WHERE build_id = $1";
    tx.query_opt(sql, params![id]).await
}

/// Details of an image build.
pub async fn image(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    tx.query_opt("SELECT build_id FROM image_builds WHERE build_id = $1", params![id]).await
}

/// Release of the newest build of a version that was not a draft, failed or cancelled.
pub async fn newest_release(tx: &mut Tx, name: &str, version: &str) -> Result<Option<String>> {
    let states = [BuildState::Complete, BuildState::Deleted, BuildState::Building];
    let sql = "SELECT build.release AS release
                 FROM build JOIN package ON build.pkg_id = package.id
                WHERE package.name = $1 AND build.version = $2 AND build.state = ANY($3)
                  AND build.draft IS FALSE
                ORDER BY build.id DESC LIMIT 1";
    tx.scalar_opt(sql, params![name, version, states.map(BuildState::number).to_vec()]).await
}

/// Average time in seconds from creation to completion of a package's builds that had a task.
pub async fn average_duration(tx: &mut Tx, pkg_id: i64, since: Option<f64>) -> Result<Option<f64>> {
    tx.scalar(
        "SELECT avg(date_part('epoch', build.completion_time)
                    - date_part('epoch', events.time)) AS seconds
           FROM build JOIN events ON build.create_event = events.id
          WHERE build.pkg_id = $1 AND build.state = $2
            AND (build.task_id IS NOT NULL OR build.extra LIKE '%koji_task_id%')
            AND ($3::float8 IS NULL OR date_part('epoch', build.completion_time) > $3::float8)",
        params![pkg_id, BuildState::Complete.number(), since],
    )
    .await
}

/// Where builds are: `id`, `name`, `version`, `release`, `volume_name`.
pub async fn places(tx: &mut Tx, ids: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT build.id AS id, package.name AS name, build.version AS version,
                      build.release AS release, volume.name AS volume_name
                 FROM build
                 JOIN package ON build.pkg_id = package.id
                 JOIN volume ON build.volume_id = volume.id
                WHERE build.id = ANY($1)";
    tx.query(sql, params![ids]).await
}

/// A volume by name: `id`, `name`.
pub async fn volume(tx: &mut Tx, name: &str) -> Result<Option<Row>> {
    tx.query_opt("SELECT id, name FROM volume WHERE name = $1", params![name]).await
}

/// The names of all volumes.
pub async fn volumes(tx: &mut Tx) -> Result<Vec<String>> {
    let rows = tx.query("SELECT name FROM volume ORDER BY id", params![]).await?;
    rows.iter().map(|row| row.get("name")).collect()
}
