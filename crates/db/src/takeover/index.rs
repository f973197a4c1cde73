//! Indexes on a Koji hub's tables, made while hubs work.

use std::collections::HashMap;

use super::recorded_all;
use crate::admin::Server;
use crate::migrate::ADVISORY_LOCK;
use crate::{Db, Error, Result, Tx};

/// An index that is to be made.
pub(super) struct Index {
    pub(super) name: String,
    sql: String,
    /// Whether a half-made one is in the way.
    broken: bool,
}

/// The planned indexes that are not there, or were not finished.
pub(super) async fn missing(tx: &mut Tx) -> Result<Vec<Index>> {
    let planned = recorded_all(tx, "index").await?;
    let sql = "SELECT c.relname::text AS name, i.indisvalid AS valid
                 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                WHERE c.relnamespace = current_schema()::text::regnamespace";
    let rows = tx.query(sql, &[]).await?;
    let there: HashMap<String, bool> =
        rows.iter().map(|r| Ok((r.get("name")?, r.get("valid")?))).collect::<Result<_>>()?;
    Ok(planned
        .into_iter()
        .filter(|(name, _)| there.get(name) != Some(&true))
        .map(|(name, sql)| Index { broken: there.contains_key(&name), name, sql })
        .collect())
}

/// Makes what is missing, one by one, each without a lock that would hold up a hub.
pub(super) async fn make(db: &Db, tell: &(dyn Fn(&str) + Sync)) -> Result<()> {
    if missing(&mut db.begin()).await?.is_empty() {
        return Ok(());
    }
    let server = Server::connect(&db.inner.url).await?;
    // Released with the connection. A second process leaves the work to the first.
    if !server.try_lock(ADVISORY_LOCK + 1).await? {
        tell("another process is making the indexes");
        return Ok(());
    }
    for index in missing(&mut db.begin()).await? {
        tell(&format!("make the index {}", index.name));
        if index.broken {
            server.batch(&format!("DROP INDEX CONCURRENTLY {}", index.name)).await?;
        }
        let text = index.sql.replacen(" INDEX ", " INDEX CONCURRENTLY ", 1);
        let failed = |e: Error| Error::Schema(format!("index {}: {e}", index.name));
        server.batch(&text).await.map_err(failed)?;
    }
    Ok(())
}
