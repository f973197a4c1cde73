//! The files of builds: what their rows expect, what is recorded, and logs and the like that lie beside them.

use std::collections::BTreeSet;

use toji_store::{Item, Kind as ItemKind, Volume as _};
use toji_types::BuildState;
use toji_value::Fault;

use super::super::build::{default_target, unexpected};
use super::super::expect::{Gathered, gather};
use super::super::finding::Kind;
use super::super::places::is_young;
use super::manifest::Entry;
use super::settle::{Lost, recorded};
use super::take::{Got, Pass, Taker, Want};
use crate::files;

/// Builds that are looked at together.
const BUILDS: i64 = 100;

impl Taker<'_> {
    /// Goes through all builds.
    pub(super) async fn builds(&mut self, pass: &mut Pass<'_>) -> Result<(), Fault> {
        let mut after = 0;
        loop {
            let mut call = pass.view.reading();
            let rows = toji_db::scan::builds(&mut call.tx, after, BUILDS).await?;
            drop(call);
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.get("id")?;
            let mut all = gather(pass.view, &self.volumes, &rows).await?;
            all.retain(|one| one.place.state == BuildState::Complete);
            let mut wants = Vec::new();
            for one in &all {
                self.links(pass, one).await?;
                wants.extend(self.wanted(pass, one)?.into_iter().map(|want| (one, want)));
                self.absent(pass, one).await?;
            }
            let (owners, wants): (Vec<&Gathered>, Vec<Want>) = wants.into_iter().unzip();
            let got = self.keep(wants.clone()).await?;
            for ((one, want), got) in owners.into_iter().zip(wants).zip(got) {
                self.judge(pass, one, want, got)?;
            }
            self.at_build(after);
        }
    }

    /// The files of a build that are there and belong to it.
    fn wanted(&self, pass: &mut Pass<'_>, one: &Gathered) -> Result<Vec<Want>, Fault> {
        let mut wants = Vec::new();
        for (path, item) in &one.found {
            let stray = match (one.expected.contains_key(path), unexpected(one, item)) {
                (true, _) | (false, Ok(_)) => false,
                (false, Err(Some(Kind::Stray))) => true,
                // What an interrupted write has left, or is still written.
                (false, Err(_)) => continue,
            };
            // What nobody knows may belong to a change after the moment.
            if stray && is_young(one.now, item) {
                continue;
            }
            match &item.kind {
                ItemKind::File => wants.push(Want::of(item, record_of(one, path))),
                ItemKind::Link(target) => pass.list(&Entry::link(path, target))?,
                ItemKind::Dir | ItemKind::Other => {}
            }
        }
        Ok(wants)
    }

    /// What the database has and the listing has not.
    async fn absent(&self, pass: &mut Pass<'_>, one: &Gathered) -> Result<(), Fault> {
        let gone = |path: &str| !one.found.contains_key(path);
        let required = one.expected.iter().filter(|(_, expected)| !expected.optional);
        let mut missing: BTreeSet<String> =
            required.map(|(path, _)| path.clone()).filter(|path| gone(path)).collect();
        let noted = one.records.keys().filter(|path| gone(path));
        missing.extend(noted.cloned());
        if !pass.is_final() || missing.is_empty() && one.dir.is_some() {
            return Ok(());
        }
        // Much may be gone: whatever is recorded below is looked for.
        let records = recorded(pass.view, &one.place.dir).await?;
        missing.extend(records.keys().filter(|path| gone(path)).cloned());
        for path in missing {
            let record = records.get(&path).cloned();
            if let Some((size, sha256)) = record.clone().filter(|_| one.lost && self.stays(&path)) {
                // The bucket does not answer, and what is in it stays there.
                let entry = Entry {
                    path,
                    size,
                    sha256,
                    recorded: true,
                    elsewhere: true,
                    ..Entry::default()
                };
                pass.list(&entry)?;
                continue;
            }
            self.recall(pass, Lost::of(one, path, record))?;
        }
        Ok(())
    }

    /// Lists a file that is gone if its content was taken in before; otherwise it is lost for now.
    pub(super) fn recall(&self, pass: &mut Pass<'_>, lost: Lost) -> Result<(), Fault> {
        if let Some((size, sha256)) = &lost.record
            && self.vault.has(sha256, *size).map_err(super::take::fault)?
        {
            let (path, size, sha256) = (lost.path.clone(), *size, sha256.clone());
            return pass.list(&Entry { path, size, sha256, recorded: true, ..Entry::default() });
        }
        pass.lost.push(lost);
        Ok(())
    }

    /// Lists a file that was there, if it is what the database says.
    fn judge(
        &self,
        pass: &mut Pass<'_>,
        one: &Gathered,
        want: Want,
        got: Got,
    ) -> Result<(), Fault> {
        if !pass.is_final() {
            return Ok(());
        }
        let Want { path, record, .. } = want;
        if let Got::Kept(entry) = got {
            let size = one.expected.get(&path).and_then(|expected| expected.size);
            let known = record.as_ref().is_none_or(|(_, known)| *known == entry.sha256);
            if known && size.is_none_or(|size| size == entry.size) {
                return pass.list(&entry);
            }
        }
        let lost = Lost::of(one, path, record);
        self.recall(pass, lost)
    }

    /// The link on the default volume, and old names of drafts that were promoted.
    async fn links(&self, pass: &mut Pass<'_>, one: &Gathered) -> Result<(), Fault> {
        if !pass.is_final() {
            return Ok(());
        }
        let place = &one.place;
        if place.dir != place.default_dir {
            let target = default_target(one);
            pass.list(&Entry::link(&place.default_dir, target.as_ref()))?;
        }
        let (above, own) = place.default_dir.rsplit_once('/').unwrap_or_default();
        let (above, own, volumes) =
            (above.to_owned(), format!("{own},draft_{}", place.id), self.volumes.clone());
        let items: Vec<Item> = files::blocking(move || {
            Ok(volumes.item(&format!("{above}/{own}"))?.into_iter().collect())
        })
        .await?;
        for item in items {
            if let ItemKind::Link(target) = &item.kind {
                pass.list(&Entry::link(&item.path, target))?;
            }
        }
        Ok(())
    }
}

/// What is recorded of a file.
pub(super) fn record_of(one: &Gathered, path: &str) -> Option<(u64, String)> {
    one.records.get(path).map(|record| (record.size, record.sha256.clone()))
}
