//! Database and store compared in both directions: names, sizes and links, not contents.

use std::collections::BTreeSet;
use std::sync::Arc;

use toji_db::scan::{self as db, Progress};
use toji_store::sums::{Rate, Reader};
use toji_store::{Algorithm, Volumes};
use toji_value::Fault;

use super::expect::{Gathered, gather, gather_ids};
use super::finding::{Finding, Kind, What};
use super::judge::{Bad, Job, Verdict};
use super::mend::{self, Mender};
use super::{Run, Watch, begin, build, named, places, records, volumes};
use crate::{Hub, files};

/// Builds that are looked at together.
const BUILDS: i64 = 200;

/// What a check may do.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Mend what can be mended without asking.
    pub repair: bool,
    /// Begin anew although a run was interrupted.
    pub restart: bool,
}

/// What has come of a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How far it is, runs that it went on with included.
    pub progress: Progress,
    /// What was found and is not mended, also before an interruption.
    pub left: u64,
    /// What was mended.
    pub mended: u64,
    /// Whether it went on with an interrupted run.
    pub resumed: bool,
    /// Whether it came to its end.
    pub whole: bool,
}

struct Check<'a> {
    hub: &'a Hub,
    volumes: Arc<Volumes>,
    options: &'a Options,
    watch: &'a dyn Watch,
    run: i64,
    sum: Summary,
    /// The directories of volumes that are missing, each told once.
    lost: BTreeSet<String>,
}

/// Checks the whole store, or what an interrupted check has left.
///
/// # Errors
/// When the database fails, or a directory cannot be read.
pub async fn run(hub: &Hub, options: &Options, watch: &dyn Watch) -> Result<Summary, Fault> {
    // What was mended by one is not what the other would have told.
    let kind = if options.repair { "repair" } else { "fsck" };
    let Run { id: run, progress, resumed } = begin(hub, kind, options.restart).await?;
    let left = progress.damaged;
    let sum = Summary { progress, left, resumed, ..Summary::default() };
    let volumes = volumes(hub).await?;
    let lost = BTreeSet::new();
    let mut check = Check { hub, volumes, options, watch, run, sum, lost };
    check.imports().await?;
    let found = places::volumes(hub, &check.volumes).await?;
    let missing = found.iter().filter(|finding| finding.kind == Kind::MissingVolume);
    check.lost.extend(missing.map(|finding| finding.path.clone()));
    check.take(found, &[]).await?;
    check.builds().await?;
    for step in [places::Step::Packages, places::Step::Repositories, places::Step::Tasks] {
        if watch.stopped() {
            break;
        }
        let found = places::run(hub, &check.volumes, step, watch).await?;
        check.take(found, &[]).await?;
    }
    let found = records::run(hub, &check.volumes, watch).await?;
    check.take(found, &[]).await?;
    check.sum.whole = !watch.stopped();
    if check.sum.whole {
        check.sum.progress.damaged = check.sum.left;
    }
    check.note(check.sum.whole).await?;
    Ok(check.sum)
}

impl Check<'_> {
    /// Writes how far the check is.
    async fn note(&self, ended: bool) -> Result<(), Fault> {
        let mut call = self.hub.internal().await?;
        db::progress(&mut call.tx, self.run, self.sum.progress, ended).await?;
        call.commit().await?;
        self.watch.progress(&self.sum.progress);
        Ok(())
    }

    /// Mends what can be mended, and tells everything.
    async fn take(&mut self, found: Vec<Finding>, builds: &[Gathered]) -> Result<(), Fault> {
        let mender = Mender { hub: self.hub, volumes: &self.volumes, repair: self.options.repair };
        for finding in mender.mend(found, builds).await? {
            match finding.mending {
                super::Mending::Done(_) => self.sum.mended += 1,
                _ => self.sum.left += 1,
            }
            self.watch.tell(&finding);
        }
        Ok(())
    }

    /// Imports that were interrupted long ago are ended by the next start of a hub; a repair does it now.
    async fn imports(&mut self) -> Result<(), Fault> {
        let mut call = self.hub.reading();
        let rows = db::imports(&mut call.tx).await?;
        drop(call);
        let mut found = Vec::new();
        for row in rows {
            let age: f64 = row.get("age")?;
            if age < mend::UNDER_WAY {
                continue;
            }
            let (id, state): (i64, String) = (row.get("id")?, row.get("state")?);
            let detail = format!("{state}, {} minutes ago", (age / 60.0) as i64);
            let mut finding =
                Finding::new(Kind::InterruptedImport, What::Import, id.to_string(), detail);
            finding.build = row.get("build_id")?;
            found.push(finding);
        }
        self.take(found, &[]).await
    }

    /// Goes through all builds.
    async fn builds(&mut self) -> Result<(), Fault> {
        while !self.watch.stopped() {
            let after = self.sum.progress.last_build;
            let mut call = self.hub.reading();
            let rows = db::builds(&mut call.tx, after, BUILDS).await?;
            drop(call);
            let Some(last) = rows.last() else { break };
            let last = last.get("id")?;
            let gathered = gather(self.hub, &self.volumes, &rows).await?;
            let files: usize = gathered.iter().map(|one| one.found.len()).sum();
            let lost: Vec<String> = gathered
                .iter()
                .filter(|one| one.lost && !one.expected.is_empty())
                .map(|one| places::volume_dir(&one.place.volume))
                .collect();
            for dir in lost {
                if self.lost.insert(dir.clone()) {
                    self.take(vec![places::lost(dir)], &[]).await?;
                }
            }
            let before = self.sum.left;
            let (found, now) = self.again(&gathered).await?;
            if self.watch.stopped() {
                // Not all of it may have been read: the run that goes on looks again.
                break;
            }
            self.take(found, &now).await?;
            // All else is looked at again by a run that goes on.
            self.sum.progress.damaged += self.sum.left - before;
            self.sum.progress.files += files as u64;
            self.sum.progress.last_build = last;
            self.note(false).await?;
        }
        Ok(())
    }

    /// What is wrong with builds, if it still is when one looks again.
    async fn again(&self, gathered: &[Gathered]) -> Result<(Vec<Finding>, Vec<Gathered>), Fault> {
        let suspects = gathered.iter().filter(|one| !build::compare(one).is_empty());
        let ids: Vec<i64> = suspects.map(|one| one.place.id).collect();
        if ids.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let now = gather_ids(self.hub, &self.volumes, &ids).await?;
        let mut found = Vec::new();
        let mut lengths = Vec::new();
        for one in &now {
            for finding in build::compare(one) {
                match finding.kind {
                    Kind::Truncated | Kind::Longer => lengths.push((one, finding)),
                    _ => found.push(finding),
                }
            }
        }
        found.extend(self.lengths(lengths).await?);
        Ok((found, now))
    }

    /// Files of another length are read: they may have the content of another one.
    async fn lengths(&self, wrong: Vec<(&Gathered, Finding)>) -> Result<Vec<Finding>, Fault> {
        let mut jobs = Vec::new();
        for (one, finding) in &wrong {
            let path = &finding.path;
            let (expected, record) = (one.expected.get(path), one.records.get(path));
            let place = (one.place.id, finding.what);
            let further: &[Algorithm] = &[];
            jobs.push(Job::new(place, (path, 0), expected, record, further));
        }
        let (volumes, halted) = (self.volumes.clone(), self.watch.halted());
        let verdicts: Vec<Verdict> = files::blocking(move || {
            let (mut reader, rate) = (Reader::default(), Rate::new(None).until(halted));
            Ok(jobs.iter().map_while(|job| job.run(&*volumes, &rate, &mut reader)).collect())
        })
        .await?;
        let mut bad: Vec<Bad> = verdicts
            .into_iter()
            .filter_map(|verdict| match verdict {
                Verdict::Bad(bad) => Some(bad),
                Verdict::Same(_) | Verdict::Good(_) => None,
            })
            .collect();
        named::name(self.hub, &mut bad).await?;
        let swapped = |finding: &Finding| {
            bad.iter().find(|bad| bad.path == finding.path && bad.kind == Kind::Swapped)
        };
        Ok(wrong
            .into_iter()
            .map(|(_, mut finding)| {
                if let Some(bad) = swapped(&finding) {
                    (finding.kind, finding.detail) = (bad.kind, bad.detail.clone());
                }
                finding
            })
            .collect())
    }
}
