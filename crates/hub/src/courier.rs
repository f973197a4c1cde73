//! The sending of messages to a broker, as Koji's plugin `protonmsg` sends them.
//!
//! With `[queue] enabled` a message is a row of `proton_queue`, written in the transaction of what it tells; a round
//! sends the oldest rows and deletes those that a broker has taken, so that each is taken at least once. Of several hubs
//! on one database, a Koji hub among them, the one with the lock `protonmsg-plugin` sends.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use toji_bus::{Message, Topic};
use toji_db::{Engine, Time, Tx, message as db};
use toji_value::{Fault, Map, Value};

use crate::config::messages::{MessageOptions, QueueOptions};
use crate::{Hub, json};

/// Time between two looks at the queue when no signal comes: another hub may have written and ended.
const FALLBACK: Duration = Duration::from_secs(30);
/// Time until the next try while another hub sends.
const BUSY: Duration = Duration::from_secs(5);
/// The longest time between two tries while no broker takes anything.
const LONGEST: Duration = Duration::from_secs(60);

/// A message for the broker.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The full address.
    pub address: String,
    /// The properties: texts, numbers, truth values and nothing.
    pub props: Map,
    /// The body, a JSON text.
    pub body: String,
}

/// What became of some messages.
#[derive(Clone, Debug, Default)]
pub struct Delivery {
    /// For each message, whether the broker has taken it.
    pub taken: Vec<bool>,
    /// What hindered the rest.
    pub trouble: Option<String>,
}

/// The sending of messages.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Delivery> + Send + 'a>>;

/// Who brings messages to a broker.
pub trait Carrier: Send + Sync {
    /// Sends messages, in their order, to the broker at `url`.
    fn send<'a>(&'a self, url: &'a str, parcels: &'a [Parcel]) -> Sending<'a>;
}

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// Nothing waits any more, except what a broker refuses.
    Done,
    /// Another hub sends.
    Busy,
    /// No broker could be reached, or the database failed.
    Failed,
}

/// Sends messages until `stop`.
pub async fn serve(
    hub: Hub,
    options: MessageOptions,
    carrier: impl Carrier,
    stop: impl Future<Output = ()>,
) {
    tokio::pin!(stop);
    let courier = Courier { hub: &hub, options: &options, carrier: &carrier };
    let mut signal = hub.bus.listen(Topic::Messages);
    let mut failures = 0_u32;
    loop {
        let round = tokio::select! {
            () = &mut stop => break,
            round = courier.round() => round,
        };
        failures = if round == Round::Failed { failures + 1 } else { 0 };
        let pause = match round {
            Round::Done => FALLBACK,
            Round::Busy => BUSY,
            Round::Failed => LONGEST.min(Duration::from_secs(1 << failures.min(6))),
        };
        tokio::select! {
            () = &mut stop => break,
            () = signal.wait(), if round == Round::Done => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    if options.queue.is_none() {
        // What no table keeps is sent before the process ends, or never.
        courier.round().await;
    }
}

/// What a round works with.
pub struct Courier<'a, C: Carrier> {
    /// The hub.
    pub hub: &'a Hub,
    /// The options.
    pub options: &'a MessageOptions,
    /// Who sends.
    pub carrier: &'a C,
}

impl<C: Carrier> Courier<'_, C> {
    /// Sends what waits.
    pub async fn round(&self) -> Round {
        let Some(queue) = &self.options.queue else { return self.pass_on().await };
        match self.empty(queue).await {
            Ok(round) => round,
            Err(fault) => {
                tracing::warn!(%fault, "the queue of messages cannot be read");
                Round::Failed
            }
        }
    }

    /// Sends what was handed over in this process; what no broker takes is lost.
    async fn pass_on(&self) -> Round {
        let waiting = self.hub.bus.take_messages();
        let parcels: Vec<Parcel> = waiting.into_iter().filter_map(|m| self.parcel(m)).collect();
        let delivery = self.deliver(&parcels).await;
        let lost = delivery.taken.iter().filter(|taken| !**taken).count();
        if lost > 0 {
            let trouble = delivery.trouble.unwrap_or_default();
            tracing::error!(lost, trouble, "messages could not be sent; the queue is not enabled");
        }
        Round::Done
    }

    /// Sends the rows of the queue, a batch at a time.
    async fn empty(&self, queue: &QueueOptions) -> Result<Round, Fault> {
        let Some(lock) = self.lock().await? else { return Ok(Round::Busy) };
        let round = self.send_rows(queue).await;
        drop(lock);
        round
    }

    /// The lock by which only one hub sends; an embedded database has only one.
    async fn lock(&self) -> Result<Option<Tx>, Fault> {
        let mut tx = self.hub.db.begin();
        let free = self.hub.db.engine() == Engine::Sqlite || tx.try_lock(db::LOCK).await?;
        Ok(free.then_some(tx))
    }

    async fn send_rows(&self, queue: &QueueOptions) -> Result<Round, Fault> {
        self.expire(queue).await?;
        let mut after = 0;
        loop {
            let mut tx = self.hub.db.begin();
            let rows = db::waiting(&mut tx, after, queue.batch_size).await?;
            tx.rollback().await?;
            let Some(last) = rows.last() else { return Ok(Round::Done) };
            after = last.get("id")?;
            let mut ids = Vec::with_capacity(rows.len());
            let mut parcels = Vec::with_capacity(rows.len());
            for row in &rows {
                let Value::Struct(props) = row.value("props").clone() else { continue };
                let address = self.options.address(&row.get::<String>("address")?);
                ids.push(row.get::<i64>("id")?);
                parcels.push(Parcel { address, props, body: row.get("body")? });
            }
            let delivery = self.deliver(&parcels).await;
            let taken: Vec<i64> = ids
                .iter()
                .zip(&delivery.taken)
                .filter(|(_, taken)| **taken)
                .map(|(id, _)| *id)
                .collect();
            if !taken.is_empty() {
                let mut tx = self.hub.db.begin_write().await?;
                db::remove(&mut tx, &taken).await?;
                tx.commit().await?;
            }
            if let Some(trouble) = delivery.trouble {
                let waiting = ids.len() - taken.len();
                tracing::warn!(
                    waiting,
                    trouble,
                    "messages could not be sent, they are tried again"
                );
                return Ok(Round::Failed);
            }
        }
    }

    /// Drops what is too old.
    async fn expire(&self, queue: &QueueOptions) -> Result<(), Fault> {
        let before = Time::from_epoch(self.hub.now() - queue.max_age)?;
        if !db::has_older(&mut self.hub.db.begin(), before).await? {
            return Ok(());
        }
        let mut tx = self.hub.db.begin_write().await?;
        let lost = db::expire(&mut tx, before).await?;
        tx.commit().await?;
        tracing::error!(lost, "messages were not sent within their longest time and are dropped");
        Ok(())
    }

    /// Tries the brokers, in any order, until one has taken everything.
    async fn deliver(&self, parcels: &[Parcel]) -> Delivery {
        let mut all = Delivery { taken: vec![false; parcels.len()], trouble: None };
        if parcels.is_empty() {
            return all;
        }
        if let Some(fail) = self.options.test_mode {
            tracing::debug!(count = parcels.len(), "test mode: messages are not sent");
            all.taken.iter_mut().for_each(|taken| *taken = self.chance() >= fail);
            all.trouble = all.taken.contains(&false).then(|| "test mode".to_owned());
            return all;
        }
        let urls = &self.options.urls;
        let first = usize::from(self.chance());
        for at in 0..urls.len() {
            let Some(url) = urls.get((first + at) % urls.len()) else { break };
            let open: Vec<usize> = (0..parcels.len()).filter(|i| !all.taken[*i]).collect();
            let rest: Vec<Parcel> = open.iter().map(|i| parcels[*i].clone()).collect();
            let delivery = self.carrier.send(url, &rest).await;
            for (i, taken) in open.iter().zip(delivery.taken) {
                all.taken[*i] = taken;
            }
            all.trouble = delivery.trouble;
            if !all.taken.contains(&false) {
                all.trouble = None;
                break;
            }
        }
        all
    }

    /// A number below a hundred.
    fn chance(&self) -> u8 {
        let mut byte = [0];
        self.hub.random.fill(&mut byte);
        byte[0] % 100
    }

    fn parcel(&self, message: Message) -> Option<Parcel> {
        let Ok(Value::Struct(props)) = json::loads(&message.props, "properties") else {
            return None;
        };
        let address = self.options.address(&message.address);
        Some(Parcel { address, props, body: message.body })
    }
}
