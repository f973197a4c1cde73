//! What was read is written in batches, and what is wrong looked at again before it is told.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use toji_db::scan::{self as db, Progress, Read};
use toji_store::Volumes;
use toji_store::sums::{BUFFER, Rate};
use toji_types::BuildState;
use toji_value::{Fault, map};
use tokio::sync::mpsc;

use super::super::expect::gather_ids;
use super::super::finding::Finding;
use super::super::judge::{Bad, Verdict};
use super::super::{Watch, named};
use super::crew::Note;
use super::{Options, jobs_of, wrong_names};
use crate::{Hub, files};

/// Files that are written in one transaction.
const FILES: usize = 5_000;
/// What was read is written at least this often: so much is read again after a crash.
const PERIOD: Duration = Duration::from_secs(5);

/// A batch of builds of which not everything is written.
struct Batch {
    last: i64,
    left: usize,
}

/// Takes what the readers find.
pub(super) struct Collector<'a> {
    hub: &'a Hub,
    volumes: &'a Arc<Volumes>,
    options: &'a Options,
    run: i64,
    progress: Progress,
    watch: &'a dyn Watch,
    open: BTreeMap<u64, Batch>,
    reads: Vec<Read>,
    suspects: HashSet<i64>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(
        hub: &'a Hub,
        volumes: &'a Arc<Volumes>,
        options: &'a Options,
        run: i64,
        progress: Progress,
        watch: &'a dyn Watch,
    ) -> Self {
        let (open, reads, suspects) = (BTreeMap::new(), Vec::new(), HashSet::new());
        Collector { hub, volumes, options, run, progress, watch, open, reads, suspects }
    }

    /// Takes notes until nobody is left to write any.
    pub(super) async fn collect(&mut self, mut notes: mpsc::Receiver<Note>) -> Result<(), Fault> {
        let mut tick = tokio::time::interval(PERIOD);
        tick.tick().await;
        loop {
            tokio::select! {
                note = notes.recv() => match note {
                    Some(note) => self.take(note),
                    None => return self.flush().await,
                },
                _ = tick.tick() => self.flush().await?,
            }
            if self.reads.len() >= FILES {
                self.flush().await?;
            }
        }
    }

    fn take(&mut self, note: Note) {
        match note {
            Note::Batch { batch, last, files, suspects } => {
                self.open.insert(batch, Batch { last, left: files });
                self.suspects.extend(suspects);
            }
            Note::Read { batch, verdicts } => {
                if let Some(batch) = self.open.get_mut(&batch) {
                    batch.left = batch.left.saturating_sub(verdicts.len());
                }
                for (size, verdict) in verdicts {
                    self.progress.files += 1;
                    self.progress.bytes += size;
                    match verdict {
                        Verdict::Good(read) => self.reads.push(read),
                        Verdict::Bad(bad) => drop(self.suspects.insert(bad.build)),
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
        while let Some(first) = self.open.first_entry().filter(|first| first.get().left == 0) {
            self.progress.last_build = first.remove().last;
        }
        self.progress.damaged += wrong.len() as u64;
        let reads = std::mem::take(&mut self.reads);
        let mut call = self.hub.internal().await?;
        db::save(&mut call.tx, self.run, &reads).await?;
        note(&mut call, &wrong).await?;
        db::progress(&mut call.tx, self.run, self.progress, false).await?;
        call.commit().await?;
        wrong.iter().for_each(|finding| self.watch.tell(finding));
        self.watch.progress(&self.progress);
        Ok(())
    }

    /// Looks again at the builds that something seems wrong with, as they are now: they may have been moved, signed or
    /// deleted meanwhile.
    async fn look_again(&mut self) -> Result<Vec<Finding>, Fault> {
        let ids: Vec<i64> = self.suspects.drain().collect();
        let gathered = gather_ids(self.hub, self.volumes, &ids).await?;
        let mut found = Vec::new();
        let mut jobs = Vec::new();
        for one in gathered.iter().filter(|one| one.place.state == BuildState::Complete) {
            found.extend(wrong_names(one));
            jobs.extend(jobs_of(one, self.options, &HashMap::new(), Some(self.run)).0);
        }
        let volumes = self.volumes.clone();
        let mut bad: Vec<Bad> = files::blocking(move || {
            let (mut buffer, rate) = (vec![0; BUFFER], Rate::new(None));
            let verdicts = jobs.iter().map(|job| job.run(&*volumes, &rate, &mut buffer));
            let bad = verdicts.filter_map(|verdict| match verdict {
                Verdict::Bad(bad) => Some(bad),
                Verdict::Good(_) => None,
            });
            Ok(bad.collect())
        })
        .await?;
        named::name(self.hub, &mut bad).await?;
        found.extend(
            bad.into_iter()
                .map(|bad| Finding::new(bad.kind, bad.what, bad.path, bad.detail).of(bad.build)),
        );
        Ok(found)
    }

    /// Notes files that are recorded and gone, which no row expects.
    pub(super) async fn missing(&mut self, found: &[Finding]) -> Result<(), Fault> {
        self.progress.damaged += found.len() as u64;
        let mut call = self.hub.internal().await?;
        note(&mut call, found).await?;
        call.commit().await?;
        found.iter().for_each(|finding| self.watch.tell(finding));
        Ok(())
    }

    /// Notes the end of the run, or how far it is.
    pub(super) async fn end(self, whole: bool) -> Result<Progress, Fault> {
        let mut call = self.hub.internal().await?;
        db::progress(&mut call.tx, self.run, self.progress, whole).await?;
        call.commit().await?;
        Ok(self.progress)
    }
}

/// Keeps what is wrong, and tells those who listen to events.
async fn note(call: &mut crate::Call, wrong: &[Finding]) -> Result<(), Fault> {
    for finding in wrong {
        let kind = finding.kind.name();
        db::damage(&mut call.tx, &finding.path, kind, &finding.detail, finding.build).await?;
        let body = map! {
            "path" => &finding.path, "kind" => kind, "what" => finding.what.name(),
            "detail" => &finding.detail, "build_id" => finding.build,
        };
        call.emit("store.damage", &format!("file:{}", finding.path), body);
    }
    Ok(())
}
