//! The scrub: a slow reading of the whole store in the background, by one of the hubs that share it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use toji_db::scan::Progress;
use toji_value::Fault;

use super::mend::UNDER_WAY;
use super::scan::{self, Options};
use super::{Finding, Watch};
use crate::Hub;
use crate::build::import::{look_again, recover_gone};
use crate::lease::Lease;

/// Time between two looks whether there is something to do, and before the first.
const LOOK: Duration = Duration::from_secs(600);
/// Seconds for which a run is another hub's unless that hub says that it still works.
const LEASE: f64 = 600.0;
/// The lease's name.
const NAME: &str = "scrub";

/// Writes damage to the log; ends with the hub.
struct Log(Arc<AtomicBool>);

impl Watch for Log {
    fn tell(&self, finding: &Finding) {
        tracing::error!(
            kind = finding.kind.name(),
            path = finding.path,
            "damage in the store: {finding}"
        );
    }

    fn progress(&self, now: &Progress) {
        tracing::debug!(files = now.files, bytes = now.bytes, "scrubbing the store");
    }

    fn halted(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }
}

/// Time between two looks for other hubs that have died at work.
const HEIRS: Duration = Duration::from_secs(2);

/// Ends imports of hubs that have died, and scrubs as often as `ScrubInterval` says, until `stop`; what fails is logged
/// and comes again.
pub async fn serve(hub: Hub, stop: impl Future<Output = ()>) {
    tokio::select! {
        () = scrub(hub.clone(), stop) => {}
        () = inherit(&hub) => {}
    }
}

/// Ends imports of hubs whose connections to the database have ended.
async fn inherit(hub: &Hub) {
    loop {
        tokio::time::sleep(HEIRS).await;
        for done in [recover_gone(hub).await, look_again(hub).await] {
            if let Err(fault) = done {
                tracing::warn!(%fault, "imports of hubs that have died could not be ended");
            }
        }
    }
}

async fn scrub(hub: Hub, stop: impl Future<Output = ()>) {
    let stopped = Arc::new(AtomicBool::new(false));
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        // The start of a hub leaves young imports alone where others work on the database, too.
        if let Err(fault) = crate::build::import::recover(&hub, UNDER_WAY).await {
            tracing::warn!(%fault, "interrupted imports could not be ended");
        }
        let Some(interval) = hub.config.scrub.interval else { continue };
        let work = turn(&hub, interval, &stopped);
        tokio::pin!(work);
        let done = tokio::select! {
            done = &mut work => done,
            () = &mut stop => {
                stopped.store(true, Ordering::Relaxed);
                // What was read is written, so that the next run goes on there.
                let _ = work.await;
                return;
            }
        };
        if let Err(fault) = done {
            tracing::warn!(%fault, "the store could not be scrubbed");
        }
    }
}

/// Scrubs if no hub has done so within `interval` seconds and none is about it; tells whether it did.
///
/// # Errors
/// When the database fails, or a directory cannot be read.
pub async fn turn(hub: &Hub, interval: f64, stopped: &Arc<AtomicBool>) -> Result<bool, Fault> {
    let lease = Lease::new(hub, NAME, LEASE);
    if !lease.take(interval).await? {
        return Ok(false);
    }
    let scrub = &hub.config.scrub;
    let options = Options { kind: NAME, jobs: 1, rate: scrub.rate, ..Options::default() };
    let log = Log(stopped.clone());
    let done = tokio::select! {
        done = scan::run(hub, &options, &log) => done?,
        () = lease.lost() => {
            tracing::warn!("another hub scrubs the store now: this one leaves off");
            return Ok(true);
        }
    };
    lease.end(done.whole).await?;
    if done.whole {
        let Progress { files, bytes, damaged, .. } = done.progress;
        tracing::info!(files, bytes, damaged, "the store was scrubbed");
    }
    Ok(true)
}
