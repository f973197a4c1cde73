//! `/api/tasks/ID/logs/NAME?offset=&follow=&run=`: a task's log, as it is or as it grows.
//!
//! Without `follow` the answer has what is there from `offset` on, and says whether more can come. With `follow` it
//! goes on until the task has ended; who lost the connection asks again with the offset that was reached. A task that
//! is begun anew, because its builder was lost, has a log for each run: `run` says which one an offset is of.

pub(crate) mod together;

use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde::Deserialize;
use toji_bus::{Listener, Topic};
use toji_hub::task::runs;
use toji_store::packed::Content;
use toji_types::TaskState;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

use crate::Shared;
use crate::files::Root;

/// The pause between looks when no signal comes: the builder may have uploaded to another hub.
const PACE: Duration = Duration::from_millis(500);
/// The pause between looks at the task itself, whose end is told.
const SLOW: Duration = Duration::from_secs(30);
/// The most that is read at a time, in bytes.
const PIECE: u64 = 256 << 10;
/// Says whether a log is as long as it will ever be.
const COMPLETE: HeaderName = HeaderName::from_static("x-log-complete");
/// Says of which run of the task the log is; the first is 1.
const RUN: HeaderName = HeaderName::from_static("x-log-run");
/// Says how many runs the log has.
const RUNS: HeaderName = HeaderName::from_static("x-log-runs");

/// From where on, and whether to go on.
#[derive(Debug, Deserialize)]
pub(crate) struct Wish {
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    follow: u8,
    /// The latest, if not given.
    run: Option<u32>,
}

pub(crate) async fn handle(
    State(shared): State<Shared>,
    Path((task, name)): Path<(i64, String)>,
    Query(wish): Query<Wish>,
) -> Response {
    let plain = !name.is_empty() && name.split('/').all(|part| !part.starts_with('.'));
    if !plain || name.contains('\0') {
        return (StatusCode::NOT_FOUND, "not found\n").into_response();
    }
    let path = format!("work/{}/{name}", shared.hub.paths.taskrelpath(task));
    let (root, of) = (shared.files.clone(), path.clone());
    let latest = tokio::task::spawn_blocking(move || latest(&root, &of)).await.unwrap_or(1);
    let run = wish.run.unwrap_or(latest);
    if !(1..=latest).contains(&run) {
        return (StatusCode::NOT_FOUND, "no such run\n").into_response();
    }
    let log = Log { shared, task, path, run };
    // Listened to before the first look, so that nothing between is missed.
    let signals = log.shared.hub.bus.listen(Topic::Task(task));
    let ended = match log.ended().await {
        Ok(Some(ended)) => ended || run < latest,
        Ok(None) => return (StatusCode::NOT_FOUND, "no such task\n").into_response(),
        Err(error) => {
            tracing::warn!(%error, "cannot look at a task");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let mut response = match (log.read(wish.offset).await, wish.follow) {
        (Read::Missing, 0) => return (StatusCode::NOT_FOUND, "no such log\n").into_response(),
        (Read::Missing, _) if ended => {
            return (StatusCode::NOT_FOUND, "no such log\n").into_response();
        }
        (_, 0) => log.rest(wish.offset).await.into_response(),
        _ => {
            let (out, pieces) = mpsc::channel(4);
            tokio::spawn(log.follow(wish.offset, ended, signals, out));
            Body::from_stream(ReceiverStream::new(pieces)).into_response()
        }
    };
    let headers = response.headers_mut();
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, text);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // A front end must not collect what a reader waits for.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    headers.insert(COMPLETE, HeaderValue::from_static(if ended { "true" } else { "false" }));
    headers.insert(RUN, HeaderValue::from(run));
    headers.insert(RUNS, HeaderValue::from(latest));
    response
}

/// The run that a log is of now: those before it are beside it.
fn latest(root: &Root, path: &str) -> u32 {
    let earlier = |run: &u32| root.file(&runs::earlier(path, *run)).is_ok();
    1 + (1..=runs::MOST).take_while(earlier).count() as u32
}

/// Opens the log of a run; the run is over if there is a later one.
fn open(root: &Root, path: &str, run: u32) -> std::io::Result<(std::fs::File, bool)> {
    let earlier = runs::earlier(path, run);
    if let Ok(file) = root.file(&earlier) {
        return Ok((file, true));
    }
    let file = root.file(path)?;
    // It may have got its other name between the two looks.
    match root.file(&earlier) {
        Ok(file) => Ok((file, true)),
        Err(_) => Ok((file, false)),
    }
}

/// Whether a task has ended; nothing if there is none.
async fn ended(shared: &Shared, task: i64) -> toji_db::Result<Option<bool>> {
    let mut tx = shared.hub.db.begin();
    let found = toji_db::upload::task_holder(&mut tx, task).await?;
    let ended =
        |state| TaskState::try_from(state).is_ok_and(|state: TaskState| state.is_finished());
    Ok(found.map(|(state, _)| ended(state)))
}

/// One log of a task.
#[derive(Clone)]
struct Log {
    shared: Shared,
    task: i64,
    path: String,
    run: u32,
}

enum Read {
    /// The next bytes; none at the end.
    Some(Bytes),
    /// The end, and no more will come: another run has begun.
    Over,
    /// It is shorter than what was read: it was begun anew.
    Shorter,
    Missing,
}

impl Log {
    async fn read(&self, offset: u64) -> Read {
        let (root, path, run) = (self.shared.files.clone(), self.path.clone(), self.run);
        let read = move || {
            let (file, over) = open(&root, &path, run)?;
            if !file.metadata()?.is_file() {
                return Ok(Read::Missing);
            }
            let mut content = Content::new(file)?;
            if content.length()? < offset {
                return Ok(Read::Shorter);
            }
            content.seek(SeekFrom::Start(offset))?;
            let mut data = Vec::new();
            content.take(PIECE).read_to_end(&mut data)?;
            if over && data.is_empty() {
                return Ok(Read::Over);
            }
            std::io::Result::Ok(Read::Some(data.into()))
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(read)) => read,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => Read::Missing,
            Ok(Err(error)) => {
                tracing::warn!(%error, path = self.path, "cannot read a log");
                Read::Missing
            }
            Err(_) => Read::Missing,
        }
    }

    /// Everything from `offset` on that is there now.
    async fn rest(&self, mut offset: u64) -> Vec<u8> {
        let mut all = Vec::new();
        while let Read::Some(piece) = self.read(offset).await {
            if piece.is_empty() {
                break;
            }
            offset += piece.len() as u64;
            all.extend_from_slice(&piece);
        }
        all
    }

    /// Whether the task has ended; nothing if there is none.
    async fn ended(&self) -> toji_db::Result<Option<bool>> {
        ended(&self.shared, self.task).await
    }

    /// Passes on what is there and what comes, until the task has ended, the log begins anew, or the reader leaves.
    async fn follow(
        self,
        mut offset: u64,
        ended: bool,
        mut signals: Listener,
        out: mpsc::Sender<std::io::Result<Bytes>>,
    ) {
        let mut last = ended;
        let mut asked = Instant::now();
        loop {
            match self.read(offset).await {
                Read::Some(piece) if !piece.is_empty() => {
                    offset += piece.len() as u64;
                    if out.send(Ok(piece)).await.is_err() {
                        return;
                    }
                    continue;
                }
                Read::Shorter | Read::Over => return,
                Read::Some(_) | Read::Missing if last => return,
                Read::Some(_) | Read::Missing => {}
            }
            let told = tokio::select! {
                () = signals.wait() => true,
                () = tokio::time::sleep(PACE) => false,
                () = out.closed() => return,
                () = self.shared.draining.cancelled() => return,
            };
            // The end of a task is told at every hub; without news the database is asked seldom.
            if told || asked.elapsed() > SLOW {
                asked = Instant::now();
                // A builder uploads everything before it ends its task, so one more look after that finds the rest.
                last = !matches!(self.ended().await, Ok(Some(false)));
            }
        }
    }
}
