//! Builders with a live connection, and what only one hub does at a time.

use crate::{Result, Tx, params};

/// Notes that hosts have a live connection with this hub.
pub async fn attach(tx: &mut Tx, hosts: &[i64], holder: &str) -> Result<()> {
    let sql = "INSERT INTO toji_host_stream (host_id, holder)
               SELECT id, $2::text FROM host WHERE id = ANY($1)
               ON CONFLICT (host_id) DO UPDATE SET holder = excluded.holder, lost = NULL, pressure = NULL";
    tx.execute(sql, params![hosts, holder]).await.map(drop)
}

/// Notes that hosts had a live connection with this hub, unless one of them is noted for any hub.
pub async fn had(tx: &mut Tx, hosts: &[i64], holder: &str) -> Result<()> {
    let sql = "INSERT INTO toji_host_stream (host_id, holder)
               SELECT id, $2::text FROM host WHERE id = ANY($1) ON CONFLICT (host_id) DO NOTHING";
    tx.execute(sql, params![hosts, holder]).await.map(drop)
}

/// Notes that this hub has lost its connection with hosts, and takes them as not ready; those that another hub has
/// by now are left alone.
pub async fn lose(tx: &mut Tx, hosts: &[i64], holder: &str) -> Result<()> {
    let sql = "UPDATE host SET ready = FALSE WHERE id = ANY($1)
                  AND id = ANY(SELECT host_id FROM toji_host_stream WHERE holder = $2)";
    tx.execute(sql, params![hosts, holder]).await?;
    let sql = "UPDATE toji_host_stream SET lost = NOW()
                WHERE host_id = ANY($1) AND holder = $2 AND lost IS NULL";
    tx.execute(sql, params![hosts, holder]).await.map(drop)
}

/// Stores that hosts are there.
pub async fn heard(tx: &mut Tx, hosts: &[i64]) -> Result<()> {
    tx.execute("UPDATE host SET update_time = NOW() WHERE id = ANY($1)", params![hosts])
        .await
        .map(drop)
}

/// Has hosts that said so be ready, should somebody have taken them for silent meanwhile; tells which were not.
pub async fn revive(tx: &mut Tx, hosts: &[i64]) -> Result<Vec<i64>> {
    let sql = "UPDATE host SET ready = TRUE
                WHERE id = ANY($1) AND ready IS NOT TRUE AND user_id IN (SELECT id FROM users WHERE status = 0)
               RETURNING id";
    let rows = tx.query(sql, params![hosts]).await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// Stores one state of several hosts; one that has been blocked since it said so is not ready.
pub async fn say(tx: &mut Tx, hosts: &[i64], ready: bool, load: f64) -> Result<()> {
    let sql = "UPDATE host SET ready = ($2 AND user_id IN (SELECT id FROM users WHERE status = 0)),
                      task_load = $3, update_time = NOW()
                WHERE id = ANY($1)";
    tx.execute(sql, params![hosts, ready, load]).await.map(drop)
}

/// Stores what keeps hosts from taking another task.
pub async fn press(tx: &mut Tx, hosts: &[i64], pressure: Option<&str>) -> Result<()> {
    let sql = "UPDATE toji_host_stream SET pressure = $2 WHERE host_id = ANY($1)";
    tx.execute(sql, params![hosts, pressure]).await.map(drop)
}

/// Sets the time of use of sessions.
pub async fn touch(tx: &mut Tx, sessions: &[i64]) -> Result<()> {
    tx.execute("UPDATE sessions SET update_time = NOW() WHERE id = ANY($1)", params![sessions])
        .await
        .map(drop)
}

/// Takes or keeps a lease for so many seconds, unless somebody else has it; tells whether it did.
pub async fn lease(tx: &mut Tx, name: &str, holder: &str, seconds: f64) -> Result<bool> {
    // negative seconds ago are seconds ahead
    let sql = "UPDATE toji_lease SET holder = $2, until = toji_ago($3)
                WHERE name = $1 AND (holder = $2 OR until < NOW())";
    Ok(tx.execute(sql, params![name, holder, -seconds]).await? > 0)
}

/// Gives a lease back.
pub async fn release(tx: &mut Tx, name: &str, holder: &str) -> Result<()> {
    let sql = "UPDATE toji_lease SET until = NOW() WHERE name = $1 AND holder = $2";
    tx.execute(sql, params![name, holder]).await.map(drop)
}
