//! The import journal: what is being placed where, so that a broken import is finished or undone.

use toji_value::Value;

use crate::{Result, Row, Tx, params};

/// Enters an import that is about to place files; `steps` are pairs of old and new path.
pub async fn insert(tx: &mut Tx, build_id: impl Into<Option<i64>>, steps: &Value) -> Result<i64> {
    let sql = "INSERT INTO toji_import (build_id, state, steps) VALUES ($1, 'placing', $2)
               RETURNING id";
    tx.scalar(sql, params![build_id.into(), steps]).await
}

/// Marks an import as committed; written in the transaction of the import itself.
pub async fn commit(tx: &mut Tx, id: i64) -> Result<()> {
    let sql = "UPDATE toji_import SET state = 'committed' WHERE id = $1";
    tx.execute(sql, params![id]).await.map(drop)
}

/// Removes an entry whose files are as they should be.
pub async fn remove(tx: &mut Tx, id: i64) -> Result<()> {
    tx.execute("DELETE FROM toji_import WHERE id = $1", params![id]).await.map(drop)
}

/// Entries that are older than so many seconds: `id`, `build_id`, `state`, `steps`.
pub async fn older_than(tx: &mut Tx, seconds: f64) -> Result<Vec<Row>> {
    let sql = "SELECT id, build_id, state, steps FROM toji_import
                WHERE date_part('epoch', NOW()) - date_part('epoch', created) >= $1::float8
                ORDER BY id";
    tx.query(sql, params![seconds]).await
}

/// Those of the paths, relative to the top directory, that a digest is stored of.
pub async fn known(tx: &mut Tx, paths: &[String]) -> Result<Vec<String>> {
    let rows = tx.query("SELECT path FROM toji_file WHERE path = ANY($1)", params![paths]).await?;
    rows.iter().map(|row| row.get("path")).collect()
}

/// Stores the digest of a file; the path is relative to the top directory.
pub async fn set_digest(tx: &mut Tx, path: &str, size: i64, sha256: &str) -> Result<()> {
    let sql = "INSERT INTO toji_file (path, size, sha256) VALUES ($1, $2, $3)
               ON CONFLICT (path) DO UPDATE SET size = excluded.size, sha256 = excluded.sha256";
    tx.execute(sql, params![path, size, sha256]).await.map(drop)
}

/// Moves the digests of all files below a directory to another one.
pub async fn move_digests(tx: &mut Tx, old: &str, new: &str) -> Result<()> {
    let (old, new) = (format!("{old}/"), format!("{new}/"));
    let sql = "UPDATE toji_file SET path = $2::text || substr(path, length($1::text) + 1)
                WHERE substr(path, 1, length($1::text)) = $1::text";
    tx.execute(sql, params![old, new]).await.map(drop)
}

/// Moves the digest of a file to another path, in place of what was known there.
pub async fn move_digest(tx: &mut Tx, old: &str, new: &str) -> Result<()> {
    let there = "SELECT 1 AS one FROM toji_file WHERE path = $1";
    if tx.query_opt(there, params![old]).await?.is_some() {
        tx.execute("DELETE FROM toji_file WHERE path = $1", params![new]).await?;
        let sql = "UPDATE toji_file SET path = $2 WHERE path = $1";
        tx.execute(sql, params![old, new]).await?;
    }
    Ok(())
}
