//! Output files of a task: download, and the log that grows while you look.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{Stream, StreamExt};
use minijinja::context;
use serde::Deserialize;
use toji_value::{Map, Value, map};

use crate::error::PageError;
use crate::pages::{Asked, query};
use crate::{Site, Waiter};

/// Bytes of a log that are read at a time.
const CHUNK: i64 = 64 << 10;
/// The slow look at a log when no signal comes.
const FALLBACK: Duration = Duration::from_secs(5);

#[derive(Clone, Deserialize)]
pub(crate) struct Output {
    #[serde(rename = "taskID")]
    task_id: i64,
    name: String,
    volume: Option<String>,
    /// Bytes that the reader has.
    offset: Option<i64>,
}

impl Output {
    /// Reads a part; fewer bytes than asked for mean the end as of now.
    async fn read(&self, site: &Site, offset: i64) -> Result<Vec<u8>, PageError> {
        let args = vec![self.task_id.into(), self.name.as_str().into()];
        let mut part = map! { "offset" => offset, "size" => CHUNK };
        if let Some(volume) = &self.volume {
            part.insert("volume", volume);
        }
        match site.call("downloadTaskOutput", args, part).await? {
            Value::Str(text) => Ok(STANDARD.decode(text).unwrap_or_default()),
            _ => Ok(Vec::new()),
        }
    }

    async fn running(&self, site: &Site) -> Result<bool, PageError> {
        let task = site.call("getTaskInfo", vec![self.task_id.into()], Map::new()).await?;
        Ok(matches!(task.get("state").as_int(), Some(0 | 1 | 4)))
    }
}

/// A whole output file, streamed.
pub(crate) async fn file(
    State(site): State<Site>,
    Asked(output): Asked<Output>,
) -> Result<Response, PageError> {
    let first = output.read(&site, 0).await?;
    let kind = if output.name.ends_with(".log") || output.name.ends_with(".txt") {
        "text/plain; charset=utf-8"
    } else {
        "application/octet-stream"
    };
    let start = (site, output, Some(first), 0i64);
    let body = futures::stream::unfold(start, |(site, output, part, offset)| async move {
        let part = part?;
        let offset = offset + part.len() as i64;
        let next = if (part.len() as i64) < CHUNK {
            None
        } else {
            output.read(&site, offset).await.ok().filter(|p| !p.is_empty())
        };
        Some((Ok::<_, Infallible>(part), (site, output, next, offset)))
    });
    let headers = [(header::CONTENT_TYPE, kind), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    Ok((headers, axum::body::Body::from_stream(body)).into_response())
}

/// The page of a log, or (asked for as an event stream) its bytes as they are written.
pub(crate) async fn log(
    State(site): State<Site>,
    Asked(output): Asked<Output>,
    headers: axum::http::HeaderMap,
) -> Result<Response, PageError> {
    let accepts = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/event-stream") {
        let draining = site.backend.draining();
        let last = headers.get("last-event-id").and_then(|v| v.to_str().ok()?.parse().ok());
        let offset = last.or(output.offset).unwrap_or(0).max(0);
        let stream = tail(site, output, offset).take_until(draining);
        return Ok(Sse::new(stream).keep_alive(KeepAlive::default()).into_response());
    }
    let task = site.call("getTaskInfo", vec![output.task_id.into()], Map::new()).await?;
    if task.is_nil() {
        return Err(PageError::NotFound(format!("There is no task {}.", output.task_id)));
    }
    let title = format!("{} of task {}", output.name, output.task_id);
    let mut file = format!("taskID={}&name={}", output.task_id, query(&output.name));
    if let Some(volume) = &output.volume {
        file.push_str(&format!("&volume={}", query(volume)));
    }
    site.page("log.html", context! { title, task_id => output.task_id, name => output.name, file })
}

/// The growing log: `data` events with the next byte offset as id, and `end` when the task is
/// over and everything was sent.
fn tail(
    site: Site,
    output: Output,
    offset: i64,
) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    enum Step {
        Go { waiter: Box<dyn Waiter>, offset: i64 },
        End,
    }
    let waiter = site.backend.watch_task(output.task_id);
    let start = (site, output, Step::Go { waiter, offset });
    futures::stream::unfold(start, |(site, output, step)| async move {
        let Step::Go { mut waiter, offset } = step else { return None };
        loop {
            // The state is asked for before the file is read: what was written before the end of
            // the task is then certainly seen.
            let running = output.running(&site).await.unwrap_or(false);
            let mut part = output.read(&site, offset).await.unwrap_or_default();
            // The rest of a letter comes with the next part.
            if running || part.len() as i64 == CHUNK {
                part.truncate(whole_letters(&part));
            }
            if !part.is_empty() {
                let offset = offset + part.len() as i64;
                let text = String::from_utf8_lossy(&part).replace("\r\n", "\n").replace('\r', "\n");
                let event = Event::default().id(offset.to_string()).data(text);
                return Some((Ok(event), (site, output, Step::Go { waiter, offset })));
            }
            if !running {
                // Browsers pass over an event without data.
                let end = Event::default().event("end").data("end");
                return Some((Ok(end), (site, output, Step::End)));
            }
            tokio::select! {
                () = waiter.wait() => {}
                () = tokio::time::sleep(FALLBACK) => {}
            }
        }
    })
}

/// The length of the bytes without the beginning of a letter of UTF-8 at their end.
fn whole_letters(bytes: &[u8]) -> usize {
    // What follows the last good letter is at most three bytes; what is no beginning of a letter is no text anyway.
    let rest = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    match std::str::from_utf8(rest) {
        Err(error) if error.error_len().is_none() => bytes.len() - rest.len(),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::whole_letters;

    #[test]
    fn letters_are_not_cut() {
        for (bytes, whole) in [
            (&b""[..], 0),
            (b"plain", 5),
            ("gr\u{fc}n".as_bytes(), 5),
            (b"gr\xc3", 2),
            (b"\xe2\x82", 0),
            (b"a\xf0\x9f\x98", 1),
            // No letter begins like this, so nothing is waited for.
            (b"a\xff", 2),
            (b"a\xc3b", 3),
            (b"\xa4", 1),
        ] {
            assert_eq!(whole_letters(bytes), whole, "{bytes:?}");
        }
    }
}
