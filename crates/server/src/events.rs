//! `/api/events`: what happens, as server-sent events.

use std::convert::Infallible;

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event as Sse, KeepAlive, Sse as SseResponse};
use futures::{Stream, StreamExt};
use serde::Deserialize;
use toji_bus::Event;

use crate::Shared;

/// Which events to send, and from where on.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Filter {
    /// Kinds, separated by commas; `task.*` takes a family. Empty is all.
    #[serde(default)]
    kinds: String,
    /// Object keys, separated by commas. Empty is all.
    #[serde(default)]
    keys: String,
    /// The last number that the reader has; what came after it is replayed.
    after: Option<i64>,
}

/// Streams events until the reader leaves or the server drains.
///
/// A browser that connects again sends `Last-Event-ID`, and misses nothing.
pub(crate) async fn handle(
    State(shared): State<Shared>,
    Query(filter): Query<Filter>,
    headers: HeaderMap,
) -> SseResponse<impl Stream<Item = Result<Sse, Infallible>>> {
    let last_id = headers.get("last-event-id").and_then(|v| v.to_str().ok()?.parse().ok());
    let after = last_id.or(filter.after);
    let kinds = split(&filter.kinds);
    let keys = split(&filter.keys);
    let events = follow(shared.hub.clone(), after)
        .filter(move |event| {
            let wanted = matches(&kinds, &keys, event);
            async move { wanted }
        })
        .map(|event| {
            let sse = Sse::default().id(event.seq.to_string()).event(&*event.kind);
            Ok(sse.data(format!("{{\"key\":{:?},\"body\":{}}}", event.key, event.body)))
        });
    let draining = shared.draining.clone();
    let stream = events.take_until(async move { draining.cancelled().await });
    SseResponse::new(stream).keep_alive(KeepAlive::default())
}

fn split(list: &str) -> Vec<String> {
    list.split(',').filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

/// Whether a filter takes an event.
pub(crate) fn matches(kinds: &[String], keys: &[String], event: &Event) -> bool {
    let kind_fits = |wanted: &String| match wanted.strip_suffix(".*") {
        Some(family) => event.kind.strip_prefix(family).is_some_and(|rest| rest.starts_with('.')),
        None => **wanted == *event.kind,
    };
    (kinds.is_empty() || kinds.iter().any(kind_fits))
        && (keys.is_empty() || keys.iter().any(|key| **key == *event.key))
}

/// All events after `after` from the outbox, and then what happens; without a number, only the
/// latter. A reader that falls behind is served from the outbox again.
pub(crate) fn follow(hub: toji_hub::Hub, after: Option<i64>) -> impl Stream<Item = Event> + Send {
    struct State {
        hub: toji_hub::Hub,
        live: tokio::sync::broadcast::Receiver<Event>,
        last: Option<i64>,
        replay: bool,
        pending: std::collections::VecDeque<Event>,
    }
    let live = hub.bus.subscribe();
    let state = State { hub, live, last: after, replay: after.is_some(), pending: [].into() };
    futures::stream::unfold(state, |mut state| async move {
        loop {
            if let Some(event) = state.pending.pop_front() {
                state.last = Some(event.seq);
                return Some((event, state));
            }
            if state.replay {
                let after = state.last.unwrap_or(0);
                match toji_hub::relay::read(&state.hub, after).await {
                    Ok(events) if events.is_empty() => state.replay = false,
                    Ok(events) => state.pending.extend(events),
                    Err(error) => {
                        tracing::warn!(%error, "cannot replay events");
                        return None;
                    }
                }
                continue;
            }
            match state.live.recv().await {
                Ok(event) if state.last.is_some_and(|last| event.seq <= last) => {}
                Ok(event) => state.pending.push_back(event),
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {
                    state.replay = state.last.is_some();
                }
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return None,
            }
        }
    })
}
