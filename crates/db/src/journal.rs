//! The import journal: what is being placed where, so that a broken import is finished or undone.

use toji_value::Value;

use crate::presence::boot_time;
use crate::{Db, Engine, Hold, Result, Row, Tx, params, sql};

/// Enters an import that is about to place files, as work of this program; `steps` are pairs of old and new path, and
/// structs, of which one with a `tree` tells of a move.
pub async fn insert(tx: &mut Tx, build_id: impl Into<Option<i64>>, steps: &Value) -> Result<i64> {
    let is_tree = |step: &Value| step.as_struct().is_some_and(|step| step.str("tree").is_some());
    let moves = steps.as_array().unwrap_or_default().iter().any(is_tree);
    let holder = tx.db().present();
    let mut all = steps.as_array().unwrap_or_default().to_vec();
    all.extend(tx.db().signed());
    let steps = Value::Array(all);
    let sql = "INSERT INTO toji_import (build_id, state, steps, holder, moves)
               VALUES ($1, 'placing', $2, $3, $4) RETURNING id";
    tx.scalar(sql, params![build_id.into(), steps, holder, moves]).await
}

/// Marks an import as committed; written in the transaction of the import itself.
///
/// # Errors
/// [`crate::Error::Conflict`] if it is being undone, by somebody who took it for interrupted.
pub async fn commit(tx: &mut Tx, id: i64) -> Result<()> {
    let sql = "UPDATE toji_import SET state = 'committed' WHERE id = $1 AND state = 'placing'";
    match tx.execute(sql, params![id]).await? {
        0 => Err(crate::Error::Conflict),
        _ => Ok(()),
    }
}

/// Takes over an import that is as it was when it was looked at: it is this program's now, and one that was not committed
/// cannot be any more. Tells whether it was: of several that do this at once one does.
pub async fn claim(tx: &mut Tx, id: i64, state: &str, holder: Option<i64>) -> Result<bool> {
    let own = tx.db().present();
    let sql = "UPDATE toji_import SET holder = $4, created = NOW(),
                      state = CASE WHEN state = 'committed' THEN state ELSE 'undoing' END
                WHERE id = $1 AND state = $2 AND COALESCE(holder, 0) = $3";
    Ok(tx.execute(sql, params![id, state, holder.unwrap_or_default(), own]).await? > 0)
}

/// Takes over all that is the work of these programs, as [`claim`] does: `id`, `state`, `steps`.
pub async fn claim_all(tx: &mut Tx, holders: &[i64]) -> Result<Vec<Row>> {
    let own = tx.db().present();
    let sql = "UPDATE toji_import SET holder = $2, created = NOW(),
                      state = CASE WHEN state = 'committed' THEN state ELSE 'undoing' END
                WHERE holder = ANY($1) RETURNING id, state, steps";
    tx.query(sql, params![holders, own]).await
}

/// Keeps an entry whose work was taken back, so that it is looked at once more: whose it was may have been at a last step.
pub async fn keep(tx: &mut Tx, id: i64) -> Result<()> {
    let sql = "UPDATE toji_import SET state = 'undone', holder = NULL, created = NOW()
                WHERE id = $1 AND state = 'undoing'";
    tx.execute(sql, params![id]).await.map(drop)
}

/// Takes over what was kept so many seconds ago: `id`, `state`, `steps`.
pub async fn claim_kept(tx: &mut Tx, seconds: f64) -> Result<Vec<Row>> {
    let own = tx.db().present();
    let sql = "UPDATE toji_import SET holder = $2, created = NOW(), state = 'undoing'
                WHERE state = 'undone'
                  AND date_part('epoch', NOW()) - date_part('epoch', created) >= $1::float8
            RETURNING id, state, steps";
    tx.query(sql, params![seconds, own]).await
}

/// Notes that this program still works on an import: its age counts from now on. Tells whether it is this program's.
pub async fn touch(tx: &mut Tx, id: i64) -> Result<bool> {
    let own = tx.db().present();
    let sql = "UPDATE toji_import SET created = NOW()
                WHERE id = $1 AND state IN ('placing', 'committed')
                  AND (holder IS NULL OR holder = $2)";
    Ok(tx.execute(sql, params![id, own]).await? > 0)
}

/// The same in a transaction of its own, and the hold knows of it.
pub async fn pulse(db: &Db, id: i64, hold: Option<&Hold>) -> Result<()> {
    let sent = boot_time();
    let mut tx = db.begin_write().await?;
    let own = touch(&mut tx, id).await?;
    tx.commit().await?;
    if own && let Some(hold) = hold {
        hold.is_young(sent);
    }
    Ok(())
}

/// Removes an entry whose files are as they should be.
pub async fn remove(tx: &mut Tx, id: i64) -> Result<()> {
    tx.execute("DELETE FROM toji_import WHERE id = $1", params![id]).await.map(drop)
}

/// All entries of moves, and of what is being taken back: `id`, `state`, `steps`.
pub async fn moves(tx: &mut Tx) -> Result<Vec<Row>> {
    // Earlier versions did not tell.
    let sql = "SELECT id, state, steps FROM toji_import
                WHERE moves IS NOT FALSE OR state = 'undoing' ORDER BY id";
    tx.query(sql, &[]).await
}

/// All entries of what is committed and not put in order: `id`, `state`, `steps`.
pub async fn committed(tx: &mut Tx) -> Result<Vec<Row>> {
    let sql = "SELECT id, state, steps FROM toji_import WHERE state = 'committed' ORDER BY id";
    tx.query(sql, &[]).await
}

/// Entries that are older than so many seconds: `id`, `build_id`, `state`, `steps`, `holder`.
pub async fn older_than(tx: &mut Tx, seconds: f64) -> Result<Vec<Row>> {
    let sql = "SELECT id, build_id, state, steps, holder FROM toji_import
                WHERE date_part('epoch', NOW()) - date_part('epoch', created) >= $1::float8
                ORDER BY id";
    tx.query(sql, params![seconds]).await
}

/// Those of the paths, relative to the top directory, that a digest is stored of.
pub async fn known(tx: &mut Tx, paths: &[String]) -> Result<Vec<String>> {
    let rows = tx.query("SELECT path FROM toji_file WHERE path = ANY($1)", params![paths]).await?;
    rows.iter().map(|row| row.get("path")).collect()
}

/// Whether a digest is stored of a file below the directory, which is relative to the top directory.
pub async fn any_below(tx: &mut Tx, dir: &str) -> Result<bool> {
    let sql = sql!["SELECT path FROM toji_file", between(tx), " LIMIT 1"];
    // What follows the slash among bytes ends all that begins so.
    let rows = tx.query(sql, params![format!("{dir}/"), format!("{dir}0")]).await?;
    Ok(!rows.is_empty())
}

/// Stores the digest of a file; the path is relative to the top directory.
pub async fn set_digest(tx: &mut Tx, path: &str, size: i64, sha256: &str) -> Result<()> {
    let sql = "INSERT INTO toji_file (path, size, sha256) VALUES ($1, $2, $3)
               ON CONFLICT (path) DO UPDATE SET size = excluded.size, sha256 = excluded.sha256";
    tx.execute(sql, params![path, size, sha256]).await.map(drop)
}

/// The tables that tell of files by their paths.
const OF_FILES: [&str; 3] = ["toji_file", "toji_file_sum", "toji_damage"];

/// That a path begins with `$1` and is before `$2`, the end of all paths that do: compared by bytes on both engines.
fn between(tx: &Tx) -> &'static str {
    match tx.engine() {
        Engine::Postgres => " WHERE path COLLATE \"C\" >= $1 AND path COLLATE \"C\" < $2",
        Engine::Sqlite => " WHERE path >= $1 AND path < $2",
    }
}

/// Moves all that is recorded of the files below a directory to another one, in place of what was known there.
pub async fn move_digests(tx: &mut Tx, old: &str, new: &str) -> Result<()> {
    forget_below(tx, new).await?;
    let (old, end) = (format!("{old}/"), format!("{old}0"));
    let new = format!("{new}/");
    for table in OF_FILES {
        let set = " SET path = $3::text || substr(path, length($1::text) + 1)";
        let sql = sql!["UPDATE ", table, set, between(tx)];
        tx.execute(sql, params![&old, &end, &new]).await?;
    }
    Ok(())
}

/// Forgets all that is recorded of the files below a directory.
pub async fn forget_below(tx: &mut Tx, dir: &str) -> Result<()> {
    // The byte after a slash is a zero.
    let (begin, end) = (format!("{dir}/"), format!("{dir}0"));
    for table in OF_FILES {
        let sql = sql!["DELETE FROM ", table, between(tx)];
        tx.execute(sql, params![&begin, &end]).await?;
    }
    Ok(())
}

/// Moves what is recorded of a file to another path, in place of what was known there.
pub async fn move_digest(tx: &mut Tx, old: &str, new: &str) -> Result<()> {
    let there = "SELECT 1 AS one FROM toji_file WHERE path = $1";
    if tx.query_opt(there, params![old]).await?.is_some() {
        for table in OF_FILES {
            tx.execute(sql!["DELETE FROM ", table, " WHERE path = $1"], params![new]).await?;
            let moved = sql!["UPDATE ", table, " SET path = $2 WHERE path = $1"];
            tx.execute(moved, params![old, new]).await?;
        }
    }
    Ok(())
}

/// Forgets all entries: of a database that was restored, whose files are as its rows say.
pub async fn clear(tx: &mut Tx) -> Result<u64> {
    tx.execute("DELETE FROM toji_import", &[]).await
}
