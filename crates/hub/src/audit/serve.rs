//! The scrub: a slow reading of the whole store in the background, by one of the hubs that share it.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use toji_db::scan::Progress;
use toji_db::{Time, lease};
use toji_value::Fault;

use super::scan::{self, Options};
use super::{Finding, Watch};
use crate::Hub;

/// Time between two looks whether it is time, and before the first.
const LOOK: Duration = Duration::from_secs(600);
/// Seconds for which a run is another hub's unless that hub says that it still works.
const LEASE: f64 = 600.0;
/// Time between two times of saying so.
const RENEWAL: Duration = Duration::from_secs(120);
/// The lease's name.
const NAME: &str = "scrub";

/// Writes damage to the log; ends with the hub.
struct Log<'a>(&'a AtomicBool);

impl Watch for Log<'_> {
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

    fn stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Scrubs as often as `ScrubInterval` says, until `stop`; what fails is logged and comes again.
pub async fn serve(hub: Hub, stop: impl Future<Output = ()>) {
    let Some(interval) = hub.config.scrub.interval else { return };
    let stopped = AtomicBool::new(false);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(LOOK) => {}
        }
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
pub async fn turn(hub: &Hub, interval: f64, stopped: &AtomicBool) -> Result<bool, Fault> {
    let mut token = [0; 8];
    hub.random.fill(&mut token);
    let holder = hex::encode(token);
    let now = hub.now();
    let [until, before] = [now + LEASE, now - interval].map(Time::from_epoch);
    let mut tx = hub.db.begin_write().await?;
    let time = Time::from_epoch(now)?;
    let taken = lease::take(&mut tx, NAME, &holder, time, until?, before?).await?;
    tx.commit().await?;
    if !taken {
        return Ok(false);
    }
    let scrub = &hub.config.scrub;
    let options = Options { kind: NAME, jobs: 1, rate: scrub.rate, ..Options::default() };
    let log = Log(stopped);
    let done = tokio::select! {
        done = scan::run(hub, &options, &log) => done?,
        () = hold(hub, &holder) => {
            tracing::warn!("another hub scrubs the store now: this one leaves off");
            return Ok(true);
        }
    };
    let mut tx = hub.db.begin_write().await?;
    lease::end(&mut tx, NAME, &holder, Time::from_epoch(hub.now())?, done.whole).await?;
    tx.commit().await?;
    if done.whole {
        let Progress { files, bytes, damaged, .. } = done.progress;
        tracing::info!(files, bytes, damaged, "the store was scrubbed");
    }
    Ok(true)
}

/// Prolongs the lease until another hub has it.
async fn hold(hub: &Hub, holder: &str) {
    let prolong = async || -> Result<bool, Fault> {
        let mut tx = hub.db.begin_write().await?;
        let until = Time::from_epoch(hub.now() + LEASE)?;
        let kept = lease::keep(&mut tx, NAME, holder, until).await?;
        tx.commit().await?;
        Ok(kept)
    };
    loop {
        tokio::time::sleep(RENEWAL).await;
        match prolong().await {
            Ok(true) => {}
            Ok(false) => return,
            Err(fault) => tracing::warn!(%fault, "the lease of the scrub was not prolonged"),
        }
    }
}
