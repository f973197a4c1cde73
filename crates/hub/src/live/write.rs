//! Writing what connected builders say, a few statements for all of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use toji_bus::Topic;
use toji_db::live as sql;
use toji_value::{Fault, map};

use super::{Live, Written};
use crate::{Call, Hub};

/// How often all hosts and sessions in use are written.
const PERIOD: Duration = Duration::from_secs(30);
/// How long to gather what is urgent: builders often come at once.
const GATHER: Duration = Duration::from_millis(20);
/// The least time between two writings.
const PAUSE: Duration = Duration::from_millis(200);

/// What is to be written.
#[derive(Debug, Default)]
struct Batch {
    attached: Vec<i64>,
    lost: Vec<i64>,
    /// Hosts whose state is new, with their connections' numbers.
    changed: Vec<(i64, u64, Written)>,
    /// Hosts of which the scheduler should look again.
    told: Vec<i64>,
    heard: Vec<i64>,
    /// Those of them that are ready.
    ready: Vec<i64>,
    sessions: Vec<i64>,
}

/// Writes until `stop`: at once what the scheduler should know, the rest from time to time.
pub async fn serve(hub: Hub, stop: impl Future<Output = ()>) {
    let live = hub.live.clone();
    live.lock().served = true;
    tokio::pin!(stop);
    let period = period(&hub);
    let mut tick = tokio::time::interval(period);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // What could not be written is written whole.
    let mut owed = false;
    loop {
        let all = tokio::select! {
            () = &mut stop => break,
            () = live.urgent.notified() => {
                tokio::time::sleep(GATHER).await;
                false
            }
            _ = tick.tick() => true,
        };
        owed |= all;
        match flush(&hub, owed).await {
            Ok(()) => owed = false,
            Err(fault) => {
                tracing::warn!(%fault, "cannot store what builders say");
                live.urgent.notify_one();
                tokio::time::sleep(period / 10).await;
            }
        }
        if all {
            remind(&hub).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
    live.lock().served = false;
}

/// Often enough that no host that is there is taken for silent.
fn period(hub: &Hub) -> Duration {
    let options = &hub.config.scheduler;
    let shortest = options.ready_timeout.min(options.host_timeout) / 3.0;
    PERIOD.min(Duration::from_secs_f64(shortest.clamp(1.0, 3600.0)))
}

/// Writes what has changed; with `all` also that hosts and sessions are in use.
///
/// # Errors
/// When the database fails; it will be written the next time.
pub async fn flush(hub: &Hub, all: bool) -> Result<(), Fault> {
    let batch = hub.live.batch(all);
    if batch.is_empty() {
        return Ok(());
    }
    let mut call = hub.internal().await?;
    write(&mut call, &batch, &hub.live.holder).await?;
    call.commit().await?;
    hub.live.written(batch);
    Ok(())
}

async fn write(call: &mut Call, batch: &Batch, holder: &str) -> Result<(), Fault> {
    if !batch.attached.is_empty() {
        sql::attach(&mut call.tx, &batch.attached, holder).await?;
    }
    if !batch.lost.is_empty() {
        // A connection may be gone before it was noted.
        sql::had(&mut call.tx, &batch.lost, holder).await?;
        sql::lose(&mut call.tx, &batch.lost, holder).await?;
    }
    // There are few different states: most hosts of a farm are idle or full.
    let mut states: BTreeMap<(bool, u64), Vec<i64>> = BTreeMap::new();
    let mut pressures: BTreeMap<Option<&str>, Vec<i64>> = BTreeMap::new();
    for (host, _, state) in &batch.changed {
        states.entry((state.ready, state.load.to_bits())).or_default().push(*host);
        pressures.entry(state.pressure.as_deref()).or_default().push(*host);
    }
    for ((ready, load), hosts) in states {
        sql::say(&mut call.tx, &hosts, ready, f64::from_bits(load)).await?;
    }
    for (pressure, hosts) in pressures {
        sql::press(&mut call.tx, &hosts, pressure).await?;
    }
    if !batch.heard.is_empty() {
        sql::heard(&mut call.tx, &batch.heard).await?;
    }
    let mut told = batch.told.clone();
    if !batch.ready.is_empty() {
        // While the database was away, nothing was heard of them.
        told.extend(sql::revive(&mut call.tx, &batch.ready).await?);
    }
    if !batch.sessions.is_empty() {
        sql::touch(&mut call.tx, &batch.sessions).await?;
        toji_db::session::drop_answers(&mut call.tx).await?;
    }
    for host in &told {
        let lost = batch.lost.contains(host);
        call.emit(
            "host.state",
            &format!("host:{host}"),
            map! { "host_id" => *host, "lost" => lost },
        );
    }
    if !told.is_empty() {
        call.signal(Topic::Scheduler);
    }
    Ok(())
}

/// Reminds connected hosts of tasks that they have not opened yet, should a signal have been lost.
async fn remind(hub: &Hub) {
    let mut tx = hub.db.begin();
    match toji_db::host_work::unopened(&mut tx).await {
        Ok(hosts) => hosts.into_iter().for_each(|host| hub.bus.signal(Topic::Host(host))),
        Err(error) => tracing::warn!(%error, "cannot look for unopened tasks"),
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.attached.is_empty()
            && self.lost.is_empty()
            && self.changed.is_empty()
            && self.heard.is_empty()
            && self.sessions.is_empty()
    }
}

impl Live {
    fn batch(&self, all: bool) -> Batch {
        let state = self.lock();
        let mut batch = Batch::default();
        let mut hosts: Vec<_> = state.hosts.iter().collect();
        // rows are always locked in the same order
        hosts.sort_by_key(|(id, _)| **id);
        for (&id, known) in hosts {
            if !known.attached {
                batch.lost.push(id);
                batch.told.push(id);
                continue;
            }
            if !known.noted {
                batch.attached.push(id);
            }
            if known.is_urgent() {
                batch.told.push(id);
            }
            match known.now() {
                Some(now) if known.written.as_ref() == Some(&now) => {
                    batch.heard.extend(all.then_some(id));
                    batch.ready.extend((all && now.ready).then_some(id));
                }
                Some(now) if all || known.is_urgent() => {
                    batch.changed.push((id, known.number, now));
                }
                _ => {}
            }
            if all {
                batch.sessions.push(known.session);
            }
        }
        if all {
            batch.sessions.extend(&state.used);
        }
        batch
    }

    /// Remembers what was written.
    fn written(&self, batch: Batch) {
        let mut state = self.lock();
        for id in &batch.attached {
            if let Some(known) = state.hosts.get_mut(id) {
                known.noted = true;
            }
        }
        for id in &batch.lost {
            if state.hosts.get(id).is_some_and(|known| !known.attached) {
                state.hosts.remove(id);
            }
        }
        for (id, number, now) in batch.changed {
            if let Some(known) = state.hosts.get_mut(&id).filter(|known| known.number == number) {
                known.written = Some(now);
            }
        }
        for session in &batch.sessions {
            state.used.remove(session);
        }
    }
}
