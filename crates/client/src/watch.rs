//! What happens on a hub, as it happens: its own stream of events, or looking again where there is none.

mod logs;
mod news;
mod poll;
mod repo;
mod sse;
mod tree;

use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use toji_value::Map;
use tokio::time::Instant;

pub use self::logs::{LogPiece, Logs};
pub use self::news::{News, Woken};
pub use self::repo::{RepoStep, WaitRepo};
pub use self::tree::TaskChange;
use crate::transport::{check, transport};
use crate::{Client, Error, Event};
use poll::Polled;
use sse::Lines;

/// How long a stream may be silent: the hub sends a comment every 15 seconds.
const SILENT: Duration = Duration::from_secs(60);
/// A connection that has lasted so long counts as one that works.
const STABLE: Duration = Duration::from_secs(10);
/// The shortest pause before a broken connection is made again, but for the first time, which comes at once.
const AGAIN: Duration = Duration::from_millis(250);

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
    /// The number; it grows, and [`Wanted::after`] takes it. At hubs that are asked it may be that of several events.
    pub number: i64,
    /// The object it happened to, such as `task:12`.
    pub key: String,
    /// What happened.
    pub event: Event,
}

/// A stream of what happens.
pub type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Error>> + Send>>;

/// What a reader of events sees of its connection.
enum Told {
    /// The hub tells from now on; `anew` if nothing says what happened before.
    Begun {
        anew: bool,
    },
    /// The connection is lost, and will be made again.
    Broken,
    Event(Box<Numbered>),
}

impl Client {
    /// The hub's events. A connection that breaks is made again where it broke, so that nothing is lost.
    ///
    /// A hub without a stream of events, as Koji's, is asked instead, with one request every
    /// [`crate::Options::poll_interval`] and more often after an event. It tells:
    ///
    /// - `build.tag`, `build.untag`, `package.list` by its history. None is lost, though a transaction that ends two minutes
    ///   after others that are newer. [`Numbered::number`] is Koji's event number, which several events can have.
    /// - `task.state`: of tasks in [`Wanted::tasks`] and [`Wanted::keys`], else of all that are not finished or have ended.
    /// - `build.state` by the times at which builds are begun and ended: nothing of a build that is deleted.
    /// - `repo.init`, `repo.state`, `repo.done` of tags in [`Wanted::tags`]; hubs before Koji 1.35 show the newest only, of
    ///   tags that were there when the stream began, and so nothing of one that expires or fails.
    ///
    /// A state that is left again between two looks is not seen; the one before is none where it was not seen. What Koji does
    /// not number has the number of its newest event: whoever goes on from it may hear of a task, a build or a repository
    /// twice. Other kinds are not told, nor what the filter asks for by something that Koji does not say.
    ///
    /// ```no_run
    /// # async fn example(hub: toji_client::Client) -> Result<(), toji_client::Error> {
    /// use futures::StreamExt as _;
    /// use toji_client::{Event, Wanted};
    ///
    /// let wanted = Wanted { kinds: vec!["build.state".into()], packages: vec!["bash".into()], ..Wanted::default() };
    /// let mut events = hub.events(wanted);
    /// while let Some(event) = events.next().await {
    ///     if let Event::BuildState { build, new, .. } = event?.event {
    ///         println!("{:?} is {new:?}", build.nvr());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// What is tagged into a tag, from a Koji hub as well, and going on where the program was:
    ///
    /// ```no_run
    /// # async fn example(mut last: Option<i64>) -> Result<(), toji_client::Error> {
    /// use futures::StreamExt as _;
    /// use toji_client::{Client, Event, Options, Wanted};
    ///
    /// let hub = Client::new("https://koji.fedoraproject.org/kojihub", Options::default())?;
    /// let kinds = vec!["build.tag".into(), "build.untag".into()];
    /// let wanted = Wanted { kinds, tags: vec!["f43-updates".into()], after: last, ..Wanted::default() };
    /// let mut events = hub.events(wanted);
    /// while let Some(event) = events.next().await.transpose()? {
    ///     match &event.event {
    ///         Event::Tag(tagging) => println!("{:?} by {:?}", tagging.build.nvr(), tagging.user),
    ///         Event::Untag(tagging) => println!("{:?} is out", tagging.build.nvr()),
    ///         _ => {}
    ///     }
    ///     last = Some(event.number);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The stream ends with [`Error::EventsGone`] when what came after [`Wanted::after`] is not kept any more: look at
    /// everything anew then, and go on from the newest number. It ends with [`Error::NotTold`] when nothing of what the filter
    /// takes can be found by asking a hub without a stream.
    pub fn events(&self, wanted: Wanted) -> Events<Numbered> {
        let polled = Polled::new(self, &wanted);
        stream(Either { told: Some(self.follow(wanted)), begun: false, polled })
    }

    /// The events, and what becomes of the connection.
    fn follow(&self, wanted: Wanted) -> Events<Told> {
        let state = Following { client: self.clone(), wanted, body: None, failures: 0 };
        stream(state)
    }
}

/// The hub's own events, or what is found by asking where it has none.
struct Either {
    told: Option<Events<Told>>,
    begun: bool,
    polled: Polled,
}

impl Source for Either {
    type Item = Numbered;

    async fn next(&mut self) -> Result<Option<Numbered>, Error> {
        while let Some(told) = &mut self.told {
            match told.next().await.transpose() {
                Ok(Some(Told::Event(event))) => return Ok(Some(*event)),
                Ok(Some(told)) => self.begun |= matches!(told, Told::Begun { .. }),
                Ok(None) => return Ok(None),
                Err(Error::Status { status: 404, .. }) if !self.begun => self.told = None,
                Err(error) => return Err(error),
            }
        }
        self.polled.next().await
    }
}

/// What gives one thing after the other, until it gives nothing or fails.
trait Source: Send + 'static {
    type Item: Send + 'static;

    fn next(&mut self) -> impl Future<Output = Result<Option<Self::Item>, Error>> + Send;
}

/// A source as a stream.
fn stream<S: Source>(source: S) -> Events<S::Item> {
    futures::stream::unfold(Some(source), |source| async move {
        let mut source = source?;
        match source.next().await {
            Ok(item) => item.map(|item| (Ok(item), Some(source))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

/// A stream of events that is open, or opened again.
struct Following {
    client: Client,
    wanted: Wanted,
    body: Option<Open>,
    failures: u32,
}

/// A connection.
struct Open {
    body: Body,
    lines: Lines,
    since: Instant,
}

type Body = Pin<Box<dyn Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>;

impl Source for Following {
    type Item = Told;

    async fn next(&mut self) -> Result<Option<Told>, Error> {
        loop {
            if self.failures > 1 && self.body.is_none() {
                tokio::time::sleep(pause(self.failures, &self.client)).await;
            }
            match self.step().await {
                Ok(Some(told)) => {
                    if let Told::Event(event) = &told {
                        self.failures = 0;
                        self.wanted.after = Some(event.number);
                    }
                    return Ok(Some(told));
                }
                Ok(None) => {}
                Err(error) => {
                    let stood = self.body.take();
                    if stood.is_some_and(|open| open.since.elapsed() > STABLE) {
                        self.failures = 0;
                    }
                    self.failures += 1;
                    if !error.is_transient() || self.failures > self.client.options().max_retries {
                        return Err(error);
                    }
                    return Ok(Some(Told::Broken));
                }
            }
        }
    }
}

impl Following {
    /// Reads on; nothing when there is no whole event yet.
    async fn step(&mut self) -> Result<Option<Told>, Error> {
        let Some(Open { body, lines, .. }) = &mut self.body else {
            let body = self.client.open_events(&self.wanted).await?;
            self.body = Some(Open { body, lines: Lines::default(), since: Instant::now() });
            return Ok(Some(Told::Begun { anew: self.wanted.after.is_none() }));
        };
        if let Some(found) = lines.next() {
            let event = read(&found, &self.client)?;
            // What was told before is told again after some failures.
            let new = self.wanted.after.is_none_or(|after| event.number > after);
            return Ok(new.then(|| Told::Event(Box::new(event))));
        }
        // The hub also tells how far it has come when nothing was of interest.
        self.wanted.after = self.wanted.after.max(lines.number());
        feed(body, lines, &self.client.shared.hub).await?;
        Ok(None)
    }
}

/// How long to wait after so many failures.
fn pause(failures: u32, client: &Client) -> Duration {
    let longer = AGAIN.saturating_mul(1 << failures.min(16));
    longer.min(client.options().retry_interval)
}

/// Reads the next piece of a stream of events.
async fn feed(body: &mut Body, lines: &mut Lines, url: &reqwest::Url) -> Result<(), Error> {
    match tokio::time::timeout(SILENT, body.next()).await {
        Ok(Some(Ok(piece))) => {
            lines.feed(&piece).map_err(|()| crate::object::unexpected("events", "too long"))
        }
        Ok(Some(Err(error))) => Err(transport(url, error)),
        // The hub ended the stream, or is gone without a word.
        Ok(None) | Err(_) => Err(Error::Status { url: url.path().to_owned(), status: 503 }),
    }
}

impl Client {
    async fn open_events(&self, wanted: &Wanted) -> Result<Body, Error> {
        let mut url = self.beside_hub("api/events");
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
        self.open_stream(&url).await
    }

    /// An address of a Toji hub beside that of its calls.
    fn beside_hub(&self, path: &str) -> reqwest::Url {
        let mut url = self.shared.hub.clone();
        let base = url.path().trim_end_matches('/').trim_end_matches("/kojihub").to_owned();
        url.set_path(&format!("{base}/{path}"));
        url
    }

    /// Opens a stream of server-sent events; [`Error::Status`] 404 where there is none.
    async fn open_stream(&self, url: &reqwest::Url) -> Result<Body, Error> {
        let get = self.shared.http.get(url.clone()).header("Accept", "text/event-stream");
        let answer = tokio::time::timeout(SILENT, get.send()).await;
        let silent = |_| Error::Status { url: url.path().to_owned(), status: 504 };
        let response = answer.map_err(silent)?.map_err(|e| transport(url, e))?;
        if response.status() == reqwest::StatusCode::GONE {
            let text = response.bytes().await.map_err(|e| transport(url, e))?;
            return Err(gone(&text));
        }
        check(url, &response)?;
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

pub(crate) fn fuzz(data: &[u8]) {
    let read = |size: usize| {
        let mut lines = Lines::default();
        let fed = data.chunks(size).all(|piece| lines.feed(piece).is_ok());
        (fed, std::iter::from_fn(|| lines.next()).collect::<Vec<_>>())
    };
    assert_eq!(read(7), read(data.len().max(1)));
}
