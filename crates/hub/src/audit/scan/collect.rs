//! What was read is written in batches, and what is wrong looked at again before it is told.

use std::collections::{BTreeMap, HashMap, HashSet};

use toji_db::scan::{self as db, Progress, Read};
use toji_store::sums::Reader;
use toji_types::BuildState;
use toji_value::{Fault, map};
use tokio::sync::mpsc;

use super::super::expect::gather_ids;
use super::super::finding::Finding;
use super::super::judge::{Bad, Verdict};
use super::super::{named, places};
use super::crew::{Note, Outcome};
use super::{Store, jobs_of, wrong_names};
use crate::files;

/// Files that are written in one transaction.
const FILES: usize = 10_000;
/// Damaged files that are compared in memory with those that are whole.
const DAMAGED: i64 = 10_000;

/// What seems wrong with a build.
#[derive(Default)]
struct Suspect {
    /// Whether its names show it.
    names: bool,
    /// Files whose content shows it.
    paths: HashSet<String>,
}

/// Takes what the readers find.
pub(super) struct Collector<'a> {
    store: &'a Store<'a>,
    progress: Progress,
    /// Builds of which not everything is written, and how many of their files are not read yet.
    open: BTreeMap<i64, usize>,
    /// What was not known before.
    reads: Vec<Read>,
    /// Files that are as they are recorded, with their builds.
    same: Vec<(i64, String)>,
    suspects: HashMap<i64, Suspect>,
    /// Volumes that are not there and were not told yet.
    lost: Vec<Finding>,
    /// Paths that were told: each is told and counted once.
    told: HashSet<String>,
    /// Whether the run was stopped before all suspects were looked at again.
    halted: bool,
}

impl<'a> Collector<'a> {
    pub(super) async fn new(store: &'a Store<'a>, progress: Progress) -> Result<Self, Fault> {
        let mut call = store.hub.reading();
        let told = db::damaged_since(&mut call.tx, store.run, progress.last_build).await?;
        Ok(Collector {
            store,
            progress,
            open: BTreeMap::new(),
            reads: Vec::new(),
            same: Vec::new(),
            suspects: HashMap::new(),
            lost: Vec::new(),
            told: told.into_iter().collect(),
            halted: false,
        })
    }

    /// Takes notes until nobody is left to write any.
    pub(super) async fn collect(&mut self, mut notes: mpsc::Receiver<Note>) -> Result<(), Fault> {
        let mut tick = tokio::time::interval(self.store.options.period);
        tick.tick().await;
        loop {
            tokio::select! {
                note = notes.recv() => match note {
                    Some(note) => self.take(note),
                    None => return self.flush().await,
                },
                _ = tick.tick() => self.flush().await?,
            }
            if self.reads.len() + self.same.len() >= FILES {
                self.flush().await?;
            }
        }
    }

    fn take(&mut self, note: Note) {
        match note {
            Note::Builds { files, suspects, lost } => {
                self.open.extend(files);
                for build in suspects {
                    self.suspects.entry(build).or_default().names = true;
                }
                let lost = lost.into_iter().map(places::lost);
                self.lost.extend(lost.filter(|finding| self.told.insert(finding.path.clone())));
            }
            Note::Read(outcomes) => {
                for Outcome { build, size, verdict } in outcomes {
                    if let Some(left) = self.open.get_mut(&build) {
                        *left = left.saturating_sub(1);
                    }
                    self.progress.files += 1;
                    self.progress.bytes += size;
                    match verdict {
                        Verdict::Same(path) => self.same.push((build, path)),
                        Verdict::Good(read) => self.reads.push(read),
                        Verdict::Bad(bad) => {
                            let suspect = self.suspects.entry(bad.build).or_default();
                            suspect.paths.insert(bad.path);
                        }
                    }
                }
            }
        }
    }

    /// Writes what was read, then how far that is.
    async fn flush(&mut self) -> Result<(), Fault> {
        let wrong = match self.suspects.is_empty() {
            true => Vec::new(),
            false => self.look_again().await?,
        };
        let wrong: Vec<Finding> =
            wrong.into_iter().filter(|finding| self.told.insert(finding.path.clone())).collect();
        let lost = std::mem::take(&mut self.lost);
        // What was not looked at again is read once more by the run that goes on.
        while let Some(first) =
            self.open.first_entry().filter(|first| *first.get() == 0 && !self.halted)
        {
            self.progress.last_build = first.remove_entry().0;
        }
        self.progress.damaged += (wrong.len() + lost.len()) as u64;
        let reads = std::mem::take(&mut self.reads);
        let same = std::mem::take(&mut self.same);
        let mut call = self.store.hub.internal().await?;
        whole_again(&mut call, &reads, &same).await?;
        db::save(&mut call.tx, self.store.run, &reads).await?;
        // Of builds that are through, the run's own row tells that nothing is to be read again.
        let begun = same.into_iter().filter(|(build, _)| *build > self.progress.last_build);
        let begun: Vec<String> = begun.map(|(_, path)| path).collect();
        db::mark(&mut call.tx, self.store.run, &begun).await?;
        note(&mut call, &wrong).await?;
        lost.iter().for_each(|finding| emit(&mut call, finding));
        db::progress(&mut call.tx, self.store.run, self.progress, false).await?;
        call.commit().await?;
        lost.iter().chain(&wrong).for_each(|finding| self.store.watch.tell(finding));
        self.store.watch.progress(&self.progress);
        Ok(())
    }

    /// Looks again at the builds that something seems wrong with, as they are now: they may have been moved, signed or
    /// deleted meanwhile. Of one that is still in its place only the files are read again that seemed wrong.
    async fn look_again(&mut self) -> Result<Vec<Finding>, Fault> {
        let Store { hub, volumes, options, rate, run, .. } = self.store;
        let suspects = std::mem::take(&mut self.suspects);
        let ids: Vec<i64> = suspects.keys().copied().collect();
        let gathered = gather_ids(hub, volumes, &ids).await?;
        let mut found = Vec::new();
        let mut jobs = Vec::new();
        for one in gathered.iter().filter(|one| one.place.state == BuildState::Complete) {
            let Some(suspect) = suspects.get(&one.place.id) else { continue };
            let below = format!("{}/", one.place.dir);
            let moved = suspect.paths.iter().any(|path| !path.starts_with(&below));
            if suspect.names || moved {
                found.extend(wrong_names(one, options));
            }
            let again = jobs_of(one, options, &HashMap::new(), Some(*run)).0.into_iter();
            jobs.extend(again.filter(|job| moved || suspect.paths.contains(&job.wanted.path)));
        }
        let (volumes, rate, wanted) = ((*volumes).clone(), rate.clone(), jobs.len());
        let verdicts: Vec<Verdict> = files::blocking(move || {
            let mut reader = Reader::default();
            Ok(jobs.iter().map_while(|job| job.run(&*volumes, &rate, &mut reader)).collect())
        })
        .await?;
        self.halted |= verdicts.len() < wanted;
        let bad = verdicts.into_iter().filter_map(|verdict| match verdict {
            Verdict::Bad(bad) => Some(bad),
            Verdict::Same(_) | Verdict::Good(_) => None,
        });
        let mut bad: Vec<Bad> = bad.collect();
        named::name(hub, &mut bad).await?;
        let again = bad.into_iter().filter(|bad| found.iter().all(|other| other.path != bad.path));
        let again: Vec<Finding> = again
            .map(|bad| Finding::new(bad.kind, bad.what, bad.path, bad.detail).of(bad.build))
            .collect();
        found.extend(again);
        Ok(found)
    }

    /// Notes the end of the run, or how far it is.
    pub(super) async fn end(self, whole: bool) -> Result<Progress, Fault> {
        let mut call = self.store.hub.internal().await?;
        db::progress(&mut call.tx, self.store.run, self.progress, whole).await?;
        call.commit().await?;
        Ok(self.progress)
    }
}

/// Forgets what was wrong with files that are whole.
async fn whole_again(
    call: &mut crate::Call,
    reads: &[Read],
    same: &[(i64, String)],
) -> Result<(), Fault> {
    let damaged = db::damaged(&mut call.tx, DAMAGED).await?;
    if damaged.is_empty() {
        return Ok(());
    }
    let paths = reads.iter().map(|read| &read.path).chain(same.iter().map(|(_, path)| path));
    let whole: Vec<String> = match damaged.len() as i64 == DAMAGED {
        true => paths.cloned().collect(),
        false => {
            let paths: HashSet<&String> = paths.collect();
            damaged.into_iter().filter(|path| paths.contains(path)).collect()
        }
    };
    Ok(db::undamaged(&mut call.tx, &whole).await?)
}

/// Keeps what is wrong, and tells those who listen to events.
async fn note(call: &mut crate::Call, wrong: &[Finding]) -> Result<(), Fault> {
    for finding in wrong {
        let kind = finding.kind.name();
        db::damage(&mut call.tx, &finding.path, kind, &finding.detail, finding.build).await?;
        emit(call, finding);
    }
    Ok(())
}

fn emit(call: &mut crate::Call, finding: &Finding) {
    let body = map! {
        "path" => &finding.path, "kind" => finding.kind.name(), "what" => finding.what.name(),
        "detail" => &finding.detail, "build_id" => finding.build,
    };
    call.emit("store.damage", &format!("file:{}", finding.path), body);
}
