//! Logs of a hub that must be asked again and again.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use toji_types::TaskState;
use toji_value::Value;

use super::{LogPiece, Logs, Places};
use crate::watch::Source;
use crate::watch::news::News;
use crate::{Client, Error, args};

/// Bytes that are asked for at a time.
const PIECE: i64 = 1 << 18;
/// Calls in one request at most: what they answer is held in memory.
const BATCH: usize = 32;

/// Follows the logs of some tasks by asking for what is new.
pub(super) struct Asked {
    client: Client,
    wanted: Logs,
    /// The tasks that may write more, or have not been looked at since their end.
    open: Vec<i64>,
    places: BTreeMap<i64, Places>,
    told: VecDeque<LogPiece>,
    /// Logs that have more than was asked for.
    more: VecDeque<(i64, (String, String))>,
    pause: Option<News>,
}

impl Source for Asked {
    type Item = LogPiece;

    async fn next(&mut self) -> Result<Option<LogPiece>, Error> {
        loop {
            if let Some(piece) = self.told.pop_front() {
                return Ok(Some(piece));
            }
            if !self.more.is_empty() {
                self.fetch().await?;
                continue;
            }
            if self.open.is_empty() {
                return Ok(None);
            }
            // The first look is at once.
            match &mut self.pause {
                Some(pause) => drop(pause.next().await),
                None => self.pause = Some(News::clock(&self.client)),
            }
            self.look().await?;
        }
    }
}

impl Asked {
    pub(super) fn new(client: Client, tasks: &[i64], wanted: Logs) -> Asked {
        let places = tasks.iter().map(|task| (*task, Places::new())).collect();
        let (told, more) = (VecDeque::new(), VecDeque::new());
        Asked { client, wanted, open: tasks.to_vec(), places, told, more, pause: None }
    }

    /// Finds out which tasks run, and which logs have grown.
    async fn look(&mut self) -> Result<(), Error> {
        let mut calls = self.client.multicall().batch(500);
        for task in &self.open {
            calls.add("getTaskInfo", (*task,));
            calls.add("listTaskOutput", args!(*task; "stat" => true, "all_volumes" => true));
            if self.wanted.below {
                calls.add("getTaskChildren", (*task,));
            }
        }
        let mut answers = calls.strict().await?.into_iter();
        let mut open = Vec::new();
        for task in std::mem::take(&mut self.open) {
            let info = answers.next().unwrap_or_default();
            if info.is_nil() {
                return Err(Error::NoTask(task));
            }
            let state = info.get("state").as_int().and_then(|s| TaskState::try_from(s).ok());
            if !self.wanted.once && !state.is_some_and(TaskState::is_finished) {
                open.push(task);
            }
            self.grown(task, &answers.next().unwrap_or_default());
            if self.wanted.below {
                let children = answers.next().unwrap_or_default();
                for child in children.as_array().unwrap_or_default() {
                    let id = child.get("id").as_int();
                    if let Some(id) = id.filter(|id| !self.places.contains_key(id)) {
                        self.places.insert(id, Places::new());
                        open.push(id);
                    }
                }
            }
        }
        self.open = open;
        if let Some(pause) = self.pause.as_mut().filter(|_| !self.more.is_empty()) {
            pause.quicken();
        }
        Ok(())
    }

    /// Notes which of a task's logs have more than was read; the sizes are texts.
    fn grown(&mut self, task: i64, files: &Value) {
        let places = self.places.entry(task).or_default();
        for (name, volumes) in files.as_struct().into_iter().flat_map(|files| files.iter()) {
            for (volume, stat) in volumes.as_struct().into_iter().flat_map(|map| map.iter()) {
                if !self.wanted.takes(name) {
                    continue;
                }
                let size = stat.get("st_size");
                let size = size.as_str().and_then(|size| size.parse().ok()).or(size.as_int());
                let size = size.and_then(|size: i64| u64::try_from(size).ok()).unwrap_or_default();
                let log = (name.to_owned(), volume.to_owned());
                let (_, offset) = places.entry(log.clone()).or_insert((0, 0));
                if size < *offset {
                    // It was begun anew.
                    *offset = 0;
                }
                if size > *offset {
                    self.more.push_back((task, log));
                }
            }
        }
    }

    /// Fetches a piece of some logs that have more.
    async fn fetch(&mut self) -> Result<(), Error> {
        let asked: Vec<_> = self.more.drain(..self.more.len().min(BATCH)).collect();
        let offset = |task: &i64, log: &(String, String)| {
            let place = self.places.get(task).and_then(|places| places.get(log));
            place.map_or(0, |(_, offset)| *offset)
        };
        let mut calls = self.client.multicall();
        for (task, log) in &asked {
            let (name, volume) = (log.0.as_str(), log.1.as_str());
            // As text, because it may be more than an XML-RPC integer holds.
            let offset = offset(task, log).to_string();
            calls.add("downloadTaskOutput", args!(*task, name, offset, PIECE, volume));
        }
        for ((task, log), answer) in asked.into_iter().zip(calls.send().await?) {
            // A file that is gone meanwhile is no reason to stop reading the others.
            let Ok(answer) = answer else { continue };
            let data = match answer {
                Value::Bytes(data) => data,
                Value::Str(text) => STANDARD
                    .decode(text.split_whitespace().collect::<String>())
                    .map_err(|_| crate::object::unexpected("downloadTaskOutput", "no base64"))?,
                _ => return Err(crate::object::unexpected("downloadTaskOutput", "no data")),
            };
            let places = self.places.entry(task).or_default();
            let (_, offset) = places.entry(log.clone()).or_insert((0, 0));
            let at = *offset;
            *offset += data.len() as u64;
            if data.len() as i64 >= PIECE {
                self.more.push_back((task, log.clone()));
            }
            if !data.is_empty() {
                let (log, volume) = log;
                self.told.push_back(LogPiece { task, log, volume, offset: at, data: data.into() });
            }
        }
        Ok(())
    }

    /// Reads on where a stream has ended, once.
    pub(super) fn rest(client: &Client, task: i64, wanted: &Logs, places: Places) -> Asked {
        let mut own = Asked::new(client.clone(), &[task], wanted.clone());
        own.wanted.below = false;
        own.places.insert(task, places);
        own
    }
}
