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

/// Says which lockfile a buildroot has; with an event if the hub itself has made the plan, of what the tag was then.
pub async fn set(tx: &mut Tx, buildroot_id: i64, sha256: &str, event: Option<i64>) -> Result<()> {
    let sql = "INSERT INTO toji_buildroot_lockfile (buildroot_id, sha256, planned, event)
               VALUES ($1, $2, $3, $4)
               ON CONFLICT (buildroot_id) DO UPDATE
                  SET sha256 = excluded.sha256, planned = excluded.planned, event = excluded.event";
    tx.execute(sql, params![buildroot_id, sha256, event.is_some(), event]).await.map(drop)
}

/// What a plan for a task's buildroot begins with: `host_id`, `task_id`, `arch`, and of its repository `tag_id`,
/// `create_event`, `dist`, `opts`.
pub async fn wanted(tx: &mut Tx, buildroot_id: i64) -> Result<Option<Row>> {
    let sql = "SELECT s.host_id AS host_id, s.task_id AS task_id, buildroot.container_arch AS arch,
                      repo.tag_id AS tag_id, repo.create_event AS create_event, repo.dist AS dist,
                      repo.opts AS \"opts:json\"
                 FROM standard_buildroot s
                 JOIN buildroot ON buildroot.id = s.buildroot_id
                 JOIN repo ON repo.id = s.repo_id
                WHERE s.buildroot_id = $1";
    tx.query_opt(sql, params![buildroot_id]).await
}

/// What the hosts that might get a task of this one's channel have said of themselves, if they have spoken lately.
pub async fn hosts_of_channel(tx: &mut Tx, task_id: i64) -> Result<Vec<Row>> {
    let sql = "SELECT scheduler_host_data.data AS \"data:json\"
                 FROM task
                 JOIN host_channels ON host_channels.channel_id = task.channel_id
                      AND host_channels.active IS TRUE
                 JOIN host_config ON host_config.host_id = host_channels.host_id
                      AND host_config.active IS TRUE AND host_config.enabled IS TRUE
                 JOIN host ON host.id = host_channels.host_id
                 LEFT JOIN scheduler_host_data ON scheduler_host_data.host_id = host.id
                WHERE task.id = $1 AND host.update_time > toji_ago(900.0)";
    tx.query(sql, params![task_id]).await
}

/// The arch of a buildroot's container.
pub async fn arch(tx: &mut Tx, buildroot_id: i64) -> Result<Option<String>> {
    let sql = "SELECT container_arch FROM buildroot WHERE id = $1";
    Ok(tx.scalar_opt::<Option<String>>(sql, params![buildroot_id]).await?.flatten())
}

const FIELDS: &str =
    "SELECT l.buildroot_id AS buildroot_id, l.planned AS planned, l.event AS event,
                             f.sha256 AS sha256,
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
