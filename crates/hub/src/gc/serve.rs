//! The collector as a part of a running hub: once a day, by one of the hubs that share a database.

use std::future::Future;
use std::time::Duration;

use toji_value::Fault;

use super::{Options, Run, Watch};
use crate::Hub;
use crate::lease::Lease;

/// Time between two looks whether it is time, and before the first.
const LOOK: Duration = Duration::from_secs(600);
/// Seconds between two runs.
const INTERVAL: f64 = 86_400.0;
/// Seconds for which a run is another hub's unless that hub says that it still works.
const LEASE: f64 = 600.0;
/// The lease's name.
const NAME: &str = "gc";

/// Collects once a day until `stop`, unless another hub does; what fails is logged and comes again.
pub async fn serve(hub: Hub, options: Options, watch: impl Watch, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        if let Err(fault) = turn(&hub, &options, &watch).await {
            tracing::warn!(%fault, "cannot tell whether it is time to collect garbage");
        }
    }
}

/// Collects if no hub has done so within a day and none is about it; tells whether it did.
///
/// # Errors
/// When the database fails.
pub async fn turn(hub: &Hub, options: &Options, watch: &impl Watch) -> Result<bool, Fault> {
    let lease = Lease::new(hub, NAME, LEASE);
    if !lease.take(INTERVAL).await? {
        return Ok(false);
    }
    let run = Run { hub, options, dry: false, watch };
    let whole = tokio::select! {
        () = collect(&run) => !watch.stopped(),
        () = lease.lost() => {
            tracing::warn!("another hub collects garbage now: this one leaves off");
            return Ok(true);
        }
    };
    lease.end(whole).await?;
    Ok(true)
}

async fn collect(run: &Run<'_>) {
    for action in run.options.actions() {
        match run.take(action).await {
            Ok(taken) => tracing::info!(?action, taken, "collected garbage"),
            Err(fault) => tracing::warn!(?action, %fault, "collecting garbage failed"),
        }
    }
}
