//! `/api/events`: what happens, as server-sent events.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use serde::Deserialize;
use serde_json::json;
use toji_bus::Event;
use toji_hub::events::{End, Reader, Told, Wanted};
use tokio::sync::OwnedSemaphorePermit;

use crate::Shared;

/// Readers that a hub serves at the same time.
pub(crate) const WATCHERS: usize = 4096;
/// How long a browser waits before it connects again, in milliseconds.
const RETRY: u32 = 2000;

/// Which events to send, and from where on; lists are separated by commas.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Asked {
    kinds: String,
    objects: String,
    keys: String,
    tags: String,
    packages: String,
    owners: String,
    tasks: String,
    /// The last number that the reader has; what came after it is replayed.
    after: Option<i64>,
}

impl Asked {
    fn wanted(&self) -> Result<Wanted, String> {
        let list = |text: &str| -> Vec<String> {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        };
        let number = |text: String| {
            text.parse().map_err(|_| format!("tasks are numbers, and {text:?} is none"))
        };
        Ok(Wanted {
            kinds: list(&self.kinds),
            objects: list(&self.objects),
            keys: list(&self.keys),
            tags: list(&self.tags),
            packages: list(&self.packages),
            owners: list(&self.owners),
            tasks: list(&self.tasks).into_iter().map(number).collect::<Result<_, _>>()?,
        })
    }
}

/// Streams events until the reader leaves or the server drains.
///
/// A browser that connects again sends `Last-Event-ID`, and misses nothing.
pub(crate) async fn handle(
    State(shared): State<Shared>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let asked = match asked {
        Ok(Query(asked)) => asked,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &error.body_text(), json!({})),
    };
    let after = match headers.get("last-event-id").map(|id| id.to_str().unwrap_or("?").trim()) {
        None | Some("") => asked.after,
        Some(id) => match id.parse() {
            Ok(id) => Some(id),
            Err(_) => {
                return problem(StatusCode::BAD_REQUEST, "Last-Event-ID is a number", json!({}));
            }
        },
    };
    let wanted = match asked.wanted() {
        Ok(wanted) => wanted,
        Err(text) => return problem(StatusCode::BAD_REQUEST, &text, json!({})),
    };
    let Ok(place) = shared.watchers.clone().try_acquire_owned() else {
        let text = "too many readers of events";
        return problem(StatusCode::SERVICE_UNAVAILABLE, text, json!({}));
    };
    match Reader::open(shared.hub.clone(), &wanted, after).await {
        Ok(reader) => {
            let head = [
                (header::CONTENT_TYPE, "text/event-stream"),
                (header::CACHE_CONTROL, "no-cache"),
                // A front end must not collect what a reader waits for.
                (header::HeaderName::from_static("x-accel-buffering"), "no"),
            ];
            let draining = shared.draining.clone();
            let body = sent(reader, place).take_until(async move { draining.cancelled().await });
            (head, Body::from_stream(body)).into_response()
        }
        Err(end) => refused(&end),
    }
}

/// What goes over the wire: first the number from which on it tells, then the events.
fn sent(
    reader: Reader,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let begin = Bytes::from(format!("retry: {RETRY}\nid: {}\n\n", reader.number()));
    let rest = futures::stream::unfold(Some((reader, place)), |open| async move {
        let (mut reader, place) = open?;
        let (piece, going_on) = match reader.next().await {
            Ok(Told::Event(event)) => (frame(&event), true),
            // A number without data: the browser keeps it, and tells nobody.
            Ok(Told::Upto(number)) => (Bytes::from(format!("id: {number}\n\n")), true),
            Err(end) => (last(&end), false),
        };
        Some((Ok(piece), going_on.then_some((reader, place))))
    });
    futures::stream::once(async { Ok(begin) }).chain(rest)
}

/// An event as it is sent, made once for all readers.
fn frame(event: &Event) -> Bytes {
    let make = || {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let (seq, kind, body) = (event.seq, &event.kind, &event.body);
        let (key, created) = (text(&event.key), text(&event.created));
        let head =
            format!("id: {seq}\nevent: {kind}\ndata: {{\"seq\":{seq},\"kind\":{},", text(kind));
        format!("{head}\"key\":{key},\"created\":{created},\"body\":{body}}}\n\n").into()
    };
    event.frame.get_or_init(make).clone()
}

/// The last thing that a reader is told.
fn last(end: &End) -> Bytes {
    match end {
        End::Gone { .. } => format!("event: gone\ndata: {}\n\n", numbers(end)).into(),
        End::Filter(_) | End::Failed(_) => {
            tracing::warn!("{end}");
            Bytes::from_static(b": the events cannot be read for now\n\n")
        }
    }
}

fn numbers(end: &End) -> serde_json::Value {
    match end {
        End::Gone { after, oldest, newest } => {
            json!({ "after": after, "oldest": oldest, "newest": newest })
        }
        End::Filter(_) | End::Failed(_) => json!({}),
    }
}

fn refused(end: &End) -> Response {
    let status = match end {
        End::Gone { .. } => StatusCode::GONE,
        End::Filter(_) => StatusCode::BAD_REQUEST,
        End::Failed(fault) => crate::door::status(fault),
    };
    problem(status, &end.to_string(), numbers(end))
}

/// `application/problem+json` (RFC 9457).
fn problem(status: StatusCode, detail: &str, mut more: serde_json::Value) -> Response {
    more["title"] = status.canonical_reason().unwrap_or_default().into();
    more["status"] = status.as_u16().into();
    more["detail"] = detail.into();
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, kind, more.to_string()).into_response()
}
