//! `/api/tasks/ID/logs?follow=&log=&at=`: all logs of a task, as server-sent events.
//!
//! Each event `log` has the next bytes of one log; `end` says that the task has ended and everything was told. `at`
//! says what the reader has: lines of run, offset and name, as in `1:4096:build.log`. A stream that ends without `end`
//! is to be asked for again.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use toji_bus::{Listener, Topic};
use toji_store::{Area, parts};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

use super::{Log, Read, SLOW, ended, latest};
use crate::Shared;

/// The pause between looks when no signal comes: the builder may have uploaded to another hub.
const PACE: Duration = Duration::from_secs(2);
/// A reader to whom there is nothing to tell is told so, so that a broken connection shows.
const BEAT: Duration = Duration::from_secs(15);
/// Logs of one task at most.
const MOST: usize = 1000;

/// Which logs, and what the reader has of them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wish {
    follow: u8,
    log: Option<String>,
    at: String,
}

/// How far a log was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    run: u32,
    offset: u64,
    /// The file and its length when there was no more.
    seen: Option<(u64, u64)>,
}

/// Streams the logs until the task has ended.
pub(crate) async fn handle(
    State(shared): State<Shared>,
    Path(task): Path<i64>,
    wish: Result<Query<Wish>, QueryRejection>,
) -> Response {
    let wish = match wish {
        Ok(Query(wish)) => wish,
        Err(error) => return (StatusCode::BAD_REQUEST, error.body_text()).into_response(),
    };
    let Some(places) = places(&wish.at) else {
        let text = "'at' has lines of run, offset and name\n";
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    let Ok(permit) = shared.watchers.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many readers\n").into_response();
    };
    // Listened to before the first look, so that nothing between is missed.
    let signals = shared.hub.bus.listen(Topic::Task(task));
    let over = match ended(&shared, task).await {
        Ok(Some(over)) => over,
        Ok(None) => return (StatusCode::NOT_FOUND, "no such task\n").into_response(),
        Err(error) => {
            tracing::warn!(%error, "cannot look at a task");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let (out, pieces) = mpsc::channel(4);
    let dir = shared.hub.paths.taskrelpath(task);
    let logs = Logs { shared, task, dir, log: wish.log, places, out, _permit: permit };
    tokio::spawn(logs.tell(signals, over, wish.follow > 0));
    let head = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        // A front end must not collect what a reader waits for.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (head, Body::from_stream(ReceiverStream::new(pieces))).into_response()
}

/// What a reader has.
fn places(at: &str) -> Option<BTreeMap<String, Place>> {
    let one = |line: &str| {
        let mut parts = line.splitn(3, ':');
        let run = parts.next()?.parse().ok().filter(|run| *run > 0)?;
        let offset = parts.next()?.parse().ok()?;
        Some((parts.next()?.to_owned(), Place { run, offset, seen: None }))
    };
    at.lines().take(MOST).map(one).collect()
}

pub(crate) fn fuzz(text: &str) {
    if let Some(places) = places(text) {
        assert!(places.values().all(|place| place.run > 0));
    }
}

/// The logs of a task, and somebody who reads them.
struct Logs {
    shared: Shared,
    task: i64,
    dir: String,
    /// The only one that is wanted.
    log: Option<String>,
    places: BTreeMap<String, Place>,
    out: mpsc::Sender<std::io::Result<Bytes>>,
    _permit: OwnedSemaphorePermit,
}

impl Logs {
    /// Tells what is there and what comes, until the task has ended or the reader leaves.
    async fn tell(mut self, mut signals: Listener, over: bool, follow: bool) {
        let (mut last, mut asked, mut beat) = (over, Instant::now(), Instant::now() + BEAT);
        let draining = self.shared.draining.clone();
        loop {
            let Some(told) = self.look().await else { return };
            if last {
                self.send(Bytes::from_static(b"event: end\ndata: {}\n\n")).await;
                return;
            }
            if !follow {
                return;
            }
            if told {
                beat = Instant::now() + BEAT;
            }
            let signal = tokio::select! {
                () = signals.wait() => true,
                () = tokio::time::sleep(PACE) => false,
                () = self.out.closed() => return,
                () = draining.cancelled() => return,
            };
            if Instant::now() > beat {
                beat = Instant::now() + BEAT;
                if !self.send(Bytes::from_static(b":\n\n")).await {
                    return;
                }
            }
            // The end of a task is told at every hub; without news the database is asked seldom.
            if signal || asked.elapsed() > SLOW {
                asked = Instant::now();
                // A builder uploads everything before it ends its task, so one more look after that finds the rest.
                match ended(&self.shared, self.task).await {
                    Ok(Some(over)) => last = over,
                    // The reader asks again, or hears that there is no such task any more.
                    Ok(None) | Err(_) => return,
                }
            }
        }
    }

    /// Tells what is new in the logs; whether there was something, or nothing if the reader is gone.
    async fn look(&mut self) -> Option<bool> {
        let mut told = false;
        for (name, now) in self.files().await {
            let place = self.places.get(&name).copied();
            if place.is_some_and(|place| place.seen == Some(now)) {
                continue;
            }
            let path = format!("work/{}/{name}", self.dir);
            let mut place = match place {
                Some(place) => place,
                None => {
                    let (root, of) = (self.shared.files.clone(), path.clone());
                    let run = tokio::task::spawn_blocking(move || latest(&root, &of)).await;
                    Place { run: run.unwrap_or(1), offset: 0, seen: None }
                }
            };
            loop {
                let (shared, path) = (self.shared.clone(), path.clone());
                let log = Log { shared, task: self.task, path, run: place.run };
                match log.read(place.offset).await {
                    Read::Some(piece) if !piece.is_empty() => {
                        told = true;
                        if !self.send(frame(&name, &place, &piece)).await {
                            return None;
                        }
                        place.offset += piece.len() as u64;
                    }
                    // The next run's is at its place.
                    Read::Over => (place.run, place.offset) = (place.run + 1, 0),
                    Read::Shorter => place.offset = 0,
                    Read::Some(_) | Read::Missing => break,
                }
            }
            place.seen = Some(now);
            self.places.insert(name, place);
        }
        Some(told)
    }

    /// The names of the logs, each with its file's number and length.
    async fn files(&self) -> Vec<(String, (u64, u64))> {
        let (area, dir) = (Area::new(self.shared.hub.paths.work(None)), self.dir.clone());
        let only = self.log.clone();
        let walk = move || {
            let entries = area.walk(&dir).unwrap_or_default().into_iter();
            let plain = |name: &str| name.split('/').all(|part| !part.starts_with('.'));
            let wanted = |name: &str| match &only {
                Some(only) => only == name,
                None => name.ends_with("log") && !parts::is_partial(name),
            };
            let logs = entries.filter(|entry| plain(&entry.path) && wanted(&entry.path));
            logs.take(MOST)
                .map(|entry| (entry.path, (entry.meta.ino(), entry.meta.len())))
                .collect()
        };
        tokio::task::spawn_blocking(walk).await.unwrap_or_default()
    }

    async fn send(&self, text: Bytes) -> bool {
        self.out.send(Ok(text)).await.is_ok()
    }
}

/// An event with the next bytes of a log.
fn frame(name: &str, place: &Place, piece: &[u8]) -> Bytes {
    let (name, data) = (serde_json::Value::from(name), STANDARD.encode(piece));
    let Place { run, offset, .. } = place;
    let said = format!(r#"{{"log":{name},"run":{run},"offset":{offset},"data":"{data}"}}"#);
    format!("event: log\ndata: {said}\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_has() {
        let place = |run, offset| Place { run, offset, seen: None };
        let found = places("1:0:a.log\n2:77:dir/b:c.log").unwrap();
        let wanted = [("a.log".to_owned(), place(1, 0)), ("dir/b:c.log".to_owned(), place(2, 77))];
        assert!(found.into_iter().eq(wanted));
        assert_eq!(places("").unwrap().len(), 0);
        for wrong in ["0:1:a", "1:-1:a", "1:2", "x", "1:2:a\n\n"] {
            assert!(places(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn a_frame_is_one_event() {
        let place = Place { run: 2, offset: 7, seen: None };
        let text = frame("a\n\"b.log", &place, b"x\n\n");
        let text = std::str::from_utf8(&text).unwrap();
        let data = text.strip_prefix("event: log\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
        let said: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(said["log"], "a\n\"b.log");
        assert_eq!((said["run"].as_u64(), said["offset"].as_u64()), (Some(2), Some(7)));
        assert_eq!(said["data"], STANDARD.encode(b"x\n\n"));
    }
}
