//! Repositories of the tags that the filter names.

use std::collections::BTreeMap;

use toji_types::RepoState;
use toji_value::{Map, Value, list, map};

use super::{Answers, Found, Look};
use crate::{Error, Multicall, args};

const FIELDS: [&str; 6] = ["id", "tag_id", "tag_name", "state", "task_id", "state_ts"];

pub(super) struct Repos {
    /// As the filter names them.
    wanted: Vec<String>,
    /// Those that were there at the first look.
    tags: Vec<(i64, String)>,
    /// What is not deleted.
    known: BTreeMap<i64, Map>,
    /// Whether the hub is older than `repo.query`, which is of Koji 1.35.
    old: bool,
}

impl Repos {
    pub(super) fn new(wanted: &[String], tags: Vec<(i64, String)>, old: bool) -> Repos {
        Repos { wanted: wanted.to_vec(), tags, known: BTreeMap::new(), old }
    }

    /// Asks whether the hub knows the call for many repositories.
    pub(super) fn probe(calls: &mut Multicall<'_>) {
        calls.add("repo.query", args!(list![list!["id", "=", 0]], list!["id"]));
    }

    /// What to ask: by names, and by numbers, which may be names as well.
    fn clauses(&self) -> Vec<Value> {
        let names = self.wanted.iter().map(|name| Value::from(name.as_str()));
        let numbers = self.wanted.iter().filter_map(|tag| tag.parse().ok()).map(Value::Int);
        let lists = [("tag_name", names.collect::<Vec<_>>()), ("tag_id", numbers.collect())];
        let some = lists.into_iter().filter(|(_, tags)| !tags.is_empty());
        let deleted = RepoState::Deleted.number();
        some.map(|(field, tags)| list![list!["state", "!=", deleted], list![field, "IN", tags]])
            .collect()
    }

    pub(super) fn ask(&self, calls: &mut Multicall<'_>) {
        if self.old {
            for (tag, _) in &self.tags {
                for state in [RepoState::Init, RepoState::Ready] {
                    calls.add("getRepo", (*tag, state.number()));
                }
            }
            return;
        }
        let fields: Vec<Value> = FIELDS.iter().map(|field| Value::from(*field)).collect();
        for clauses in self.clauses() {
            calls.add("repo.query", (clauses, fields.clone()));
        }
    }

    pub(super) fn read(
        &mut self,
        answers: &mut Answers,
        look: &Look,
        first: bool,
        found: &mut Vec<Found>,
    ) -> Result<(), Error> {
        let mut seen = BTreeMap::new();
        let mut saw = |row: Map| row.int("id").and_then(|id| seen.insert(id, row));
        if self.old {
            for (tag, name) in &self.tags {
                for _ in [RepoState::Init, RepoState::Ready] {
                    if let Value::Struct(mut row) = answers.one()? {
                        row.insert("tag_id", *tag);
                        row.insert("tag_name", name.as_str());
                        saw(row);
                    }
                }
            }
        } else {
            for _ in self.clauses() {
                for row in answers.rows()? {
                    saw(row);
                }
            }
        }
        for (id, row) in &seen {
            let before = self.known.get(id).and_then(|row| row.int("state"));
            let time = row.value("state_ts").as_f64().or(row.value("create_ts").as_f64());
            let known = before.is_some() || !first || time.is_some_and(|time| time > look.since);
            if known && before != row.int("state") {
                tell(*id, row, before, row.int("state"), found);
            }
        }
        for (id, row) in &self.known {
            // An old hub shows only the newest: whether another is there still cannot be seen.
            if !self.old && !seen.contains_key(id) {
                let deleted = Some(RepoState::Deleted.number());
                tell(*id, row, row.int("state"), deleted, found);
            }
        }
        self.known = seen;
        Ok(())
    }
}

/// What a hub that tells its events says of such a change.
fn tell(id: i64, row: &Map, old: Option<i64>, new: Option<i64>, found: &mut Vec<Found>) {
    let named = |number: Option<i64>| number.and_then(|n| RepoState::try_from(n).ok());
    let (old, Some(new)) = (named(old), named(new)) else { return };
    let body = map! {
        "id" => id, "repo_id" => id, "tag" => row.value("tag_name"), "tag_id" => row.value("tag_id"),
        "task_id" => row.value("task_id"), "old" => old.map(RepoState::name), "new" => new.name(),
    };
    let mut push = |kind| {
        let key = format!("repo:{id}");
        found.push(Found { kind, key, number: None, body: body.clone() });
    };
    if old.is_none() {
        push("repo.init");
    }
    if new != RepoState::Init {
        push("repo.state");
    }
    if new == RepoState::Ready {
        push("repo.done");
    }
}
