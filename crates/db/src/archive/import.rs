//! New archives, and what makes a build one of a type.

use toji_value::Value;

use crate::versioned::{insert_id, insert_row, update};
use crate::{Result, Row, Tx, params};

/// An archive to be entered.
#[derive(Clone, Debug, Default)]
pub struct New {
    /// Type of the file.
    pub type_id: i64,
    /// Type of the content.
    pub btype_id: i64,
    /// Its build.
    pub build_id: i64,
    /// The buildroot that it was made in.
    pub buildroot_id: Option<i64>,
    /// Name of the file, without directories.
    pub filename: String,
    /// Size in bytes.
    pub size: i64,
    /// The checksum.
    pub checksum: String,
    /// A number of `ChecksumType`.
    pub checksum_type: i64,
    /// Whether the file itself is not stored.
    pub metadata_only: bool,
    /// Further data, as JSON text.
    pub extra: Option<String>,
}

/// Enters an archive and returns its number.
pub async fn insert(tx: &mut Tx, new: &New) -> Result<i64> {
    let row = [
        ("type_id", new.type_id.into()),
        ("btype_id", new.btype_id.into()),
        ("build_id", new.build_id.into()),
        ("buildroot_id", new.buildroot_id.into()),
        ("filename", (&new.filename).into()),
        ("size", new.size.into()),
        ("checksum", (&new.checksum).into()),
        ("checksum_type", new.checksum_type.into()),
        ("metadata_only", new.metadata_only.into()),
        ("extra", new.extra.as_deref().into()),
    ];
    insert_id(tx, "archiveinfo", &row).await
}

/// Enters what an archive is for Maven: group, artifact and version.
pub async fn insert_maven(tx: &mut Tx, id: i64, gav: (&str, &str, &str)) -> Result<()> {
    let row = [
        ("archive_id", id.into()),
        ("group_id", gav.0.into()),
        ("artifact_id", gav.1.into()),
        ("version", gav.2.into()),
    ];
    insert_row(tx, "maven_archives", &row).await
}

/// Enters what an archive is for Windows; platforms and flags are words between spaces.
pub async fn insert_win(
    tx: &mut Tx,
    id: i64,
    relpath: &str,
    platforms: &str,
    flags: Option<&str>,
) -> Result<()> {
    let row = [
        ("archive_id", id.into()),
        ("relpath", relpath.into()),
        ("platforms", platforms.into()),
        ("flags", flags.into()),
    ];
    insert_row(tx, "win_archives", &row).await
}

/// Enters the arch of an image.
pub async fn insert_image(tx: &mut Tx, id: i64, arch: &str) -> Result<()> {
    insert_row(tx, "image_archives", &[("archive_id", id.into()), ("arch", arch.into())]).await
}

/// Enters the RPMs that are in archives: every RPM in every archive.
pub async fn add_rpms(tx: &mut Tx, archives: &[i64], rpms: &[i64]) -> Result<()> {
    let sql = "INSERT INTO archive_rpm_components (archive_id, rpm_id)
               SELECT a.id, r.id FROM archiveinfo a CROSS JOIN rpminfo r
                WHERE a.id = ANY($1) AND r.id = ANY($2) ORDER BY a.id, r.id";
    tx.execute(sql, params![archives, rpms]).await.map(drop)
}

/// Enters the archives that are in an archive.
pub async fn add_components(tx: &mut Tx, archive: i64, components: &[i64]) -> Result<()> {
    let sql = "INSERT INTO archive_components (archive_id, component_id)
               SELECT $1::int, a.id FROM archiveinfo a WHERE a.id = ANY($2) ORDER BY a.id";
    tx.execute(sql, params![archive, components]).await.map(drop)
}

/// Makes a build a Maven build.
pub async fn insert_maven_build(tx: &mut Tx, build: i64, gav: (&str, &str, &str)) -> Result<()> {
    let row = [
        ("build_id", build.into()),
        ("group_id", gav.0.into()),
        ("artifact_id", gav.1.into()),
        ("version", gav.2.into()),
    ];
    insert_row(tx, "maven_builds", &row).await
}

/// Makes a build a Windows build.
pub async fn insert_win_build(tx: &mut Tx, build: i64, platform: &str) -> Result<()> {
    let row = [("build_id", build.into()), ("platform", platform.into())];
    insert_row(tx, "win_builds", &row).await
}

/// Changes the platform of a Windows build.
pub async fn set_platform(tx: &mut Tx, build: i64, platform: &str) -> Result<()> {
    let (set, keys) = ([("platform", platform.into())], [("build_id", build.into())]);
    update(tx, "win_builds", &set, &keys).await.map(drop)
}

/// Makes a build an image build, if it is none yet.
pub async fn insert_image_build(tx: &mut Tx, build: i64) -> Result<()> {
    let sql = "INSERT INTO image_builds (build_id) VALUES ($1) ON CONFLICT (build_id) DO NOTHING";
    tx.execute(sql, params![build]).await.map(drop)
}

/// The reservation of a build by a content generator: `build_id`, `token`.
pub async fn reservation(tx: &mut Tx, build: i64) -> Result<Option<Row>> {
    let sql = "SELECT build_id, token FROM build_reservations WHERE build_id = $1";
    tx.query_opt(sql, params![build]).await
}

/// Reserves a build.
pub async fn reserve(tx: &mut Tx, build: i64, token: &str) -> Result<()> {
    let sql = "INSERT INTO build_reservations (build_id, token, created) VALUES ($1, $2, NOW())";
    tx.execute(sql, params![build, token]).await.map(drop)
}

/// What a reserved build becomes when its content arrives.
#[derive(Clone, Debug, Default)]
pub struct Completion {
    /// Further data.
    pub extra: Option<Value>,
    /// The user it belongs to.
    pub owner: i64,
    /// Where its source is.
    pub source: Option<String>,
    /// The task that made it.
    pub task_id: Option<i64>,
    /// Another volume.
    pub volume_id: Option<i64>,
}

/// Completes a reserved build now, and forgets the reservation.
pub async fn complete_reserved(tx: &mut Tx, build: i64, done: &Completion) -> Result<()> {
    tx.execute(
        "UPDATE build SET state = $2, extra = $3, owner = $4, source = $5, task_id = $6,
                volume_id = COALESCE($7::int, volume_id), completion_time = NOW()
          WHERE id = $1",
        params![
            build,
            toji_types::BuildState::Complete.number(),
            done.extra.as_ref().map(|e| e.to_json().to_string()),
            done.owner,
            done.source.as_deref(),
            done.task_id,
            done.volume_id
        ],
    )
    .await?;
    crate::build::clear_reservation(tx, build).await
}
