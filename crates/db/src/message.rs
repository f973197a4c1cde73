//! Messages of the message bus that wait to be sent: Koji's table `proton_queue`, which other hubs read, too.

use crate::{Result, Row, Time, Tx, params};

/// The row of `locks` that the hub holds which sends.
pub const LOCK: &str = "protonmsg-plugin";

/// Puts a message into the queue; properties and body are JSON texts.
pub async fn insert(tx: &mut Tx, address: &str, props: &str, body: &str) -> Result<()> {
    let sql = "INSERT INTO proton_queue (address, props, body) VALUES ($1, $2, $3)";
    tx.execute(sql, params![address, props, body]).await.map(drop)
}

/// The oldest messages after number `after`: `id`, `address`, `props`, and the text of `body`.
pub async fn waiting(tx: &mut Tx, after: i64, limit: i64) -> Result<Vec<Row>> {
    let sql = "SELECT id, address, props, body::text AS body FROM proton_queue
                WHERE id > $1 ORDER BY id LIMIT $2";
    tx.query(sql, params![after, limit]).await
}

/// Removes messages that were sent.
pub async fn remove(tx: &mut Tx, ids: &[i64]) -> Result<u64> {
    tx.execute("DELETE FROM proton_queue WHERE id = ANY($1)", params![ids]).await
}

/// Whether a message waits that is from before a moment.
pub async fn has_older(tx: &mut Tx, before: Time) -> Result<bool> {
    let sql = "SELECT id FROM proton_queue WHERE created_ts < $1 ORDER BY id LIMIT 1";
    Ok(tx.scalar_opt::<i64>(sql, params![before]).await?.is_some())
}

/// Removes messages from before a moment; gives how many.
pub async fn expire(tx: &mut Tx, before: Time) -> Result<u64> {
    tx.execute("DELETE FROM proton_queue WHERE created_ts < $1", params![before]).await
}
