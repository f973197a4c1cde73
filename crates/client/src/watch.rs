//! What happens on a hub, as it happens: its own stream of events, or looking again where there is none.

mod sse;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use toji_types::TaskState;
use toji_value::{Map, Value};

use crate::transport::{check, transport};
use crate::{Client, Error, Event, Task, args};
use sse::Lines;

/// How long a stream may be silent: the hub sends a comment every 15 seconds.
const SILENT: Duration = Duration::from_secs(60);
/// How often tasks are looked at although the hub tells of changes.
const SLOW: Duration = Duration::from_secs(300);
/// How many tasks are looked at with one request.
const BATCH: usize = 500;

/// Which events to hear of.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Kinds such as `build.state`; `task.*` takes a family. None are all.
    pub kinds: Vec<String>,
    /// Kinds of objects such as `task` or `repo`. None are all.
    pub objects: Vec<String>,
    /// Objects such as `task:12`. None are all.
    pub keys: Vec<String>,
    /// Tags by name or number. None are all.
    pub tags: Vec<String>,
    /// Packages by name. None are all.
    pub packages: Vec<String>,
    /// Users, by name or number, whose tasks and builds these are. None are all.
    pub owners: Vec<String>,
    /// Tasks, each with all below it, and the builds and repositories that they bring about. None are all.
    pub tasks: Vec<i64>,
    /// The number of the last event that is known; what came after it is told first. Without one the stream begins now.
    pub after: Option<i64>,
}

/// An event with its place in the hub's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbered {
    /// The number; it grows, and [`Wanted::after`] takes it.
    pub number: i64,
    /// The object it happened to, such as `task:12`.
    pub key: String,
    /// What happened.
    pub event: Event,
}

/// A stream of events or tasks.
pub type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Error>> + Send>>;

impl Client {
    /// The hub's events, from a Toji hub. A connection that breaks is made again where it broke, so that nothing is lost.
    ///
    /// # Errors
    /// The stream ends with [`Error::EventsGone`] when what came after [`Wanted::after`] is not kept any more: look at
    /// everything anew then, and go on from the newest number. It ends with [`Error::Status`] 404 at a hub that has no events, as Koji's: there [`Client::watch_tasks`] looks
    /// again and again.
    pub fn events(&self, wanted: Wanted) -> Events<Numbered> {
        self.follow(wanted, Arc::default())
    }

    /// The events, and whether the connection stands.
    fn follow(&self, wanted: Wanted, open: Arc<AtomicBool>) -> Events<Numbered> {
        let client = self.clone();
        let state = Following { client, wanted, body: None, open, failures: 0 };
        futures::stream::unfold(Some(state), |state| async move {
            let mut state = state?;
            match state.next().await {
                Ok(event) => Some((Ok(event), Some(state))),
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }

    /// Tasks as they are now and after each change of their state, until all are finished. The stream ends then.
    ///
    /// A Toji hub tells of changes; others are asked every [`crate::Options::poll_interval`].
    pub fn watch_tasks(&self, ids: &[i64]) -> Events<Task> {
        // A URL has its limits; whoever watches very many tasks hears of all.
        let few = if ids.len() > 100 { &[] } else { ids };
        let keys = few.iter().map(|id| format!("task:{id}")).collect();
        let wanted = Wanted { kinds: vec!["task.state".to_owned()], keys, ..Wanted::default() };
        let open = Arc::<AtomicBool>::default();
        let state = Watching {
            client: self.clone(),
            open: open.clone(),
            told_of: false,
            // A URL has its limits; whoever watches very many tasks hears of all.
            changes: Some(self.follow(wanted, open)),
            left: ids.iter().map(|id| (*id, None)).collect(),
            told: VecDeque::new(),
            looked: false,
        };
        futures::stream::unfold(Some(state), |state| async move {
            let mut state = state?;
            match state.next().await {
                Ok(Some(task)) => Some((Ok(task), Some(state))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }

    /// Waits until a task is finished and returns it.
    ///
    /// # Errors
    /// [`Error::Answer`] when there is no such task.
    pub async fn wait_task(&self, id: i64) -> Result<Task, Error> {
        let mut last = None;
        let mut changes = self.watch_tasks(&[id]);
        while let Some(task) = changes.next().await {
            last = Some(task?);
        }
        last.ok_or_else(|| crate::object::unexpected("getTaskInfo", "no such task"))
    }
}

/// A stream of events that is open, or opened again.
struct Following {
    client: Client,
    wanted: Wanted,
    body: Option<(Body, Lines)>,
    open: Arc<AtomicBool>,
    failures: u32,
}

type Body = Pin<Box<dyn Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>;

impl Following {
    async fn next(&mut self) -> Result<Numbered, Error> {
        loop {
            match self.step().await {
                Ok(Some(event)) => {
                    self.failures = 0;
                    self.wanted.after = Some(event.number);
                    return Ok(event);
                }
                Ok(None) => {}
                Err(error) => {
                    self.body = None;
                    self.open.store(false, Ordering::Relaxed);
                    self.failures += 1;
                    let options = self.client.options();
                    if !error.is_transient() || self.failures > options.max_retries {
                        return Err(error);
                    }
                    if self.failures > 1 {
                        tokio::time::sleep(options.retry_interval).await;
                    }
                }
            }
        }
    }

    /// Reads on; nothing when there is no whole event yet.
    async fn step(&mut self) -> Result<Option<Numbered>, Error> {
        let (body, lines) = match &mut self.body {
            Some(open) => open,
            None => {
                let body = self.client.open_events(&self.wanted).await?;
                self.open.store(true, Ordering::Relaxed);
                self.body.insert((body, Lines::default()))
            }
        };
        if let Some(found) = lines.next() {
            let event = read(&found, &self.client)?;
            // What was told before is told again after some failures.
            let new = self.wanted.after.is_none_or(|after| event.number > after);
            return Ok(new.then_some(event));
        }
        // The hub also tells how far it has come when nothing was of interest.
        self.wanted.after = self.wanted.after.max(lines.number());
        let url = &self.client.shared.hub;
        match tokio::time::timeout(SILENT, body.next()).await {
            Ok(Some(Ok(piece))) => {
                lines.feed(&piece).map_err(|()| crate::object::unexpected("events", "too long"))?;
            }
            Ok(Some(Err(error))) => return Err(transport(url, error)),
            // The hub ended the stream, or is gone without a word.
            Ok(None) | Err(_) => {
                return Err(Error::Status { url: url.path().to_owned(), status: 503 });
            }
        }
        Ok(None)
    }
}

impl Client {
    async fn open_events(&self, wanted: &Wanted) -> Result<Body, Error> {
        let mut url = self.shared.hub.clone();
        let base = url.path().trim_end_matches('/').trim_end_matches("/kojihub").to_owned();
        url.set_path(&format!("{base}/api/events"));
        {
            let mut query = url.query_pairs_mut();
            let tasks: Vec<String> = wanted.tasks.iter().map(i64::to_string).collect();
            for (name, list) in [
                ("kinds", &wanted.kinds),
                ("objects", &wanted.objects),
                ("keys", &wanted.keys),
                ("tags", &wanted.tags),
                ("packages", &wanted.packages),
                ("owners", &wanted.owners),
                ("tasks", &tasks),
            ] {
                if !list.is_empty() {
                    query.append_pair(name, &list.join(","));
                }
            }
            if let Some(after) = wanted.after {
                query.append_pair("after", &after.to_string());
            }
        }
        let get = self.shared.http.get(url.clone()).header("Accept", "text/event-stream");
        let response = get.send().await.map_err(|e| transport(&url, e))?;
        if response.status() == reqwest::StatusCode::GONE {
            let text = response.bytes().await.map_err(|e| transport(&url, e))?;
            return Err(gone(&text));
        }
        check(&url, &response)?;
        let kind = response.headers().get("Content-Type").and_then(|kind| kind.to_str().ok());
        if !kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
            // Some page that answers everything.
            return Err(Error::Status { url: url.path().to_owned(), status: 404 });
        }
        Ok(Box::pin(response.bytes_stream()))
    }
}

/// What the hub says about events that it has not kept.
fn gone(text: &[u8]) -> Error {
    let said: serde_json::Value = serde_json::from_slice(text).unwrap_or_default();
    let number = |name: &str| said[name].as_i64().unwrap_or_default();
    Error::EventsGone { after: number("after"), oldest: number("oldest"), newest: number("newest") }
}

fn read(found: &sse::Found, client: &Client) -> Result<Numbered, Error> {
    if found.kind == "gone" {
        return Err(gone(found.data.as_bytes()));
    }
    let wrong = |what: String| Error::Answer { call: "events".to_owned(), what };
    let json: serde_json::Value =
        serde_json::from_str(&found.data).map_err(|e| wrong(e.to_string()))?;
    let key = json["key"].as_str().unwrap_or_default().to_owned();
    let body = json["body"].to_string();
    let event = Event::parse(&found.kind, &Map::new(), body.as_bytes(), client);
    let number = found.id.parse().map_err(|_| wrong("no number".to_owned()))?;
    Ok(Numbered { number, key, event: event.map_err(|e| wrong(e.to_string()))? })
}

/// Tasks that are not finished yet.
struct Watching {
    client: Client,
    /// The hub's events, while it tells them.
    changes: Option<Events<Numbered>>,
    /// Whether it tells them now.
    open: Arc<AtomicBool>,
    /// Whether everything since the last look is told of.
    told_of: bool,
    /// Unfinished tasks with their last known state.
    left: Vec<(i64, Option<TaskState>)>,
    told: VecDeque<Task>,
    looked: bool,
}

impl Watching {
    async fn next(&mut self) -> Result<Option<Task>, Error> {
        loop {
            if let Some(task) = self.told.pop_front() {
                return Ok(Some(task));
            }
            if self.left.is_empty() {
                return Ok(None);
            }
            if self.looked {
                self.wait().await;
            }
            self.look().await?;
            self.looked = true;
        }
    }

    /// Waits for a change, or for the time to look again.
    async fn wait(&mut self) {
        let often = self.client.options().poll_interval;
        let Some(changes) = &mut self.changes else { return tokio::time::sleep(often).await };
        // What happened before the connection stood is seen by looking once more soon.
        let poll = if self.told_of { SLOW.max(often) } else { often };
        match tokio::time::timeout(poll, changes.next()).await {
            Ok(Some(Ok(_))) | Err(_) => {}
            Ok(Some(Err(_)) | None) => self.changes = None,
        }
        self.told_of = self.open.load(Ordering::Relaxed);
    }

    async fn look(&mut self) -> Result<(), Error> {
        let mut calls = self.client.multicall().batch(BATCH);
        for (id, _) in &self.left {
            calls.add("getTaskInfo", args!(*id; "request" => true));
        }
        let answers = calls.strict().await?;
        let mut left = Vec::new();
        for ((id, before), answer) in self.left.drain(..).zip(answers) {
            // A task that is not there will not be.
            let Value::Struct(info) = answer else { continue };
            let task = Task::new(info, &self.client);
            let state = task.state();
            if state != before || state.is_none() {
                self.told.push_back(task);
            }
            if matches!(state, Some(TaskState::Free | TaskState::Open | TaskState::Assigned)) {
                left.push((id, state));
            }
        }
        self.left = left;
        Ok(())
    }
}

pub(crate) fn fuzz(data: &[u8]) {
    let read = |size: usize| {
        let mut lines = Lines::default();
        let fed = data.chunks(size).all(|piece| lines.feed(piece).is_ok());
        (fed, std::iter::from_fn(|| lines.next()).collect::<Vec<_>>())
    };
    assert_eq!(read(7), read(data.len().max(1)));
}
