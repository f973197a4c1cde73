//! Tasks: those that the filter names, or all that are not finished and those that have ended lately.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use toji_types::TaskState;
use toji_value::{Map, Value, list, map};

use super::filter::{Filter, Of, looks_at};
use super::{Answers, Found, Look, rows};
use crate::watch::Wanted;
use crate::{Error, Multicall};

/// Which tasks are looked at.
enum Which {
    /// These with all below them.
    Trees(Vec<i64>),
    /// These.
    Named(Vec<i64>),
    /// Those of these users, or all.
    All(Vec<i64>),
}

/// A task that was seen.
struct Known {
    state: i64,
    /// The task that is watched above it, or itself.
    root: i64,
}

pub(super) struct Tasks {
    which: Which,
    known: HashMap<i64, Known>,
    /// Whether somebody wants to hear of them, or only of what they make.
    told: bool,
    /// Tasks that were not finished and are in no list any more.
    missing: BTreeSet<i64>,
}

impl Tasks {
    /// Nothing if the filter wants nothing of them.
    pub(super) fn new(wanted: &Wanted, filter: &Filter) -> Option<Tasks> {
        let told = looks_at(wanted, Of::Tasks);
        let named = wanted.keys.iter().filter_map(|key| key.strip_prefix("task:")?.parse().ok());
        let which = if !wanted.tasks.is_empty() {
            Which::Trees(unique(wanted.tasks.iter().copied()))
        } else if !wanted.keys.is_empty() {
            Which::Named(unique(named))
        } else {
            Which::All(filter.owners.clone())
        };
        let (known, missing) = (HashMap::new(), BTreeSet::new());
        let needed = told || matches!(which, Which::Trees(_));
        needed.then_some(Tasks { which, known, told, missing })
    }

    /// Whether all that are looked at have ended, so that nothing follows.
    pub(super) fn is_done(&self) -> bool {
        match &self.which {
            Which::Trees(roots) | Which::Named(roots) => self.open(roots).is_empty(),
            Which::All(_) => false,
        }
    }

    /// The tasks that were seen.
    pub(super) fn tree(&self) -> impl Iterator<Item = i64> {
        self.known.keys().copied()
    }

    /// Those of the named tasks that may still change, or be made.
    fn open(&self, roots: &[i64]) -> Vec<i64> {
        let open: BTreeSet<i64> =
            self.known.values().filter(|k| !is_finished(k.state)).map(|known| known.root).collect();
        let may = |root: &i64| open.contains(root) || !self.known.contains_key(root);
        roots.iter().copied().filter(may).collect()
    }

    pub(super) fn ask(&self, calls: &mut Multicall<'_>, look: &Look) {
        match &self.which {
            Which::Trees(roots) => {
                for root in self.open(roots) {
                    calls.add("getTaskInfo", (root,));
                    calls.add("getTaskDescendents", (root,));
                }
            }
            Which::Named(ids) => {
                for id in self.open(ids) {
                    calls.add("getTaskInfo", (id,));
                }
            }
            Which::All(owners) => {
                let mut open = map! { "state" => list![0, 1, 4] };
                let mut ended = map! { "completeAfter" => look.time };
                if !owners.is_empty() {
                    let owners: Vec<Value> = owners.iter().copied().map(Value::Int).collect();
                    open.insert("owner", owners.clone());
                    ended.insert("owner", owners);
                }
                // A task that ends between these two is in both, so none is in neither.
                calls.add("listTasks", (open,));
                calls.add("listTasks", (ended,));
                for id in &self.missing {
                    calls.add("getTaskInfo", (*id,));
                }
            }
        }
    }

    /// Notes what was found, and returns the latest time that was seen.
    pub(super) fn read(
        &mut self,
        answers: &mut Answers,
        look: &Look,
        first: bool,
        found: &mut Vec<Found>,
    ) -> Result<f64, Error> {
        // By number: what is later in the answers is newer.
        let mut seen: BTreeMap<i64, (Map, i64)> = BTreeMap::new();
        let mut saw = |row: Value, root: Option<i64>| {
            let Value::Struct(row) = row else { return };
            let Some(id) = row.int("id") else { return };
            seen.insert(id, (row, root.unwrap_or(id)));
        };
        match &self.which {
            Which::Trees(roots) => {
                for root in self.open(roots) {
                    let task = answers.one()?;
                    let there = !task.is_nil();
                    saw(task, Some(root));
                    // Of a task that is not there some hubs say nothing, others an error.
                    match answers.one() {
                        Ok(Value::Struct(families)) => {
                            let below = families.into_iter().flat_map(|(_, list)| rows(list));
                            below.for_each(|row| saw(Value::Struct(row), Some(root)));
                        }
                        Err(error) if there => return Err(error),
                        _ => {}
                    }
                }
            }
            Which::Named(ids) => {
                for _ in self.open(ids) {
                    saw(answers.one()?, None);
                }
            }
            Which::All(_) => {
                for row in answers.rows()?.into_iter().chain(answers.rows()?) {
                    saw(Value::Struct(row), None);
                }
                for _ in &self.missing {
                    saw(answers.one()?, None);
                }
            }
        }
        let times = seen.values().map(|(row, _)| latest(row));
        let time = times.fold(0.0, f64::max);
        let all = matches!(self.which, Which::All(_));
        if all {
            let missing = std::mem::take(&mut self.missing);
            let gone = |id: &i64, known: &Known| {
                !seen.contains_key(id) && (is_finished(known.state) || missing.contains(id))
            };
            self.known.retain(|id, known| !gone(id, known));
            let absent = self.known.keys().filter(|id| !seen.contains_key(id));
            self.missing = absent.copied().collect();
        }
        for (id, (row, root)) in seen {
            let Some(state) = row.int("state") else { continue };
            let before = self.known.insert(id, Known { state, root }).map(|known| known.state);
            let news = match before {
                Some(before) => before != state,
                None => !first || latest(&row) > look.since,
            };
            if news && self.told {
                found.push(tell(row, id, before, state));
            }
        }
        Ok(time)
    }
}

fn is_finished(state: i64) -> bool {
    TaskState::try_from(state).is_ok_and(TaskState::is_finished)
}

fn unique(ids: impl Iterator<Item = i64>) -> Vec<i64> {
    ids.collect::<BTreeSet<i64>>().into_iter().collect()
}

/// The latest time that a task has, in seconds since 1970.
pub(super) fn latest(row: &Map) -> f64 {
    let times = ["create_ts", "start_ts", "completion_ts"];
    times.iter().filter_map(|name| row.value(name).as_f64()).fold(0.0, f64::max)
}

fn tell(mut row: Map, id: i64, old: Option<i64>, new: i64) -> Found {
    // As XML, and long.
    row.remove("request");
    row.remove("result");
    row.insert("old", old);
    row.insert("new", new);
    Found { kind: "task.state", key: format!("task:{id}"), number: None, body: row }
}
