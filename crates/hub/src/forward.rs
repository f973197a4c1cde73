//! From the outbox to brokers: each relay sends what was committed, in order, until the broker has it.
//!
//! How far a relay has come is a row of `toji_outbox_reader`, which moves on after the broker has stored what it was
//! sent: each message is sent at least once, whatever is killed. Of several hubs the one that holds the row sends.

mod message;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use toji_db::outbox;
use toji_db::{Engine, Tx};
use toji_value::Fault;

use crate::Hub;
use crate::config::relays::Relay;
pub use message::Parcel;

/// Events that are read at a time.
const BATCH: i64 = 256;
/// Time between two looks when no news come.
const FALLBACK: Duration = Duration::from_secs(30);
/// Time until the next try while another hub sends.
const BUSY: Duration = Duration::from_secs(2);
/// The longest time between two tries while the broker takes nothing.
const LONGEST: Duration = Duration::from_secs(60);

/// What became of some parcels.
#[derive(Clone, Debug, Default)]
pub struct Delivery {
    /// So many, from the first on, were stored by the broker.
    pub taken: usize,
    /// What hindered the next.
    pub trouble: Option<String>,
    /// The broker will never take that one.
    pub refused: bool,
}

/// Work of a carrier.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Connects to brokers.
pub trait Carrier: Send + Sync {
    /// Connects to a relay's broker.
    fn open<'a>(&'a self, relay: &'a Relay) -> Work<'a, Result<Box<dyn Line>, String>>;
}

/// An open connection.
pub trait Line: Send + Sync {
    /// Sends parcels; of one key each after the one before it is stored.
    fn send<'a>(&'a mut self, parcels: &'a [Parcel]) -> Work<'a, Delivery>;
    /// Ends it in order.
    fn close(self: Box<Self>) -> Work<'static, ()>;
}

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// Everything is sent.
    Done,
    /// Another hub sends.
    Busy,
    /// The broker or the database failed.
    Failed,
}

/// A relay at work.
pub struct Forwarder<'a, C: Carrier> {
    hub: &'a Hub,
    relay: &'a Relay,
    carrier: &'a C,
    line: Option<Box<dyn Line>>,
}

/// Sends for one relay until `stop`.
pub async fn serve(hub: Hub, relay: Relay, carrier: impl Carrier, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    let mut news = hub.bus.newest();
    let mut forwarder = Forwarder::new(&hub, &relay, &carrier);
    let mut failures = 0_u32;
    loop {
        news.borrow_and_update();
        let round = tokio::select! {
            () = &mut stop => break,
            round = forwarder.round() => round,
        };
        failures = if round == Round::Failed { failures + 1 } else { 0 };
        let pause = match round {
            Round::Done => FALLBACK,
            Round::Busy => BUSY,
            Round::Failed => LONGEST.min(Duration::from_millis(500 << failures.min(8))),
        };
        tokio::select! {
            () = &mut stop => break,
            Ok(()) = news.changed(), if round == Round::Done => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    if let Some(line) = forwarder.line {
        line.close().await;
    }
}

impl<'a, C: Carrier> Forwarder<'a, C> {
    /// A relay that is not connected yet.
    pub fn new(hub: &'a Hub, relay: &'a Relay, carrier: &'a C) -> Self {
        Forwarder { hub, relay, carrier, line: None }
    }

    /// Sends what is not sent yet.
    pub async fn round(&mut self) -> Round {
        loop {
            match self.batch().await {
                Ok(Step::On) => {}
                Ok(Step::End(round)) => return round,
                Err(fault) => {
                    tracing::warn!(relay = self.relay.name, %fault, "the outbox cannot be relayed");
                    return Round::Failed;
                }
            }
        }
    }

    async fn batch(&mut self) -> Result<Step, Fault> {
        let name = &self.relay.name;
        let mut tx = self.hub.db.begin();
        let Some(seq) = outbox::hold_reader(&mut tx, name).await? else {
            return self.register(tx).await;
        };
        let entries = outbox::after(&mut tx, seq, BATCH).await?;
        let Some(last) = entries.last().map(|entry| entry.seq) else {
            return Ok(Step::End(Round::Done));
        };
        if entries.first().is_some_and(|entry| entry.seq != seq + 1) {
            let from = seq + 1;
            tracing::error!(relay = name, from, "events were not sent, and are not kept any more");
        }
        let parcels: Vec<(i64, Parcel)> = entries
            .into_iter()
            .filter_map(|entry| Some((entry.seq, message::parcel(self.relay, entry)?)))
            .collect();
        let (seqs, parcels): (Vec<i64>, Vec<Parcel>) = parcels.into_iter().unzip();
        // On the embedded database nothing is held meanwhile: it has one hub.
        let held = (self.hub.db.engine() == Engine::Postgres).then_some(tx);
        let delivery = self.deliver(&parcels).await;
        let mut taken = delivery.taken;
        if delivery.refused && taken < seqs.len() {
            let (lost, trouble) = (seqs[taken], delivery.trouble.as_deref());
            tracing::error!(relay = name, lost, trouble, "the broker will not take an event");
            taken += 1;
        }
        // Up to what was not taken, or to the end.
        let upto = seqs.get(taken).map_or(last, |next| next - 1);
        let mut tx = match held {
            Some(tx) => tx,
            None => self.hub.db.begin_write().await?,
        };
        outbox::advance_reader(&mut tx, name, upto).await?;
        tx.commit().await?;
        match delivery.trouble {
            Some(trouble) if !delivery.refused => {
                let waiting = seqs.len() - taken;
                tracing::warn!(
                    relay = name,
                    waiting,
                    trouble,
                    "events could not be sent, they are tried again"
                );
                Ok(Step::End(Round::Failed))
            }
            _ => Ok(Step::On),
        }
    }

    /// Another hub sends, or this relay is new: it begins with what comes next.
    async fn register(&self, tx: Tx) -> Result<Step, Fault> {
        tx.rollback().await?;
        let mut tx = self.hub.db.begin_write().await?;
        let new = outbox::add_reader(&mut tx, &self.relay.name).await?;
        tx.commit().await?;
        Ok(if new { Step::On } else { Step::End(Round::Busy) })
    }

    async fn deliver(&mut self, parcels: &[Parcel]) -> Delivery {
        if parcels.is_empty() {
            return Delivery::default();
        }
        let opened = match self.line.take() {
            Some(line) => Ok(line),
            None => self.carrier.open(self.relay).await,
        };
        match opened {
            Ok(mut line) => {
                let delivery = line.send(parcels).await;
                // After trouble a new connection: the old one may be in any state.
                self.line = delivery.trouble.is_none().then_some(line);
                delivery
            }
            Err(trouble) => Delivery { taken: 0, trouble: Some(trouble), refused: false },
        }
    }
}

enum Step {
    On,
    End(Round),
}
