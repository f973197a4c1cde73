//! Builds, by the times at which they were begun and ended.

use std::collections::{BTreeSet, HashMap};

use toji_types::BuildState;
use toji_value::Map;

use super::{Answers, Found, Look};
use crate::{Error, Multicall, args};

#[derive(Default)]
pub(super) struct Builds {
    /// State and creation of builds that were seen and may be seen again.
    known: HashMap<i64, (i64, Option<i64>)>,
}

impl Builds {
    pub(super) fn ask(&self, calls: &mut Multicall<'_>, look: &Look) {
        calls.add("listBuilds", args!(; "createdAfter" => look.time));
        calls.add("listBuilds", args!(; "completeAfter" => look.time));
    }

    pub(super) fn read(
        &mut self,
        answers: &mut Answers,
        look: &Look,
        first: bool,
        found: &mut Vec<Found>,
    ) -> Result<(), Error> {
        let mut seen = BTreeSet::new();
        let created = answers.rows()?;
        for row in created.into_iter().chain(answers.rows()?) {
            let (Some(id), Some(state)) = (row.int("build_id"), row.int("state")) else { continue };
            seen.insert(id);
            let made = row.int("creation_event_id");
            let before = self.known.insert(id, (state, made));
            let news = match before {
                // A build that failed may be begun again.
                Some((old, event)) => (old, event) != (state, made),
                None => !first || latest(&row) > look.since,
            };
            if news {
                let old = before.filter(|(_, event)| *event == made).map(|(old, _)| old);
                found.push(tell(row, id, old, state));
            }
        }
        let building = BuildState::Building.number();
        self.known.retain(|id, (state, _)| *state == building || seen.contains(id));
        Ok(())
    }
}

fn latest(row: &Map) -> f64 {
    let at = |name: &str| row.value(name).as_f64().unwrap_or_default();
    at("creation_ts").max(at("completion_ts"))
}

fn tell(mut row: Map, id: i64, old: Option<i64>, new: i64) -> Found {
    row.insert("id", id);
    row.insert("old", old);
    row.insert("new", new);
    Found { kind: "build.state", key: format!("build:{id}"), number: None, body: row }
}
