//! From the outbox to the bus: what was committed is told, in order.

use std::sync::OnceLock;
use std::time::Duration;

use toji_bus::{About, Event, Topic};
use toji_value::Value;

use crate::Hub;

/// Events that are read at a time.
const BATCH: i64 = 1000;
/// Time until the next try when the database fails.
const RETRY: Duration = Duration::from_secs(1);
/// The slow fallback between looks at the outbox when no signal comes (another hub's commits on
/// a database that cannot notify).
const FALLBACK: Duration = Duration::from_secs(30);

/// Wakes who waits here for what another hub on this database has done.
fn wake(hub: &Hub, event: &Event) {
    if hub.db.engine() != toji_db::Engine::Postgres {
        return;
    }
    if let Some(host) = event.key.strip_prefix("host:").and_then(|id| id.parse().ok()) {
        hub.bus.signal(Topic::Scheduler);
        if event.kind == "host.revoke" {
            hub.bus.signal(Topic::Revoked(host));
        }
        if event.kind != "host.state" {
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

/// An entry of the outbox as the bus tells it.
pub(crate) fn event(entry: toji_db::outbox::Entry) -> Event {
    Event::new(toji_bus::event::Inner {
        seq: entry.seq,
        about: about(&entry.kind, &entry.key, &entry.body),
        kind: entry.kind,
        key: entry.key,
        created: entry.created,
        body: entry.body.to_json().to_string(),
        frame: OnceLock::new(),
    })
}

/// What an event's key and details name beside each other.
fn about(kind: &str, key: &str, body: &Value) -> About {
    let (object, number) = key.split_once(':').unwrap_or((key, ""));
    let number = |of: &str| (object == of).then(|| number.parse().ok()).flatten();
    let text = |name: &str| body.get(name).as_str().map(str::to_owned);
    let package = match (object, kind) {
        ("build", _) | (_, "build.tag" | "build.untag") => text("name"),
        _ => text("package"),
    };
    let owner = if object == "task" { "owner" } else { "owner_id" };
    About {
        tag: text("tag"),
        tag_id: body.get("tag_id").as_int().or_else(|| number("tag")),
        package: text("package").or(package),
        owner: body.get(owner).as_int(),
        task: number("task").or_else(|| body.get("task_id").as_int()),
        parent: number("task").and_then(|_| body.get("parent").as_int()),
    }
}

/// Publishes new events until the future is dropped.
pub async fn run(hub: Hub) {
    let mut signal = hub.bus.listen(Topic::Outbox);
    let mut elsewhere = hub.db.outbox_signal();
    let mut last = newest(&hub).await;
    hub.bus.begin(last);
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
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// The events after number `after`, oldest first, at most a batch.
///
/// # Errors
/// When the database fails.
pub async fn read(hub: &Hub, after: i64) -> toji_db::Result<Vec<Event>> {
    let entries = toji_db::outbox::after(&mut hub.db.begin(), after, BATCH).await?;
    Ok(entries.into_iter().map(event).collect())
}

/// The number of the newest event; what happened before the start is not told again.
async fn newest(hub: &Hub) -> i64 {
    loop {
        match toji_db::outbox::last(&mut hub.db.begin()).await {
            Ok(last) => return last,
            Err(error) => {
                tracing::warn!(%error, "cannot read the newest event");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
