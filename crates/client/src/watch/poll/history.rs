//! What is tagged and which packages tags have: Koji numbers these changes, and keeps all of them.

use std::collections::{BTreeMap, BTreeSet};

use toji_value::{Map, Value, map};

use super::filter::{Of, looks_at};
use super::{Answers, Found, Look, rows};
use crate::watch::Wanted;
use crate::{Error, Multicall, args};

/// A change: event number, whether something was added, the table, what it is about.
type Place = (i64, bool, &'static str, i64, i64);

pub(super) struct History {
    tables: Vec<&'static str>,
    /// What was told and may be seen again.
    seen: BTreeSet<Place>,
}

/// What happened to a package in a tag at one event.
#[derive(Default)]
struct Listed {
    removed: Option<Map>,
    added: Option<Map>,
    owner: Option<Map>,
}

impl History {
    /// Nothing if the filter wants none of it.
    pub(super) fn new(wanted: &Wanted) -> Option<History> {
        let mut tables = Vec::new();
        if looks_at(wanted, Of::Taggings) {
            tables.push("tag_listing");
        }
        if looks_at(wanted, Of::Packages) {
            tables.extend(["tag_packages", "tag_package_owners"]);
        }
        (!tables.is_empty()).then(|| History { tables, seen: BTreeSet::new() })
    }

    pub(super) fn ask(&self, calls: &mut Multicall<'_>, look: &Look) {
        let tables: Vec<Value> = self.tables.iter().map(|table| Value::from(*table)).collect();
        calls.add("queryHistory", args!(; "tables" => tables, "afterEvent" => look.event));
    }

    /// Notes what was found; with `quiet` it only counts as known.
    pub(super) fn read(
        &mut self,
        answers: &mut Answers,
        look: &Look,
        quiet: bool,
        found: &mut Vec<Found>,
    ) -> Result<(), Error> {
        let answer = answers.one()?;
        self.seen.retain(|(event, ..)| *event > look.event);
        let mut taggings = Vec::new();
        let mut lists: BTreeMap<(i64, i64, i64), Listed> = BTreeMap::new();
        for table in self.tables.clone() {
            for row in rows(answer.get(table).clone()) {
                for (number, added) in [("revoke_event", false), ("create_event", true)] {
                    let Some(event) = row.int(number).filter(|event| *event > look.event) else {
                        continue;
                    };
                    let tag = row.int("tag_id").unwrap_or_default();
                    let item = match table {
                        "tag_listing" => row.int("build_id"),
                        _ => row.int("package_id"),
                    };
                    let item = item.unwrap_or_default();
                    if !self.seen.insert((event, added, table, tag, item)) || quiet {
                        continue;
                    }
                    if table == "tag_listing" {
                        taggings.push((event, added, tagging(&row, tag, added)));
                        continue;
                    }
                    let listed = lists.entry((event, tag, item)).or_default();
                    match (table, added) {
                        ("tag_packages", true) => listed.added = Some(row.clone()),
                        ("tag_packages", false) => listed.removed = Some(row.clone()),
                        (_, true) => listed.owner = Some(row.clone()),
                        // It ends with the package, or another owner follows.
                        _ => {}
                    }
                }
            }
        }
        // What is tagged anew leaves the tag first.
        taggings.sort_by_key(|(event, added, _)| (*event, *added));
        found.extend(taggings.into_iter().map(|(event, added, body)| Found {
            kind: if added { "build.tag" } else { "build.untag" },
            key: format!("tag:{}", body.int("tag_id").unwrap_or_default()),
            number: Some(event),
            body,
        }));
        found.extend(lists.into_iter().filter_map(|((event, tag, _), listed)| {
            let body = listed.body(tag)?;
            let key = format!("tag:{tag}");
            Some(Found { kind: "package.list", key, number: Some(event), body })
        }));
        Ok(())
    }
}

fn tagging(row: &Map, tag: i64, added: bool) -> Map {
    let text = |name: &str| row.str(name).unwrap_or_default().to_owned();
    let user = if added { "creator_name" } else { "revoker_name" };
    map! {
        "tag_id" => tag,
        "tag" => row.value("tag.name"),
        "build_id" => row.value("build_id"),
        "nvr" => format!("{}-{}-{}", text("name"), text("version"), text("release")),
        "name" => row.value("name"),
        "version" => row.value("version"),
        "release" => row.value("release"),
        "epoch" => row.value("epoch"),
        "user" => row.value(user),
    }
}

impl Listed {
    fn body(self, tag: i64) -> Option<Map> {
        let (action, user, row) = match self {
            Listed { added: Some(row), removed, .. } => {
                let blocked = row.truthy("blocked");
                let before = removed.map(|removed| removed.truthy("blocked"));
                let action = match (before, blocked) {
                    (None | Some(false), true) => "block",
                    (Some(true), false) => "unblock",
                    (None, false) => "add",
                    _ => "update",
                };
                (action, "creator_name", row)
            }
            // Where a package is blocked that the tag inherits, the block is all there is.
            Listed { removed: Some(row), .. } if row.truthy("blocked") => {
                ("unblock", "revoker_name", row)
            }
            Listed { removed: Some(row), .. } => ("remove", "revoker_name", row),
            Listed { owner: Some(row), .. } => ("update", "creator_name", row),
            _ => return None,
        };
        Some(map! {
            "action" => action,
            "tag_id" => tag,
            "tag" => row.value("tag.name"),
            "package_id" => row.value("package_id"),
            "package" => row.value("package.name"),
            "user" => row.value(user),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_late_is_told_and_nothing_twice() {
        let kinds = vec!["build.tag".to_owned(), "build.untag".to_owned()];
        let wanted = Wanted { kinds, ..Wanted::default() };
        let mut history = History::new(&wanted).unwrap();
        let mut look = Look { event: 10, time: 0.0, since: 0.0 };
        let row = |build: i64, created: i64, revoked: Option<i64>| {
            map! {
                "tag_id" => 1, "tag.name" => "f1", "build_id" => build, "name" => "bash", "version" => "1",
                "release" => build.to_string(), "create_event" => created, "revoke_event" => revoked
            }
        };
        let mut told = |event: i64, rows: Vec<Map>| {
            look.event = event;
            let rows: Vec<Value> = rows.into_iter().map(Value::Struct).collect();
            let answer = Value::Struct(map! { "tag_listing" => rows });
            let mut answers = Answers(vec![Ok(answer)].into_iter());
            let mut found = Vec::new();
            history.read(&mut answers, &look, false, &mut found).unwrap();
            let shown = found.into_iter().map(|found| {
                (
                    found.number.unwrap(),
                    found.kind == "build.tag",
                    found.body.int("build_id").unwrap(),
                )
            });
            shown.collect::<Vec<_>>()
        };
        assert_eq!(told(10, vec![row(1, 12, None)]), [(12, true, 1)]);
        // The transaction of event 11 began before that of 12, and ended after it.
        let both = || vec![row(2, 11, None), row(1, 12, None)];
        assert_eq!(told(10, both()), [(11, true, 2)]);
        assert_eq!(told(10, both()), []);
        // Tagged anew at one event, and out again.
        let anew = vec![row(1, 13, Some(14)), row(1, 12, Some(13))];
        assert_eq!(told(11, anew.clone()), [(13, false, 1), (13, true, 1), (14, false, 1)]);
        assert_eq!(told(12, anew), []);
    }
}
