//! Events of a hub that does not tell them: looked for with one request again and again.

mod builds;
mod filter;
mod history;
mod repos;
mod tasks;

use std::collections::VecDeque;

use toji_value::{Fault, Map, Value, map};

use self::builds::Builds;
use self::filter::{Filter, Of};
use self::history::History;
use self::repos::Repos;
use self::tasks::Tasks;
use super::news::News;
use super::{Numbered, Source, Wanted};
use crate::{Client, Error, Event, Multicall, args};

/// How late a hub may show what happened, in its own seconds: what a transaction writes has the time of its beginning, and
/// is seen after its end. So much is looked at again each time.
const LATE: f64 = 120.0;
/// How many events before the first look may still be on their way.
const BEFORE: i64 = 100;

/// What one look found.
struct Found {
    kind: &'static str,
    key: String,
    /// Koji's event number, where it has one.
    number: Option<i64>,
    /// As Toji tells it.
    body: Map,
}

/// Where a look stands in the hub's time.
#[derive(Clone, Copy)]
struct Look {
    /// What happened up to this event was seen.
    event: i64,
    /// What happened up to this time was seen, in seconds since 1970.
    time: f64,
    /// Only what is newer than this time is told of what is seen for the first time.
    since: f64,
}

pub(super) struct Polled {
    client: Client,
    wanted: Wanted,
    news: News,
    state: Option<State>,
    found: VecDeque<Numbered>,
    /// The largest number that was told.
    told: i64,
}

/// What is known after the first request.
struct State {
    look: Look,
    /// The newest event at earlier looks, with its time.
    marks: VecDeque<(f64, i64)>,
    /// The latest time that the hub has told.
    clock: f64,
    history: Option<History>,
    tasks: Option<Tasks>,
    builds: Option<Builds>,
    repos: Option<Repos>,
    filter: Filter,
    first: bool,
}

impl Source for Polled {
    type Item = Numbered;

    async fn next(&mut self) -> Result<Option<Numbered>, Error> {
        loop {
            if let Some(found) = self.found.pop_front() {
                return Ok(Some(found));
            }
            match &self.state {
                None => self.state = Some(begin(&self.client, &self.wanted).await?),
                Some(state) if state.is_done() => return std::future::pending().await,
                Some(_) => drop(self.news.next().await),
            }
            let Some(state) = &mut self.state else { continue };
            for found in state.look(&self.client).await? {
                let wrong = |what: String| Error::Answer { call: found.kind.to_owned(), what };
                let event = Event::own(found.kind, found.body, &self.client)
                    .map_err(|e| wrong(e.to_string()))?;
                self.told = self.told.max(found.number.unwrap_or_default());
                self.found.push_back(Numbered { number: self.told, key: found.key, event });
            }
            if !self.found.is_empty() {
                self.news.quicken();
            }
        }
    }
}

impl Polled {
    pub(super) fn new(client: &Client, wanted: &Wanted) -> Polled {
        Polled {
            client: client.clone(),
            wanted: wanted.clone(),
            news: News::clock(client),
            state: None,
            found: VecDeque::new(),
            told: wanted.after.unwrap_or_default(),
        }
    }
}

/// Asks where the hub stands, and whom the filter names.
async fn begin(client: &Client, wanted: &Wanted) -> Result<State, Error> {
    filter::check(wanted)?;
    let mut calls = client.multicall();
    calls.add("getLastEvent", ());
    calls.add("listTasks", args!(Map::new(), map! { "order" => "-id", "limit" => 1 }));
    for owner in &wanted.owners {
        calls.add("getUser", (named(owner),));
    }
    for tag in &wanted.tags {
        calls.add("getTag", (named(tag),));
    }
    let repos = filter::looks_at(wanted, Of::Repos);
    if repos {
        Repos::probe(&mut calls);
    }
    let after = wanted.after.filter(|after| *after > 0);
    if let Some(after) = after {
        calls.add("getEvent", (after,));
    }
    let mut answers = Answers::of(calls).await?;
    let (newest, time) = last_event(answers.one()?)?;
    let tasks = answers.rows()?;
    let clock = tasks.iter().map(tasks::latest).fold(time, f64::max);
    let mut owners = Vec::new();
    for owner in &wanted.owners {
        let id = answers.one()?.get("id").as_int();
        owners.push(id.ok_or_else(|| Error::NotTold(format!("no such user: {owner}")))?);
    }
    let mut tags = Vec::new();
    for _ in &wanted.tags {
        // A tag may be made later.
        let tag = answers.one().unwrap_or_default();
        if let (Some(id), Some(name)) = (tag.get("id").as_int(), tag.get("name").as_str()) {
            tags.push((id, name.to_owned()));
        }
    }
    let old = repos && answers.one().is_err();
    let mut look =
        Look { event: (newest - BEFORE).max(0), time: clock - LATE, since: f64::INFINITY };
    if let Some(number) = wanted.after {
        if number > newest {
            return Err(Error::EventsGone { after: number, oldest: 1, newest });
        }
        // Before the first event there is nothing.
        let since = match after {
            Some(_) => answers.one()?.get("ts").as_f64().unwrap_or(clock),
            None => 0.0,
        };
        look = Look { event: number, time: since - LATE, since };
    }
    let filter = Filter::new(wanted, owners);
    Ok(State {
        look,
        marks: VecDeque::new(),
        clock,
        history: History::new(wanted),
        tasks: Tasks::new(wanted, &filter),
        builds: filter::looks_at(wanted, Of::Builds).then(Builds::default),
        repos: repos.then(|| Repos::new(&wanted.tags, tags, old)),
        filter,
        first: true,
    })
}

impl State {
    /// Whether nothing that is watched can change any more.
    fn is_done(&self) -> bool {
        let tasks = self.tasks.as_ref().is_none_or(Tasks::is_done);
        tasks && self.history.is_none() && self.builds.is_none() && self.repos.is_none()
    }

    /// Looks once, and returns what is new in the order in which it happened as far as that can be known.
    async fn look(&mut self, client: &Client) -> Result<Vec<Found>, Error> {
        let look = self.look;
        let mut calls = client.multicall();
        // First where the hub stands: what follows is at least as new.
        calls.add("getLastEvent", ());
        if let Some(history) = &self.history {
            history.ask(&mut calls, &look);
        }
        if let Some(builds) = &self.builds {
            builds.ask(&mut calls, &look);
        }
        if let Some(repos) = &self.repos {
            repos.ask(&mut calls);
        }
        // Last the tasks, so that those are known which have made what was seen.
        if let Some(tasks) = &self.tasks {
            tasks.ask(&mut calls, &look);
        }
        let mut answers = Answers::of(calls).await?;
        let (newest, time) = last_event(answers.one()?)?;
        let mut found = Vec::new();
        if let Some(history) = &mut self.history {
            let quiet = self.first && look.since.is_infinite();
            history.read(&mut answers, &look, quiet, &mut found)?;
        }
        if let Some(builds) = &mut self.builds {
            builds.read(&mut answers, &look, self.first, &mut found)?;
        }
        if let Some(repos) = &mut self.repos {
            repos.read(&mut answers, &look, self.first, &mut found)?;
        }
        self.clock = self.clock.max(time);
        if let Some(tasks) = &mut self.tasks {
            let latest = tasks.read(&mut answers, &look, self.first, &mut found)?;
            self.clock = self.clock.max(latest);
            self.filter.tree(tasks.tree());
        }
        self.advance(newest, time);
        for found in &mut found {
            found.number = found.number.or(Some(newest));
        }
        found.retain(|found| self.filter.takes(found));
        found.sort_by_key(|found| found.number);
        Ok(found)
    }

    /// The next look begins where nothing can still be on its way.
    fn advance(&mut self, newest: i64, time: f64) {
        self.first = false;
        self.look.time = self.look.time.max(self.clock - LATE);
        self.marks.push_back((time, newest));
        while let Some((time, event)) = self.marks.front().copied()
            && time <= self.clock - LATE
        {
            self.look.event = self.look.event.max(event);
            self.marks.pop_front();
        }
    }
}

fn last_event(answer: Value) -> Result<(i64, f64), Error> {
    let number = answer.get("id").as_int();
    let wrong = || crate::object::unexpected("getLastEvent", "no number");
    Ok((number.ok_or_else(wrong)?, answer.get("ts").as_f64().unwrap_or_default()))
}

/// A number, or a name.
fn named(text: &str) -> Value {
    text.parse().map_or_else(|_| Value::from(text), Value::Int)
}

/// The answers of a look, one after the other.
struct Answers(std::vec::IntoIter<Result<Value, Fault>>);

impl Answers {
    async fn of(calls: Multicall<'_>) -> Result<Answers, Error> {
        Ok(Answers(calls.send().await?.into_iter()))
    }

    fn one(&mut self) -> Result<Value, Error> {
        let missing = || crate::object::unexpected("multiCall", "too few results");
        Ok(self.0.next().ok_or_else(missing)??)
    }

    /// A list of structs.
    fn rows(&mut self) -> Result<Vec<Map>, Error> {
        Ok(rows(self.one()?))
    }
}

fn rows(value: Value) -> Vec<Map> {
    let Value::Array(rows) = value else { return Vec::new() };
    rows.into_iter()
        .filter_map(|row| match row {
            Value::Struct(row) => Some(row),
            _ => None,
        })
        .collect()
}
