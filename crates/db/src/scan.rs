//! What checks of the store ask: which files builds have, what is recorded of them, how far a run is.

use crate::{Engine, Result, Row, Sql, Tx, params, sql};

/// Builds above a number: `id`, `name`, `version`, `release`, `state`, `draft`, `volume`.
pub async fn builds(tx: &mut Tx, after: i64, limit: i64) -> Result<Vec<Row>> {
    let sql = "SELECT build.id AS id, package.name AS name, build.version AS version,
                      build.release AS release, build.state AS state, build.draft AS draft,
                      volume.name AS volume
                 FROM build
                 JOIN package ON package.id = build.pkg_id
                 JOIN volume ON volume.id = build.volume_id
                WHERE build.id > $1 ORDER BY build.id LIMIT $2";
    tx.query(sql, params![after, limit]).await
}

/// Those of these builds that exist, as [`builds`] gives them.
pub async fn builds_by_id(tx: &mut Tx, ids: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT build.id AS id, package.name AS name, build.version AS version,
                      build.release AS release, build.state AS state, build.draft AS draft,
                      volume.name AS volume
                 FROM build
                 JOIN package ON package.id = build.pkg_id
                 JOIN volume ON volume.id = build.volume_id
                WHERE build.id = ANY($1) ORDER BY build.id";
    tx.query(sql, params![ids]).await
}

/// All builds of these packages, as [`builds`] gives them.
pub async fn builds_of(tx: &mut Tx, packages: &[String]) -> Result<Vec<Row>> {
    let sql = "SELECT build.id AS id, package.name AS name, build.version AS version,
                      build.release AS release, build.state AS state, build.draft AS draft,
                      volume.name AS volume
                 FROM package
                 JOIN build ON build.pkg_id = package.id
                 JOIN volume ON volume.id = build.volume_id
                WHERE package.name = ANY($1)";
    tx.query(sql, params![packages]).await
}

/// The RPMs of builds that are here as files: `id`, `build_id`, `name`, `version`, `release`, `arch`, `size`,
/// `payloadhash`.
pub async fn rpms(tx: &mut Tx, builds: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT id, build_id, name, version, release, arch, size, payloadhash FROM rpminfo
                WHERE build_id = ANY($1) AND metadata_only IS NOT TRUE ORDER BY build_id, id";
    tx.query(sql, params![builds]).await
}

/// Their signatures: `rpm_id`, `sigkey`, `sighash`.
pub async fn signatures(tx: &mut Tx, builds: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT s.rpm_id AS rpm_id, s.sigkey AS sigkey, s.sighash AS sighash
                 FROM rpminfo JOIN rpmsigs s ON s.rpm_id = rpminfo.id
                WHERE rpminfo.build_id = ANY($1) AND rpminfo.metadata_only IS NOT TRUE
                ORDER BY s.rpm_id, s.sigkey";
    tx.query(sql, params![builds]).await
}

/// The checksums of their copies: `rpm_id`, `sigkey`, `checksum`, `checksum_type`.
pub async fn checksums(tx: &mut Tx, builds: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT c.rpm_id AS rpm_id, c.sigkey AS sigkey, c.checksum AS checksum,
                      c.checksum_type AS checksum_type
                 FROM rpminfo JOIN rpm_checksum c ON c.rpm_id = rpminfo.id
                WHERE rpminfo.build_id = ANY($1)";
    tx.query(sql, params![builds]).await
}

/// The archives of builds that are here as files, with what their places are made of.
pub async fn archives(tx: &mut Tx, builds: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT a.id AS id, a.build_id AS build_id, a.filename AS filename, a.size AS size,
                      a.checksum AS checksum, a.checksum_type AS checksum_type, btype.name AS btype,
                      m.group_id AS group_id, m.artifact_id AS artifact_id, m.version AS version,
                      w.relpath AS relpath
                 FROM archiveinfo a
                 LEFT JOIN btype ON btype.id = a.btype_id
                 LEFT JOIN maven_archives m ON m.archive_id = a.id
                 LEFT JOIN win_archives w ON w.archive_id = a.id
                WHERE a.build_id = ANY($1) AND a.metadata_only IS NOT TRUE
                ORDER BY a.build_id, a.id";
    tx.query(sql, params![builds]).await
}

/// What is recorded of the files below directories: `dir` (its number in the list, from zero), `path`, `size`, `sha256`,
/// `run`.
pub async fn recorded_in(tx: &mut Tx, dirs: &[String]) -> Result<Vec<Row>> {
    let columns = "SELECT dir.key AS dir, file.path AS path, file.size AS size,
                          file.sha256 AS sha256, file.run AS run FROM ";
    // What follows a slash in the order of the bytes is a zero.
    let sql = match tx.engine() {
        Engine::Postgres => sql![
            columns,
            "(SELECT value, number - 1 AS key
                FROM unnest($1::text[]) WITH ORDINALITY AS line(value, number)) AS dir
               JOIN toji_file file ON file.path COLLATE \"C\" >= dir.value || '/'
                                  AND file.path COLLATE \"C\" < dir.value || '0'"
        ],
        // In this order: a few directories, and the records of each from the index.
        Engine::Sqlite => sql![
            columns,
            "json_each($1) AS dir CROSS JOIN toji_file file
               WHERE file.path >= dir.value || '/' AND file.path < dir.value || '0'"
        ],
    };
    tx.query(sql, params![dirs]).await
}

/// Records in the order of their paths, after one: `path`, `size`, `sha256`.
pub async fn records(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<Row>> {
    let sql = "SELECT path, size, sha256 FROM toji_file WHERE path > $1 ORDER BY path LIMIT $2";
    tx.query(sql, params![after, limit]).await
}

/// What is recorded below a directory: `path`, `size`, `sha256`.
pub async fn recorded_below(tx: &mut Tx, dir: &str) -> Result<Vec<Row>> {
    // What follows a slash in the order of the bytes is a zero.
    let params = params![format!("{dir}/"), format!("{dir}0")];
    let range = match tx.engine() {
        Engine::Postgres => " WHERE path COLLATE \"C\" >= $1 AND path COLLATE \"C\" < $2",
        Engine::Sqlite => " WHERE path >= $1 AND path < $2",
    };
    tx.query(sql!["SELECT path, size, sha256 FROM toji_file", range], params).await
}

/// Forgets what is recorded of files.
pub async fn forget(tx: &mut Tx, paths: &[String]) -> Result<()> {
    for sql in [
        "DELETE FROM toji_file WHERE path = ANY($1)",
        "DELETE FROM toji_file_sum WHERE path = ANY($1)",
        "DELETE FROM toji_damage WHERE path = ANY($1)",
    ] {
        tx.execute(sql, params![paths]).await?;
    }
    Ok(())
}

/// Files that are recorded with one of these SHA-256: `path`, `sum`.
pub async fn with_sha256(tx: &mut Tx, sums: &[String]) -> Result<Vec<Row>> {
    let sql = "SELECT path, sha256 AS sum FROM toji_file WHERE sha256 = ANY($1) ORDER BY path";
    tx.query(sql, params![sums]).await
}

/// RPMs with one of these payload hashes, and archives with one of these checksums: `name`, `sum`.
pub async fn with_content(tx: &mut Tx, sums: &[String]) -> Result<Vec<Row>> {
    let sql = "SELECT name || '-' || version || '-' || release || '.' || arch || '.rpm' AS name,
                      payloadhash AS sum
                 FROM rpminfo WHERE payloadhash = ANY($1)
                UNION ALL
               SELECT filename AS name, checksum AS sum FROM archiveinfo WHERE checksum = ANY($1)
                UNION ALL
               SELECT 'the signature header ' || rpmsigs.sigkey || ' of ' || rpminfo.name AS name,
                      sighash AS sum
                 FROM rpmsigs JOIN rpminfo ON rpminfo.id = rpmsigs.rpm_id
                WHERE sighash = ANY($1)";
    tx.query(sql, params![sums]).await
}

/// A file whose content was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Its path below the top directory.
    pub path: String,
    /// The length of its content.
    pub size: u64,
    /// SHA-256 of its content.
    pub sha256: String,
    /// Further sums: name of the type and digits.
    pub further: Vec<(String, String)>,
}

/// Digits of a size in [`lines`].
const DIGITS: usize = 20;

/// Files as lines of fixed columns, so that one statement takes them all on both engines.
fn lines(files: &[Read]) -> Vec<String> {
    let sized = files.iter().filter(|file| file.sha256.len() == 64);
    sized.map(|f| format!("{}{:0DIGITS$}{}", f.sha256, f.size, f.path)).collect()
}

/// The lines of a parameter as a table `line(value)`.
fn table(tx: &Tx) -> Sql {
    match tx.engine() {
        Engine::Postgres => "unnest($1::text[]) AS line(value)".into(),
        Engine::Sqlite => "json_each($1) AS line".into(),
    }
}

/// Keeps the digests of files that were read in a run; a path must come once only.
pub async fn save(tx: &mut Tx, run: i64, files: &[Read]) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let sql = sql![
        "INSERT INTO toji_file (path, size, sha256, checked, run)
         SELECT substr(line.value, 85), substr(line.value, 65, 20)::bigint,
                substr(line.value, 1, 64), NOW(), $2::integer
           FROM ",
        table(tx),
        " WHERE TRUE
         ON CONFLICT (path) DO UPDATE SET size = excluded.size, sha256 = excluded.sha256,
                checked = excluded.checked, run = excluded.run"
    ];
    tx.execute(sql, params![lines(files), run]).await?;
    let further = files.iter().flat_map(|file| {
        file.further.iter().map(|(kind, sum)| format!("{kind:<20}{sum:<130}{}", file.path))
    });
    let further: Vec<String> = further.collect();
    if !further.is_empty() {
        let sql = sql![
            "INSERT INTO toji_file_sum (path, kind, sum)
             SELECT substr(line.value, 151), trim(substr(line.value, 1, 20)),
                    trim(substr(line.value, 21, 130)) FROM ",
            table(tx),
            " WHERE TRUE ON CONFLICT (path, kind) DO UPDATE SET sum = excluded.sum"
        ];
        tx.execute(sql, params![further]).await?;
    }
    Ok(())
}

/// Notes that recorded files were read in a run and are as they are recorded.
pub async fn mark(tx: &mut Tx, run: i64, paths: &[String]) -> Result<()> {
    if paths.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE toji_file SET checked = NOW(), run = $2::integer WHERE path = ANY($1)";
    tx.execute(sql, params![paths, run]).await.map(drop)
}

/// At most so many of the files that are known to be damaged.
pub async fn damaged(tx: &mut Tx, limit: i64) -> Result<Vec<String>> {
    let rows = tx.query("SELECT path FROM toji_damage LIMIT $1", params![limit]).await?;
    rows.iter().map(|row| row.get("path")).collect()
}

/// Forgets that files were damaged.
pub async fn undamaged(tx: &mut Tx, paths: &[String]) -> Result<()> {
    let sql = "DELETE FROM toji_damage WHERE path = ANY($1)";
    tx.execute(sql, params![paths]).await.map(drop)
}

/// Further digests of files: `path`, `kind`, `sum`.
pub async fn further(tx: &mut Tx, paths: &[String]) -> Result<Vec<Row>> {
    let sql = "SELECT path, kind, sum FROM toji_file_sum WHERE path = ANY($1)";
    tx.query(sql, params![paths]).await
}

/// A run of a kind that has not ended, the newest: `id`, `last_build`, `files`, `bytes`, `damaged`.
pub async fn open_run(tx: &mut Tx, kind: &str) -> Result<Option<Row>> {
    let sql = "SELECT id, last_build, files, bytes, damaged FROM toji_scan
                WHERE kind = $1 AND ended IS NULL ORDER BY id DESC LIMIT 1";
    tx.query_opt(sql, params![kind]).await
}

/// Begins a run; those of its kind that have not ended are given up.
pub async fn begin(tx: &mut Tx, kind: &str) -> Result<i64> {
    let sql = "UPDATE toji_scan SET ended = NOW() WHERE kind = $1 AND ended IS NULL";
    tx.execute(sql, params![kind]).await?;
    tx.scalar("INSERT INTO toji_scan (kind) VALUES ($1) RETURNING id", params![kind]).await
}

/// What a run has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The last build of which everything is written.
    pub last_build: i64,
    /// Files read.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Files that are not what they were.
    pub damaged: u64,
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Notes how far a run is.
pub async fn progress(tx: &mut Tx, run: i64, now: Progress, ended: bool) -> Result<()> {
    let sql = "UPDATE toji_scan SET last_build = $2, files = $3, bytes = $4, damaged = $5,
                      touched = NOW(), ended = CASE WHEN $6::boolean THEN NOW() ELSE NULL END
                WHERE id = $1";
    let (files, bytes, damaged) = (number(now.files), number(now.bytes), number(now.damaged));
    tx.execute(sql, params![run, now.last_build, files, bytes, damaged, ended]).await.map(drop)
}

/// Notes that a file is not what it was.
pub async fn damage(
    tx: &mut Tx,
    path: &str,
    kind: &str,
    detail: &str,
    build: Option<i64>,
) -> Result<()> {
    let sql = "INSERT INTO toji_damage (path, kind, detail, build_id) VALUES ($1, $2, $3, $4)
               ON CONFLICT (path) DO UPDATE SET kind = excluded.kind, detail = excluded.detail,
                      build_id = excluded.build_id, seen = NOW()";
    tx.execute(sql, params![path, kind, detail, build]).await.map(drop)
}

/// Files of builds above a number that were seen to be damaged since a run began.
pub async fn damaged_since(tx: &mut Tx, run: i64, after: i64) -> Result<Vec<String>> {
    let sql = "SELECT path FROM toji_damage
                WHERE build_id > $2 AND seen >= (SELECT started FROM toji_scan WHERE id = $1)";
    let rows = tx.query(sql, params![run, after]).await?;
    rows.iter().map(|row| row.get("path")).collect()
}

/// All files that are known to be damaged: `path`, `kind`, `detail`, `build_id`, `found`, `seen`.
pub async fn damages(tx: &mut Tx) -> Result<Vec<Row>> {
    let sql = "SELECT path, kind, detail, build_id, found, seen FROM toji_damage ORDER BY path";
    tx.query(sql, params![]).await
}

/// The newest runs: all columns of `toji_scan`.
pub async fn runs(tx: &mut Tx, limit: i64) -> Result<Vec<Row>> {
    let sql = "SELECT id, kind, started, touched, ended, last_build, files, bytes, damaged
                 FROM toji_scan ORDER BY id DESC LIMIT $1";
    tx.query(sql, params![limit]).await
}

/// Repositories in one of these states above a number: `id`, `state`, `tag`, `dist`.
pub async fn repos_in(tx: &mut Tx, states: &[i64], after: i64, limit: i64) -> Result<Vec<Row>> {
    let sql = "SELECT repo.id AS id, repo.state AS state, tag.name AS tag, repo.dist AS dist
                 FROM repo JOIN tag ON tag.id = repo.tag_id
                WHERE repo.state = ANY($1) AND repo.id > $2 ORDER BY repo.id LIMIT $3";
    tx.query(sql, params![states, after, limit]).await
}

/// Imports that have not been cleared away: `id`, `build_id`, `state`, `steps`, `age` (seconds).
pub async fn imports(tx: &mut Tx) -> Result<Vec<Row>> {
    let sql = "SELECT id, build_id, state, steps,
                      date_part('epoch', NOW()) - date_part('epoch', created) AS age
                 FROM toji_import ORDER BY id";
    tx.query(sql, params![]).await
}
