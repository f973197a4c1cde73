//! Keeps pools current that are asked: a tag's change is in its pool before the next question.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use toji_bus::Event;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::asked::Asked;
use super::pools;
use crate::Hub;
use crate::repod::concerns_repositories;

/// A burst of changes is over when nothing came for this long …
const QUIET: Duration = Duration::from_millis(20);
/// … or when it has lasted for this long.
const BURST: Duration = Duration::from_millis(500);
/// So many pools are kept current, those that were asked last.
const POOLS: usize = 8;
/// Larger ones are made when they are asked, in bytes.
const BYTES: usize = 128 << 20;
/// So often a pool is made anew that nobody asks.
const IDLE: u32 = 10;

/// Runs until `stop`.
pub async fn serve(hub: Hub, stop: impl Future<Output = ()>) {
    let mut events = hub.bus.subscribe();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            going_on = news(&mut events) => if !going_on { return },
        }
        let settled =
            async { while tokio::time::timeout(QUIET, news(&mut events)).await == Ok(true) {} };
        // a burst that goes on is cut into pieces
        let _ = tokio::time::timeout(BURST, settled).await;
        look(&hub).await;
    }
}

/// Makes the pools anew whose tags have changed.
pub async fn look(hub: &Hub) {
    for (tag, arch, old) in hub.solver.current(POOLS, BYTES) {
        let idle = old.idle.load(Relaxed);
        if idle >= IDLE {
            continue;
        }
        let mut call = hub.reading();
        match pools::find_or_make(&mut call, &Asked::now(tag, arch)).await {
            Ok(new) if !Arc::ptr_eq(&old, &new) => new.idle.store(idle + 1, Relaxed),
            Ok(_) => {}
            Err(fault) => tracing::debug!(tag, %fault, "a pool is not kept current"),
        }
    }
}

/// Returns at the next change of a tag; false when there will be none.
async fn news(events: &mut Receiver<Event>) -> bool {
    loop {
        match events.recv().await {
            Ok(event) if concerns_repositories(&event) => return true,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return true,
            Err(RecvError::Closed) => return false,
        }
    }
}
