//! Signatures of RPMs, and the checksums of their signed copies.

use crate::{Param, Result, Row, Tx, params};

/// Enters a signature; an empty key stands for none.
///
/// # Errors
/// A unique violation when the RPM has a signature of this key.
pub async fn insert_signature(tx: &mut Tx, rpm: i64, sigkey: &str, sighash: &str) -> Result<()> {
    let sql = "INSERT INTO rpmsigs (rpm_id, sigkey, sighash) VALUES ($1, $2, $3)";
    tx.execute(sql, params![rpm, sigkey, sighash]).await.map(drop)
}

/// The keys that an RPM is signed with.
pub async fn sigkeys(tx: &mut Tx, rpm: i64) -> Result<Vec<String>> {
    let rows = tx.query("SELECT sigkey FROM rpmsigs WHERE rpm_id = $1", params![rpm]).await?;
    rows.iter().map(|row| row.get("sigkey")).collect()
}

/// Signatures of an RPM, all or those of one key: `sigkey`, `sighash`.
pub async fn of_rpm(tx: &mut Tx, rpm: i64, sigkey: Option<&str>) -> Result<Vec<Row>> {
    let sql = "SELECT sigkey, sighash FROM rpmsigs
                WHERE rpm_id = $1 AND ($2::text IS NULL OR sigkey = $2::text) ORDER BY sigkey";
    tx.query(sql, params![rpm, sigkey.map(str::to_owned)]).await
}

/// Signatures of an RPM under these labels: `sigkey`, `sighash`.
pub async fn of_labels(tx: &mut Tx, rpm: i64, labels: &[String]) -> Result<Vec<Row>> {
    let sql = "SELECT sigkey, sighash FROM rpmsigs
                WHERE rpm_id = $1 AND sigkey = ANY($2) ORDER BY sigkey";
    tx.query(sql, &[rpm.into(), Param::Texts(labels.to_vec())]).await
}

/// Forgets signatures of an RPM with all that is known of the copies signed by them.
pub async fn delete(tx: &mut Tx, rpm: i64, sigkeys: &[String]) -> Result<()> {
    for sql in [
        "DELETE FROM rpmsigs WHERE rpm_id = $1 AND sigkey = ANY($2)",
        "DELETE FROM rpm_checksum WHERE rpm_id = $1 AND sigkey = ANY($2)",
        "DELETE FROM toji_rpmsig WHERE rpm_id = $1 AND sigkey = ANY($2)",
        "DELETE FROM toji_rpm_fragment
          WHERE rpm_id = $1 AND sigkey = ANY($2) AND sigkey <> ''",
    ] {
        tx.execute(sql, &[rpm.into(), Param::Texts(sigkeys.to_vec())]).await?;
    }
    Ok(())
}

/// Files a signature of an RPM under another key, with what is known of its signed copy.
pub async fn rename(tx: &mut Tx, rpm: i64, old: &str, new: &str) -> Result<()> {
    for sql in [
        "UPDATE rpmsigs SET sigkey = $3 WHERE rpm_id = $1 AND sigkey = $2",
        "UPDATE rpm_checksum SET sigkey = $3 WHERE rpm_id = $1 AND sigkey = $2",
        // What a Koji hub has left behind under the new label is of another header.
        "DELETE FROM toji_rpmsig WHERE rpm_id = $1 AND sigkey = $3 AND sigkey <> $2",
        "UPDATE toji_rpmsig SET sigkey = $3 WHERE rpm_id = $1 AND sigkey = $2",
    ] {
        tx.execute(sql, params![rpm, old, new]).await?;
    }
    Ok(())
}

/// Known checksums of an RPM's signed copies: `sigkey`, `checksum_type`, `checksum`.
pub async fn checksums(tx: &mut Tx, rpm: i64, types: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT sigkey, checksum_type, checksum FROM rpm_checksum
                WHERE rpm_id = $1 AND checksum_type = ANY($2)";
    tx.query(sql, params![rpm, types]).await
}

/// Known checksums of one type of several RPMs: `rpm_id`, `sigkey`, `checksum`.
pub async fn checksums_of(tx: &mut Tx, rpms: &[i64], kind: i64) -> Result<Vec<Row>> {
    let sql = "SELECT rpm_id, sigkey, checksum FROM rpm_checksum
                WHERE rpm_id = ANY($1) AND checksum_type = $2";
    tx.query(sql, params![rpms, kind]).await
}

/// Stores a checksum of an RPM's copy with this signature.
pub async fn insert_checksum(
    tx: &mut Tx,
    rpm: i64,
    sigkey: &str,
    kind: i64,
    checksum: &str,
) -> Result<()> {
    let sql = "INSERT INTO rpm_checksum (rpm_id, sigkey, checksum, checksum_type)
               VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    tx.execute(sql, params![rpm, sigkey, checksum, kind]).await.map(drop)
}
