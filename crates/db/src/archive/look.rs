//! Look-ups of single archives, and of those that metadata name.

use crate::{Result, Row, Tx, params};

macro_rules! columns {
    () => {
        "a.id AS id, a.type_id AS type_id, a.btype_id AS btype_id, btype.name AS btype,
         a.build_id AS build_id, a.buildroot_id AS buildroot_id, a.filename AS filename,
         a.size AS size, a.checksum AS checksum, a.checksum_type AS checksum_type,
         a.metadata_only AS metadata_only, a.extra AS \"extra:json\", t.name AS type_name,
         t.description AS type_description, t.extensions AS type_extensions,
         t.compression_type AS compression_type"
    };
}

/// An archive with the columns of a listing, or nothing.
pub async fn get(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM archiveinfo a JOIN archivetypes t ON t.id = a.type_id
          JOIN btype ON btype.id = a.btype_id WHERE a.id = $1"
    );
    tx.query_opt(sql, params![id]).await
}

/// What an archive is for Maven: `archive_id`, `group_id`, `artifact_id`, `version`.
pub async fn maven_archive(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    let sql = "SELECT archive_id, group_id, artifact_id, version FROM maven_archives
                WHERE archive_id = $1";
    tx.query_opt(sql, params![id]).await
}

/// What an archive is for Windows: `archive_id`, `relpath`, `platforms`, `flags`.
pub async fn win_archive(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    let sql = "SELECT archive_id, relpath, platforms, flags FROM win_archives
                WHERE archive_id = $1";
    tx.query_opt(sql, params![id]).await
}

/// What an archive is as an image: `archive_id`, `arch`, and `rootid`, whether RPMs are in it.
pub async fn image_archive(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    let sql = "SELECT archive_id, arch,
                      EXISTS (SELECT 1 FROM archive_rpm_components c
                               WHERE c.archive_id = image_archives.archive_id) AS \"rootid:bool\"
                 FROM image_archives WHERE archive_id = $1";
    tx.query_opt(sql, params![id]).await
}

/// Archives of these file names, oldest first: `id`, `filename`, `size`, `checksum`,
/// `checksum_type`.
pub async fn of_names(tx: &mut Tx, names: &[String]) -> Result<Vec<Row>> {
    let sql = "SELECT id, filename, size, checksum, checksum_type FROM archiveinfo
                WHERE filename = ANY($1) ORDER BY id";
    tx.query(sql, params![names]).await
}

/// Archives by number with the `nvr` of their build.
pub async fn with_builds(tx: &mut Tx, ids: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT a.id AS id, a.filename AS filename, a.size AS size, a.checksum AS checksum,
                      a.checksum_type AS checksum_type,
                      p.name || '-' || b.version || '-' || b.release AS nvr
                 FROM archiveinfo a JOIN build b ON b.id = a.build_id
                 JOIN package p ON p.id = b.pkg_id
                WHERE a.id = ANY($1)";
    tx.query(sql, params![ids]).await
}
