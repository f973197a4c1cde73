//! From the outbox to the bus: what was committed is told, in order.

use std::time::Duration;

use toji_bus::{Event, Topic};

use crate::Hub;

/// Events that are read at a time.
const BATCH: i64 = 1000;
/// The slow fallback between looks at the outbox when no signal comes (another hub's commits on
/// a database that cannot notify).
const FALLBACK: Duration = Duration::from_secs(30);

/// The events after `after`, oldest first, at most a batch.
///
/// # Errors
/// When the database fails.
pub async fn read(hub: &Hub, after: i64) -> toji_db::Result<Vec<Event>> {
    let mut tx = hub.db.begin();
    let entries = toji_db::outbox::after(&mut tx, after, BATCH).await?;
    Ok(entries.into_iter().map(event).collect())
}

/// Wakes who waits here for what another hub on this database has done.
fn wake(hub: &Hub, event: &Event) {
    if hub.db.engine() != toji_db::Engine::Postgres {
        return;
    }
    if let Some(host) = event.key.strip_prefix("host:").and_then(|id| id.parse().ok()) {
        hub.bus.signal(Topic::Scheduler);
        if &*event.kind == "host.revoke" {
            hub.bus.signal(Topic::Revoked(host));
        }
        if &*event.kind != "host.state" {
            hub.bus.signal(Topic::HostOptions(host));
        }
        return;
    }
    if event.key.starts_with("channel:") {
        hub.bus.signal(Topic::Scheduler);
    }
    let Some(id) = event.key.strip_prefix("task:").and_then(|id| id.parse().ok()) else { return };
    hub.bus.signal(Topic::Task(id));
    let Ok(body) = serde_json::from_str::<serde_json::Value>(&event.body) else { return };
    let new = body.get("new").and_then(|new| new.as_str());
    // what is assigned or opened leaves nothing to decide
    if !matches!(new, Some("ASSIGNED" | "OPEN")) {
        hub.bus.signal(Topic::Scheduler);
    }
    if new == Some("OPEN") {
        return;
    }
    let hosts = body.get("hosts").and_then(|hosts| hosts.as_array());
    for host in hosts.into_iter().flatten().filter_map(serde_json::Value::as_i64) {
        hub.bus.signal(Topic::Host(host));
    }
}

fn event(entry: toji_db::outbox::Entry) -> Event {
    Event {
        seq: entry.seq,
        kind: entry.kind.into(),
        key: entry.key.into(),
        body: entry.body.to_json().to_string().into(),
    }
}

/// Publishes new events until the future is dropped.
pub async fn run(hub: Hub) {
    let mut signal = hub.bus.listen(Topic::Outbox);
    let mut elsewhere = hub.db.outbox_signal();
    let mut last = newest(&hub).await;
    loop {
        match read(&hub, last).await {
            Ok(events) if events.is_empty() => {
                tokio::select! {
                    () = signal.wait() => {}
                    Ok(()) = elsewhere.changed() => {}
                    () = tokio::time::sleep(FALLBACK) => {}
                }
            }
            Ok(events) => {
                for event in events {
                    last = event.seq;
                    wake(&hub, &event);
                    hub.bus.publish(event);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read the outbox");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// The number of the newest event; what happened before the start is not told again.
async fn newest(hub: &Hub) -> i64 {
    let mut tx = hub.db.begin();
    toji_db::outbox::last(&mut tx).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot read the newest event");
        0
    })
}
