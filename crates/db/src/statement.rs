//! Signed statements about builds: which are due, what was written, by which keys, and what they tell of.

use crate::{Result, Row, Time, Tx, params};

/// The row of `locks` that the hub holds which writes.
pub const LOCK: &str = "toji-statements";

/// Files of a statement, as they were written.
#[derive(Clone, Debug)]
pub struct Written {
    /// The key that has signed.
    pub keyid: String,
    /// Size of the envelope in bytes, and its SHA-256.
    pub envelope: (i64, String),
    /// Size of the bill of materials in bytes, and its SHA-256.
    pub bill: (i64, String),
}

/// Says that the statement of a build is to be written, anew if there is one.
pub async fn ask(tx: &mut Tx, build_id: i64, now: Time) -> Result<()> {
    let sql = "INSERT INTO toji_statement (build_id, turn, due, not_before, failures)
               VALUES ($1, 1, TRUE, $2, 0)
               ON CONFLICT (build_id) DO UPDATE
                  SET turn = toji_statement.turn + 1, due = TRUE, not_before = excluded.not_before,
                      failures = 0";
    tx.execute(sql, params![build_id, now]).await.map(drop)
}

/// Forgets the statement of a build.
pub async fn forget(tx: &mut Tx, build_id: i64) -> Result<()> {
    tx.execute("DELETE FROM toji_statement WHERE build_id = $1", params![build_id]).await.map(drop)
}

/// Statements that are due, the oldest first: `build_id`, `turn`, `failures`.
pub async fn due(tx: &mut Tx, now: Time, limit: i64) -> Result<Vec<Row>> {
    let sql = "SELECT build_id, turn, failures FROM toji_statement
                WHERE due IS TRUE AND not_before <= $1 ORDER BY not_before, build_id LIMIT $2";
    tx.query(sql, params![now, limit]).await
}

/// Notes that a statement is written; tells whether it was still the one that was due.
pub async fn written(
    tx: &mut Tx,
    build_id: i64,
    turn: i64,
    now: Time,
    files: &Written,
) -> Result<bool> {
    let sql = "UPDATE toji_statement
                  SET due = FALSE, failures = 0, reason = NULL, written = $3, keyid = $4, size = $5,
                      sha256 = $6, bill_size = $7, bill_sha256 = $8
                WHERE build_id = $1 AND turn = $2";
    let Written { keyid, envelope, bill } = files;
    let values = params![build_id, turn, now, keyid, envelope.0, &envelope.1, bill.0, &bill.1];
    Ok(tx.execute(sql, values).await? > 0)
}

/// Puts a statement off that could not be written, or leaves it when `until` is nothing.
pub async fn put_off(
    tx: &mut Tx,
    build_id: i64,
    turn: i64,
    until: Option<Time>,
    reason: &str,
) -> Result<()> {
    let sql = "UPDATE toji_statement
                  SET failures = failures + 1, reason = $4, due = $5,
                      not_before = COALESCE($3::timestamptz, not_before)
                WHERE build_id = $1 AND turn = $2";
    let values = params![build_id, turn, until, reason, until.is_some()];
    tx.execute(sql, values).await.map(drop)
}

/// What is known of the statement of a build.
pub async fn get(tx: &mut Tx, build_id: i64) -> Result<Option<Row>> {
    let sql = "SELECT build_id, due, failures, reason, written, keyid, size, sha256, bill_size, bill_sha256
                 FROM toji_statement WHERE build_id = $1";
    tx.query_opt(sql, params![build_id]).await
}

/// Notes that a key is in use.
pub async fn use_key(tx: &mut Tx, keyid: &str, pem: &str) -> Result<()> {
    let sql = "INSERT INTO toji_signing_key (keyid, pem) VALUES ($1, $2)
               ON CONFLICT (keyid) DO UPDATE SET used = NOW()";
    tx.execute(sql, params![keyid, pem]).await.map(drop)
}

/// All keys, the one that was taken up last first: `keyid`, `pem`, `created`, `used`.
pub async fn keys(tx: &mut Tx) -> Result<Vec<Row>> {
    let sql = "SELECT keyid, pem, created, used FROM toji_signing_key ORDER BY used DESC, keyid";
    tx.query(sql, params![]).await
}

/// The RPMs of a build that are here as files: `id`, `name`, `version`, `release`, `epoch`, `arch`, `buildroot_id`.
pub async fn rpms(tx: &mut Tx, build_id: i64) -> Result<Vec<Row>> {
    let sql = "SELECT id, name, version, release, epoch, arch, buildroot_id FROM rpminfo
                WHERE build_id = $1 AND metadata_only IS NOT TRUE ORDER BY name, arch, id";
    tx.query(sql, params![build_id]).await
}

/// The archives of a build that are here as files: `filename`, `checksum`, `checksum_type`, `size`, `buildroot_id`.
pub async fn archives(tx: &mut Tx, build_id: i64) -> Result<Vec<Row>> {
    let sql = "SELECT filename, checksum, checksum_type, size, buildroot_id FROM archiveinfo
                WHERE build_id = $1 AND metadata_only IS NOT TRUE ORDER BY filename, id";
    tx.query(sql, params![build_id]).await
}

/// Known digests of files by their paths below the top directory: `path`, `sha256`.
pub async fn digests(tx: &mut Tx, paths: &[String]) -> Result<Vec<Row>> {
    let sql = "SELECT path, sha256 FROM toji_file WHERE path = ANY($1)";
    tx.query(sql, params![paths]).await
}

/// The buildroots of tasks, and those with these numbers: where and of what they were made.
pub async fn buildroots(tx: &mut Tx, tasks: &[i64], ids: &[i64]) -> Result<Vec<Row>> {
    tx.query(
        "SELECT b.id AS id, b.container_arch AS arch, s.task_id AS task_id, host.name AS host,
                s.repo_id AS repo_id, tag.name AS tag, repo.create_event AS event
           FROM standard_buildroot s
           JOIN buildroot b ON b.id = s.buildroot_id
           JOIN host ON host.id = s.host_id
           JOIN repo ON repo.id = s.repo_id
           JOIN tag ON tag.id = repo.tag_id
          WHERE s.buildroot_id = ANY($2)
             OR s.buildroot_id IN (SELECT max(n.buildroot_id) FROM standard_buildroot n
                                    WHERE n.task_id = ANY($1) GROUP BY n.task_id)
          ORDER BY b.id",
        params![tasks, ids],
    )
    .await
}

/// What is installed in buildroots, by package; `checksum` is the SHA-256 of a package of this system.
pub async fn components(tx: &mut Tx, buildroots: &[i64]) -> Result<Vec<Row>> {
    tx.query(
        "SELECT l.buildroot_id AS buildroot_id, r.name AS name, r.version AS version,
                r.release AS release, r.epoch AS epoch, r.arch AS arch,
                r.payloadhash AS payloadhash, r.build_id AS build_id,
                e.name AS external_repo, c.checksum AS checksum
           FROM buildroot_listing l
           JOIN rpminfo r ON r.id = l.rpm_id
           JOIN external_repo e ON e.id = r.external_repo_id
           LEFT JOIN rpm_checksum c ON c.rpm_id = r.id AND c.checksum_type = 2 AND c.sigkey = ''
          WHERE l.buildroot_id = ANY($1)
          ORDER BY r.name, r.arch, r.id, l.buildroot_id",
        params![buildroots],
    )
    .await
}
