//! Tasks and all below them, as they change.

use std::collections::{BTreeSet, HashMap, VecDeque};

use futures::StreamExt as _;
use toji_types::TaskState;
use toji_value::{Map, Value};

use super::news::{News, Woken};
use super::{Events, Source, Wanted, stream};
use crate::{Client, Error, Event, Task, args};

/// How many tasks are looked at with one request.
const BATCH: usize = 500;
/// How many tasks a filter names: a URL has its limits, and whoever watches more hears of all.
const NAMED: usize = 100;
/// How deep tasks are below each other at most.
const DEEP: usize = 100;

/// A task that is seen for the first time, or in another state.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TaskChange {
    /// The task as it is now, with its request.
    pub task: Task,
    /// The state in which it was seen before; nothing for the first time.
    pub before: Option<TaskState>,
    /// How far it is below the task that is watched, which is at 0.
    pub level: usize,
}

impl Client {
    /// Tasks as they are now and after each change of their state, until all are finished. The stream ends then; tasks that do not exist are left out.
    ///
    /// A Toji hub tells of changes; others are asked every [`crate::Options::poll_interval`], more often after a change.
    pub fn watch_tasks(&self, ids: &[i64]) -> Events<Task> {
        self.watch(ids, false).map(|change| change.map(|change| change.task)).boxed()
    }

    /// Tasks and all below them, each as it is now and after each change of its state, until all are finished. The stream ends then.
    ///
    /// However many tasks there are, a Toji hub tells of them by one stream; others are asked by one request every
    /// [`crate::Options::poll_interval`], more often after a change.
    ///
    /// ```no_run
    /// # async fn example(hub: toji_client::Client) -> Result<(), toji_client::Error> {
    /// use futures::StreamExt as _;
    ///
    /// let mut changes = hub.watch_trees(&[4711, 4712]);
    /// while let Some(change) = changes.next().await {
    ///     let change = change?;
    ///     println!("{:indent$}{} {:?}", "", change.task.label(), change.task.state(), indent = 2 * change.level);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NoTask`] when one of `ids` does not exist.
    pub fn watch_trees(&self, ids: &[i64]) -> Events<TaskChange> {
        self.watch(ids, true)
    }

    fn watch(&self, ids: &[i64], below: bool) -> Events<TaskChange> {
        let mut wanted = Wanted { kinds: vec!["task.state".to_owned()], ..Wanted::default() };
        match (ids.len() > NAMED, below) {
            (true, _) => {}
            (false, true) => wanted.tasks = ids.to_vec(),
            (false, false) => wanted.keys = ids.iter().map(|id| format!("task:{id}")).collect(),
        }
        let state = Watching {
            client: self.clone(),
            news: News::new(self, wanted),
            below,
            roots: ids.to_vec(),
            known: HashMap::new(),
            told: VecDeque::new(),
            looked: false,
        };
        stream(state)
    }

    /// Waits until a task is finished and returns it.
    ///
    /// # Errors
    /// [`Error::NoTask`] when there is no such task.
    pub async fn wait_task(&self, id: i64) -> Result<Task, Error> {
        let mut last = None;
        let mut changes = self.watch_tasks(&[id]);
        while let Some(task) = changes.next().await {
            last = Some(task?);
        }
        last.ok_or(Error::NoTask(id))
    }
}

impl Task {
    /// Waits until the task is finished, and returns it as it is then: see [`Client::wait_task`].
    pub async fn wait(&self) -> Result<Task, Error> {
        self.client().wait_task(self.number()?).await
    }

    /// The task and all below it, as they change: see [`Client::watch_trees`].
    pub fn watch(&self) -> Events<TaskChange> {
        match self.number() {
            Ok(id) => self.client().watch_trees(&[id]),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        }
    }

    pub(super) fn number(&self) -> Result<i64, Error> {
        self.id().ok_or_else(|| crate::object::unexpected("getTaskInfo", "a task without a number"))
    }
}

/// A task that was seen.
struct Known {
    level: usize,
    root: i64,
    state: Option<TaskState>,
}

impl Known {
    fn finished(&self) -> bool {
        self.state.is_some_and(TaskState::is_finished)
    }
}

struct Watching {
    client: Client,
    news: News,
    below: bool,
    /// What is watched, but for what does not exist.
    roots: Vec<i64>,
    known: HashMap<i64, Known>,
    told: VecDeque<TaskChange>,
    looked: bool,
}

impl Source for Watching {
    type Item = TaskChange;

    async fn next(&mut self) -> Result<Option<TaskChange>, Error> {
        loop {
            if let Some(change) = self.told.pop_front() {
                return Ok(Some(change));
            }
            if self.looked && self.known.values().all(Known::finished) || self.roots.is_empty() {
                return Ok(None);
            }
            match self.news.next().await {
                Woken::Look => self.look().await?,
                Woken::Event(event) => {
                    let mut changed = BTreeSet::new();
                    self.note(&event.event, &mut changed);
                    // Whatever has come meanwhile is asked for with the same request.
                    while changed.len() < BATCH
                        && let Some(event) = self.news.ready()
                    {
                        self.note(&event.event, &mut changed);
                    }
                    self.ask(&changed).await?;
                }
            }
            if !self.told.is_empty() {
                self.news.quicken();
            }
        }
    }
}

impl Watching {
    /// Notes whom an event concerns, if that is of interest.
    fn note(&self, event: &Event, changed: &mut BTreeSet<i64>) {
        let Event::TaskState { task, .. } = event else { return };
        let Some(id) = task.id() else { return };
        let of_interest = match self.known.get(&id) {
            Some(known) => !known.finished(),
            None => {
                let parent = task.parent_id();
                let below = |id: i64| self.known.contains_key(&id) || changed.contains(&id);
                self.below && parent.is_some_and(below)
            }
        };
        if of_interest {
            changed.insert(id);
        }
    }

    /// Asks for tasks that have changed.
    async fn ask(&mut self, changed: &BTreeSet<i64>) -> Result<(), Error> {
        if changed.is_empty() {
            return Ok(());
        }
        let mut calls = self.client.multicall().batch(BATCH);
        for id in changed {
            calls.add("getTaskInfo", args!(*id; "request" => true));
        }
        for answer in calls.strict().await? {
            // A parent has the smaller number, so it is known before what is below it.
            if let Value::Struct(info) = answer {
                self.saw_below(info);
            }
        }
        Ok(())
    }

    /// Asks for everything that is not finished.
    async fn look(&mut self) -> Result<(), Error> {
        let open: BTreeSet<i64> =
            self.known.values().filter(|known| !known.finished()).map(|known| known.root).collect();
        let roots: Vec<i64> = match self.looked {
            true => self.roots.iter().copied().filter(|root| open.contains(root)).collect(),
            false => self.roots.clone(),
        };
        let mut calls = self.client.multicall().batch(BATCH);
        for root in &roots {
            calls.add("getTaskInfo", args!(*root; "request" => true));
            if self.below {
                calls.add("getTaskDescendents", args!(*root; "request" => true));
            }
        }
        let mut answers = calls.send().await?.into_iter();
        for root in roots {
            match answers.next().transpose()? {
                Some(Value::Struct(info)) => self.saw(info, root, 0),
                _ if self.below => return Err(Error::NoTask(root)),
                _ => {
                    // A task that is not there will not be.
                    self.roots.retain(|other| *other != root);
                    self.known.remove(&root);
                }
            }
            if self.below
                && let Some(Value::Struct(families)) = answers.next().transpose()?
            {
                self.family(&families, root, root, 1, &mut BTreeSet::from([root]));
            }
        }
        self.looked = true;
        Ok(())
    }

    /// The tasks below a task: each is in the list of its parent, and has a list of its own.
    fn family(
        &mut self,
        families: &Map,
        root: i64,
        parent: i64,
        level: usize,
        seen: &mut BTreeSet<i64>,
    ) {
        let Value::Array(children) = families.value(&parent.to_string()) else { return };
        let mut children: Vec<&Map> = children.iter().filter_map(Value::as_struct).collect();
        children.sort_by_key(|child| child.int("id"));
        for child in children {
            let Some(id) = child.int("id") else { continue };
            if level < DEEP && seen.insert(id) {
                self.saw(child.clone(), root, level);
                self.family(families, root, id, level + 1, seen);
            }
        }
    }

    /// Takes note of a task that is watched or below one.
    fn saw_below(&mut self, info: Map) {
        let own = info.int("id").and_then(|id| self.known.get(&id));
        let place = match own {
            Some(known) => Some((known.root, known.level)),
            None => {
                let parent = info.int("parent").and_then(|parent| self.known.get(&parent));
                parent.map(|parent| (parent.root, parent.level + 1))
            }
        };
        if let Some((root, level)) = place {
            self.saw(info, root, level);
        }
    }

    fn saw(&mut self, info: Map, root: i64, level: usize) {
        let task = Task::new(info, &self.client);
        let (Some(id), state) = (task.id(), task.state()) else { return };
        let before = self.known.get(&id);
        if before.is_some_and(|before| before.state == state) {
            return;
        }
        let before = before.and_then(|known| known.state);
        self.known.insert(id, Known { level, root, state });
        self.told.push_back(TaskChange { task, before, level });
    }
}
