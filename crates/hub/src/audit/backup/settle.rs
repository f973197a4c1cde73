//! What a moment's database has and the store did not show: moved, deleted meanwhile, or damaged before.

use std::collections::{BTreeMap, HashMap};

use toji_db::scan as db;
use toji_types::{BuildState, RepoState};
use toji_value::Fault;

use super::super::expect::{Gathered, Place, gather_ids};
use super::super::finding::{Finding, Kind, What};
use super::super::places::{self, volume_dir};
use super::manifest::Entry;
use super::take::{Got, Pass, Taker, Want};
use crate::Hub;

/// Rows that are asked for together.
const ROWS: i64 = 500;

/// A file that the moment's database has and the store did not show.
#[derive(Clone, Debug)]
pub(super) struct Lost {
    pub(super) build: i64,
    /// Where the build was.
    pub(super) dir: String,
    pub(super) path: String,
    pub(super) what: What,
    pub(super) record: Option<(u64, String)>,
}

impl Lost {
    pub(super) fn of(one: &Gathered, path: String, record: Option<(u64, String)>) -> Lost {
        let what = one.expected.get(&path).map_or(What::File, |expected| expected.what);
        let (build, dir) = (one.place.id, one.place.dir.clone());
        Lost { build, dir, path, what, record }
    }
}

/// What is recorded of files below a directory: length and SHA-256 by path.
pub(super) async fn recorded(
    hub: &Hub,
    dir: &str,
) -> Result<BTreeMap<String, (u64, String)>, Fault> {
    let mut found = BTreeMap::new();
    for row in db::recorded_below(&mut hub.reading().tx, dir).await? {
        let size = u64::try_from(row.get::<i64>("size")?).unwrap_or_default();
        found.insert(row.get("path")?, (size, row.get("sha256")?));
    }
    Ok(found)
}

impl Taker<'_> {
    /// Explains what was not there; tells whether the point is whole. Otherwise the database must be taken anew.
    pub(super) async fn settle(&mut self, pass: &mut Pass<'_>) -> Result<bool, Fault> {
        self.changed(pass).await?;
        let lost = std::mem::take(&mut pass.lost);
        let mut whole = self.repositories_stay(pass).await?;
        for some in lost.chunks(ROWS as usize) {
            let mut ids: Vec<i64> = some.iter().map(|one| one.build).collect();
            ids.dedup();
            let now = gather_ids(self.hub, &self.volumes, &ids).await?;
            let now: HashMap<i64, Gathered> =
                now.into_iter().map(|one| (one.place.id, one)).collect();
            for lost in some {
                let complete = |one: &&Gathered| one.place.state == BuildState::Complete;
                match now.get(&lost.build).filter(complete) {
                    Some(now) => whole &= self.explain(pass, lost, now).await?,
                    // It was deleted before its files were taken in.
                    None => whole = false,
                }
            }
            if !whole {
                return Ok(false);
            }
        }
        Ok(whole)
    }

    /// Looks for a file where its build is now; tells whether it was found, or is damaged.
    async fn explain(
        &mut self,
        pass: &mut Pass<'_>,
        lost: &Lost,
        now: &Gathered,
    ) -> Result<bool, Fault> {
        let below = lost.path.strip_prefix(&lost.dir).unwrap_or_default();
        let path = format!("{}{below}", now.place.dir);
        let record = super::builds::record_of(now, &path);
        let expected = now.expected.get(&path).is_some_and(|expected| !expected.optional);
        let finding = |kind: Kind, detail: &str| {
            Finding::new(kind, lost.what, &lost.path, detail).of(lost.build)
        };
        if now.lost {
            let dir = volume_dir(&now.place.volume);
            if self.silent.insert(dir.clone()) {
                self.damage(pass, &places::lost(dir));
            }
            return Ok(true);
        }
        let Some(item) = now.found.get(&path) else {
            if expected || record.is_some() {
                self.damage(pass, &finding(Kind::Missing, ""));
                return Ok(true);
            }
            // Whoever has removed it has removed its row.
            return Ok(false);
        };
        let got = self.keep(vec![Want::of(item, lost.record.clone())]).await?;
        match got.into_iter().next() {
            Some(Got::Kept(entry)) => {
                let is = |known: &Option<(u64, String)>| {
                    known.as_ref().is_some_and(|(_, known)| *known == entry.sha256)
                };
                let size = now.expected.get(&path).and_then(|expected| expected.size);
                let fits = size.is_none_or(|size| size == entry.size);
                if is(&lost.record) || lost.record.is_none() && fits {
                    pass.list(&Entry { path: lost.path.clone(), ..entry })?;
                    return Ok(true);
                }
                if is(&record) && record != lost.record {
                    // It was replaced after the moment, and its row with it.
                    return Ok(false);
                }
                let detail = format!("SHA-256 {}", entry.sha256);
                self.damage(pass, &finding(Kind::Changed, &detail));
                Ok(true)
            }
            Some(Got::Unreadable(why)) => {
                self.damage(pass, &finding(Kind::Unreadable, &why));
                Ok(true)
            }
            Some(Got::Gone) | None => Ok(false),
        }
    }

    /// Builds that were deleted or moved since the moment may have been listed while that went on: all that is recorded of them
    /// must be there.
    async fn changed(&mut self, pass: &mut Pass<'_>) -> Result<(), Fault> {
        let mut after = 0;
        loop {
            let then = db::builds(&mut pass.view.reading().tx, after, ROWS).await?;
            let Some(last) = then.last() else { return Ok(()) };
            after = last.get("id")?;
            let mut places = Vec::new();
            for row in &then {
                places.push(Place::of(row)?);
            }
            places.retain(|place| place.state == BuildState::Complete);
            let ids: Vec<i64> = places.iter().map(|place| place.id).collect();
            let mut now = HashMap::new();
            for row in db::builds_by_id(&mut self.hub.reading().tx, &ids).await? {
                let place = Place::of(&row)?;
                now.insert(place.id, (place.state, place.dir));
            }
            for place in places {
                let same = now.get(&place.id).is_some_and(|(state, dir)| {
                    *state == BuildState::Complete && *dir == place.dir
                });
                if same {
                    continue;
                }
                for (path, record) in recorded(pass.view, &place.dir).await? {
                    let (build, dir, record) = (place.id, place.dir.clone(), Some(record));
                    let what = What::File;
                    self.recall(pass, Lost { build, dir, path, what, record })?;
                }
            }
        }
    }

    /// Whether all repositories of the moment are still in use: others may have been listed while they went.
    async fn repositories_stay(&self, pass: &Pass<'_>) -> Result<bool, Fault> {
        let used = [RepoState::Ready.number(), RepoState::Expired.number()];
        let mut after = 0;
        loop {
            let then = db::repos_in(&mut pass.view.reading().tx, &used, after, ROWS).await?;
            let Some(last) = then.last() else { return Ok(true) };
            after = last.get("id")?;
            let mut ids = Vec::new();
            for row in &then {
                ids.push(row.get::<i64>("id")?);
            }
            let now = toji_db::repo::states(&mut self.hub.reading().tx, &ids).await?;
            let mut count = 0;
            for row in now {
                count += usize::from(used.contains(&row.get::<i64>("state")?));
            }
            if count < ids.len() {
                return Ok(false);
            }
        }
    }
}
