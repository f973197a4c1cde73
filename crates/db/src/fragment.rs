//! Repository metadata of RPMs, as it was made at their import.

use std::collections::HashMap;

use crate::{Result, Tx, params};

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
