//! A lease: which of several hubs does a recurring work, and when it was last done.

use std::time::Duration;

use toji_db::{Time, lease as sql};
use toji_value::Fault;

use crate::Hub;

/// One process's claim to a work.
pub(crate) struct Lease {
    hub: Hub,
    name: &'static str,
    holder: String,
    seconds: f64,
}

impl Lease {
    /// A claim to the work of a name that nobody else may do for so many seconds after it was last prolonged.
    pub(crate) fn new(hub: &Hub, name: &'static str, seconds: f64) -> Lease {
        let mut token = [0; 8];
        hub.random.fill(&mut token);
        Lease { hub: hub.clone(), name, holder: hex::encode(token), seconds }
    }

    fn until(&self) -> Result<Time, Fault> {
        Ok(Time::from_epoch(self.hub.now() + self.seconds)?)
    }

    /// Takes it if nobody has it and the work was not done for `interval` seconds; tells whether it is taken.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn take(&self, interval: f64) -> Result<bool, Fault> {
        let now = self.hub.now();
        let [time, before] = [now, now - interval].map(Time::from_epoch);
        let (until, mut tx) = (self.until()?, self.hub.db.begin_write().await?);
        let taken = sql::take(&mut tx, self.name, &self.holder, time?, until, before?).await?;
        tx.commit().await?;
        Ok(taken)
    }

    /// Prolongs it; tells whether it is still this process's.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn keep(&self) -> Result<bool, Fault> {
        let mut tx = self.hub.db.begin_write().await?;
        let kept = sql::keep(&mut tx, self.name, &self.holder, self.until()?).await?;
        tx.commit().await?;
        Ok(kept)
    }

    /// How often it is to be prolonged: some times before it runs out.
    pub(crate) fn renewal(&self) -> Duration {
        Duration::from_secs_f64(self.seconds / 4.0)
    }

    /// Prolongs it until another hub has it, which is when this ends.
    pub(crate) async fn lost(&self) {
        loop {
            tokio::time::sleep(self.renewal()).await;
            match self.keep().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(fault) => {
                    tracing::warn!(%fault, work = self.name, "a lease was not prolonged");
                }
            }
        }
    }

    /// Gives it back; `done` tells whether the work was done.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn end(&self, done: bool) -> Result<(), Fault> {
        let now = Time::from_epoch(self.hub.now())?;
        let mut tx = self.hub.db.begin_write().await?;
        sql::end(&mut tx, self.name, &self.holder, now, done).await?;
        Ok(tx.commit().await?)
    }
}
