//! Which of several hubs schedules: the one that has the lease, as long as it says so again.

use std::time::Duration;

use toji_db::Engine;
use tokio::time::Instant;

use crate::Hub;

/// The name in the table of leases.
const NAME: &str = "scheduler";

/// This hub's hold of the lease; on an embedded database there is no other hub.
pub(super) struct Lease {
    alone: bool,
    /// How long it holds, in seconds.
    term: f64,
    held: bool,
    renewed: Option<Instant>,
}

impl Lease {
    pub(super) fn new(hub: &Hub) -> Self {
        let term = hub.config.scheduler.lease_time.clamp(1.0, 3600.0);
        Lease { alone: hub.db.engine() == Engine::Sqlite, term, held: false, renewed: None }
    }

    /// How often it is renewed: twice in its time.
    fn renewal(&self) -> Duration {
        Duration::from_secs_f64(self.term * 3.0 / 7.0)
    }

    /// How often the other hubs look whether it is free.
    pub(super) fn look(&self) -> Duration {
        Duration::from_secs_f64(self.term * 2.0 / 7.0)
    }

    /// Whether this hub schedules; it asks when that is due.
    pub(super) async fn held(&mut self, hub: &Hub) -> bool {
        if self.alone {
            return true;
        }
        if self.held && self.renewed.is_some_and(|at| at.elapsed() < self.renewal()) {
            return true;
        }
        let asked = Instant::now();
        let before = self.held;
        match ask(hub, self.term).await {
            Ok(held) => self.held = held,
            Err(error) => {
                tracing::warn!(%error, "cannot ask for the scheduler's lease");
                self.held = false;
            }
        }
        self.renewed = Some(asked);
        if self.held != before {
            tracing::info!(held = self.held, "the scheduler's lease");
        }
        self.held
    }

    /// When the lease is to be renewed; never where nobody else could take it.
    pub(super) async fn due(&self) {
        match self.renewed {
            Some(at) if !self.alone => tokio::time::sleep_until(at + self.renewal()).await,
            _ => std::future::pending().await,
        }
    }

    /// Leaves the lease to others at once.
    pub(super) async fn release(self, hub: &Hub) {
        if self.alone || !self.held {
            return;
        }
        let released = async {
            let mut tx = hub.db.begin();
            toji_db::live::release(&mut tx, NAME, &hub.live.holder).await?;
            tx.commit().await
        };
        if let Err(error) = released.await {
            tracing::debug!(%error, "the scheduler's lease runs out by itself");
        }
    }
}

async fn ask(hub: &Hub, term: f64) -> toji_db::Result<bool> {
    let mut tx = hub.db.begin();
    let held = toji_db::live::lease(&mut tx, NAME, &hub.live.holder, term).await?;
    tx.commit().await?;
    Ok(held)
}
