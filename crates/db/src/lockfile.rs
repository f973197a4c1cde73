//! Lockfiles: the exact packages of buildroots, each text kept once.

use crate::{Result, Row, Tx, params, sql};

/// A lockfile as it is kept.
#[derive(Clone, Debug)]
pub struct Lockfile<'l> {
    /// Of the text, in hexadecimal.
    pub sha256: &'l str,
    /// Of what is installed, in hexadecimal.
    pub digest: &'l str,
    /// Of the buildroot.
    pub arch: &'l str,
    /// How many there are.
    pub packages: i64,
    /// The text, compressed by zstd.
    pub data: Vec<u8>,
}

/// Keeps a lockfile, unless its text is kept already.
pub async fn keep(tx: &mut Tx, lockfile: &Lockfile<'_>) -> Result<()> {
    let sql = "INSERT INTO toji_lockfile (sha256, digest, arch, packages, data)
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    let Lockfile { sha256, digest, arch, packages, data } = lockfile;
    let row = params![*sha256, *digest, *arch, *packages, data.clone()];
    tx.execute(sql, row).await.map(drop)
}

/// Says which lockfile a buildroot has; `planned` if the hub itself has made the plan.
pub async fn set(tx: &mut Tx, buildroot_id: i64, sha256: &str, planned: bool) -> Result<()> {
    let sql = "INSERT INTO toji_buildroot_lockfile (buildroot_id, sha256, planned)
               VALUES ($1, $2, $3)
               ON CONFLICT (buildroot_id) DO UPDATE
                  SET sha256 = excluded.sha256, planned = excluded.planned";
    tx.execute(sql, params![buildroot_id, sha256, planned]).await.map(drop)
}

/// The arch of a buildroot's container.
pub async fn arch(tx: &mut Tx, buildroot_id: i64) -> Result<Option<String>> {
    let sql = "SELECT container_arch FROM buildroot WHERE id = $1";
    Ok(tx.scalar_opt::<Option<String>>(sql, params![buildroot_id]).await?.flatten())
}

const FIELDS: &str =
    "SELECT l.buildroot_id AS buildroot_id, l.planned AS planned, f.sha256 AS sha256,
                             f.digest AS digest, f.arch AS arch, f.data AS data,
                             s.task_id AS task_id, s.host_id AS host_id
                        FROM toji_buildroot_lockfile l
                        JOIN toji_lockfile f ON f.sha256 = l.sha256
                        LEFT JOIN standard_buildroot s ON s.buildroot_id = l.buildroot_id";

/// The lockfile of a buildroot, if it has one.
pub async fn of_buildroot(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    tx.query_opt(sql![FIELDS, " WHERE l.buildroot_id = $1"], params![id]).await
}

/// The lockfiles of the buildroots in which the parts of a build were made.
pub async fn of_build(tx: &mut Tx, id: i64) -> Result<Vec<Row>> {
    let of = " WHERE l.buildroot_id IN (SELECT buildroot_id FROM rpminfo WHERE build_id = $1
                                        UNION
                                        SELECT buildroot_id FROM archiveinfo WHERE build_id = $1)
                ORDER BY l.buildroot_id";
    tx.query(sql![FIELDS, of], params![id]).await
}
