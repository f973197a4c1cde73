//! Logs of tasks, as they grow.

mod asked;
mod streamed;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::SelectAll;

use self::asked::Asked;
use super::{Events, Source, TaskChange, stream};
use crate::{Client, Error, Task};

/// Which logs to follow.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    /// Only the log of this name; else all files whose names end with `log`.
    pub log: Option<String>,
    /// Those of tasks below, too.
    pub below: bool,
    /// Only what is there now; nothing is waited for.
    pub once: bool,
}

impl Logs {
    fn takes(&self, name: &str) -> bool {
        match &self.log {
            Some(log) => log == name,
            None => name.ends_with("log"),
        }
    }
}

/// The next bytes of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogPiece {
    /// The task.
    pub task: i64,
    /// The name of the log.
    pub log: String,
    /// The volume it is on.
    pub volume: String,
    /// Where the piece begins, in bytes. A log of which a piece comes at 0 again was begun anew, with its task.
    pub offset: u64,
    /// The bytes.
    pub data: Bytes,
}

/// How far each log of a task was read, by name and volume: run and offset.
type Places = BTreeMap<(String, String), (u32, u64)>;

impl Client {
    /// The logs of tasks from their beginnings, and what is added to them, until the tasks have ended.
    ///
    /// A Toji hub sends what is added; others are asked every [`crate::Options::poll_interval`], with one request for all
    /// tasks, and send what is new.
    ///
    /// ```no_run
    /// # async fn example(hub: toji_client::Client) -> Result<(), toji_client::Error> {
    /// use futures::StreamExt as _;
    /// use toji_client::Logs;
    ///
    /// let wanted = Logs { log: Some("build.log".to_owned()), below: true, ..Logs::default() };
    /// let mut pieces = hub.follow_logs(&[4711], wanted);
    /// while let Some(piece) = pieces.next().await {
    ///     print!("{}", String::from_utf8_lossy(&piece?.data));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NoTask`] when a task does not exist.
    pub fn follow_logs(&self, tasks: &[i64], wanted: Logs) -> Events<LogPiece> {
        let tasks: BTreeSet<i64> = tasks.iter().copied().collect();
        let state = State::New { client: self.clone(), tasks: tasks.into_iter().collect(), wanted };
        stream(state)
    }
}

impl Task {
    /// The task's logs, as they grow: see [`Client::follow_logs`].
    pub fn follow_logs(&self, wanted: Logs) -> Events<LogPiece> {
        match self.number() {
            Ok(id) => self.client().follow_logs(&[id], wanted),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        }
    }
}

enum State {
    New {
        client: Client,
        tasks: Vec<i64>,
        wanted: Logs,
    },
    /// The hub is asked for all of them.
    Asked(Box<Asked>),
    /// The hub sends each task's.
    Streamed(Box<Streamed>),
}

/// Streams of a hub that sends.
struct Streamed {
    client: Client,
    wanted: Logs,
    pieces: SelectAll<Events<LogPiece>>,
    known: BTreeSet<i64>,
    /// What tells of further tasks.
    tree: Option<Events<TaskChange>>,
}

impl Source for State {
    type Item = LogPiece;

    async fn next(&mut self) -> Result<Option<LogPiece>, Error> {
        if let State::New { client, tasks, wanted } = self {
            let Some(first) = tasks.first() else { return Ok(None) };
            *self = if !wanted.once && streamed::is_offered(client, *first).await? {
                State::Streamed(Box::new(Streamed::new(client.clone(), tasks, wanted.clone())))
            } else {
                State::Asked(Box::new(Asked::new(client.clone(), tasks, wanted.clone())))
            };
        }
        match self {
            State::Asked(asked) => asked.next().await,
            State::Streamed(streamed) => streamed.next().await,
            State::New { .. } => Ok(None),
        }
    }
}

impl Streamed {
    fn new(client: Client, tasks: &[i64], wanted: Logs) -> Streamed {
        let tree = wanted.below.then(|| client.watch_trees(tasks));
        let mut own =
            Streamed { client, wanted, pieces: SelectAll::new(), known: BTreeSet::new(), tree };
        tasks.iter().for_each(|task| own.begin(*task));
        own
    }

    fn begin(&mut self, task: i64) {
        if self.known.insert(task) {
            self.pieces.push(streamed::follow(&self.client, task, &self.wanted));
        }
    }

    async fn next(&mut self) -> Result<Option<LogPiece>, Error> {
        loop {
            let Some(tree) = &mut self.tree else { return self.pieces.next().await.transpose() };
            tokio::select! {
                biased;
                change = tree.next() => match change {
                    Some(change) => {
                        let id = change?.task.id();
                        id.into_iter().for_each(|id| self.begin(id));
                    }
                    None => self.tree = None,
                },
                Some(piece) = self.pieces.next() => return piece.map(Some),
            }
        }
    }
}
