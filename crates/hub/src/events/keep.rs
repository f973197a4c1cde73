//! How long events are kept for readers that want to hear of them again.

use std::future::Future;
use std::time::Duration;

use toji_db::{Time, outbox};
use toji_value::Fault;

use crate::Hub;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(600);
/// Events that are removed at a time: a transaction stays short.
const BATCH: i64 = 5000;
/// A relay that has sent nothing for so many seconds holds nothing back any more.
const FORGOTTEN: f64 = 30.0 * 86_400.0;

/// Removes what is too old, until `stop`.
pub async fn serve(hub: Hub, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    loop {
        match trim(&hub).await {
            Ok(0) => {}
            Ok(count) => tracing::debug!(count, "old events were removed"),
            Err(fault) => tracing::warn!(%fault, "old events cannot be removed"),
        }
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// Removes events that are older than `EventsKept`, unless a relay has not sent them yet; gives how many.
///
/// # Errors
/// When the database fails.
pub async fn trim(hub: &Hub) -> Result<u64, Fault> {
    let before = Time::from_epoch(hub.now() - hub.config.events_kept)?;
    let used = Time::from_epoch(hub.now() - FORGOTTEN)?;
    let mut all = 0;
    loop {
        let mut tx = hub.db.begin();
        let Some(old) = outbox::last_before(&mut tx, before, BATCH).await? else { return Ok(all) };
        let held = outbox::slowest_reader(&mut tx, used).await?.unwrap_or(i64::MAX);
        drop(tx);
        let mut tx = hub.db.begin_write().await?;
        let gone = outbox::trim(&mut tx, old.min(held)).await?;
        tx.commit().await?;
        all += gone;
        if gone < BATCH.unsigned_abs() {
            return Ok(all);
        }
    }
}
