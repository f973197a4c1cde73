//! The collector as a part of a running hub.

use std::future::Future;
use std::time::Duration;

use super::{Action, Options, Run, Watch};
use crate::Hub;

/// Time between two runs, and before the first.
const INTERVAL: Duration = Duration::from_secs(86_400);
const FIRST: Duration = Duration::from_secs(600);

/// Collects once a day until `stop`; what fails is logged and comes again.
pub async fn serve(hub: Hub, options: Options, watch: impl Watch, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = INTERVAL;
        let run = Run { hub: &hub, options: &options, dry: false, watch: &watch };
        for action in Action::ALL {
            match run.take(action).await {
                Ok(taken) => tracing::info!(?action, taken, "collected garbage"),
                Err(fault) => tracing::warn!(?action, %fault, "collecting garbage failed"),
            }
        }
    }
}
