//! Reading every file of the store: sums that are missing are computed, those that are known compared.

mod collect;
mod crew;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use toji_db::scan::{self as db, Progress};
use toji_store::sums::Rate;
use toji_store::{Algorithm, Kind as ItemKind, Volumes};
use toji_types::BuildState;
use toji_value::Fault;

use super::expect::{Gathered, gather};
use super::finding::{Finding, Kind, What};
use super::judge::Job;
use super::{Run, Watch, begin, build, places, volumes};
use crate::Hub;
use collect::Collector;
use crew::{Crew, Note};

/// Builds whose files are looked for at a time.
const BUILDS: i64 = 100;
/// The same at the beginning, when everybody waits for the first.
const FIRST_BUILDS: i64 = 8;
/// Paths that are asked for in one statement.
const PATHS: usize = 5_000;

/// How the store is read.
#[derive(Clone, Debug)]
pub struct Options {
    /// Runs of one kind go on with each other: `scan` by hand, `scrub` in the background.
    pub kind: &'static str,
    /// Files that are read at a time.
    pub jobs: usize,
    /// Bytes per second at most.
    pub rate: Option<u64>,
    /// Types of sums that are kept beside SHA-256.
    pub further: Vec<Algorithm>,
    /// Read only files of which a sum is missing.
    pub only_missing: bool,
    /// Begin anew although a run was interrupted.
    pub restart: bool,
    /// What was read is written at least this often: so much is read again after a crash.
    pub period: Duration,
}

impl Options {
    /// The name of such runs: one goes on with what another has left only if both want the same.
    fn name(&self) -> String {
        let base = match (self.kind, self.only_missing) {
            ("scan", true) => "missing",
            (kind, _) => kind,
        };
        let further = self.further.iter().map(|kind| kind.name());
        std::iter::once(base).chain(further).collect::<Vec<_>>().join("+")
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            kind: "scan",
            jobs: 1,
            rate: None,
            further: Vec::new(),
            only_missing: false,
            restart: false,
            period: Duration::from_secs(5),
        }
    }
}

/// What has come of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How far it is, runs that it went on with included.
    pub progress: Progress,
    /// Whether it went on with an interrupted run.
    pub resumed: bool,
    /// Whether it came to its end.
    pub whole: bool,
}

/// Reads the store once, or what an interrupted run has left of it.
///
/// # Errors
/// When the database fails, or a directory cannot be read.
pub async fn run(hub: &Hub, options: &Options, watch: &dyn Watch) -> Result<Summary, Fault> {
    let volumes = volumes(hub).await?;
    let Run { id: run, progress: begun, resumed } =
        begin(hub, &options.name(), options.restart).await?;
    let rate = Arc::new(Rate::new(options.rate).until(watch.halted()));
    let (crew, notes) = Crew::start(options.jobs, volumes.clone(), rate.clone());
    let store = Store { hub, volumes: &volumes, options, rate, run, watch };
    let mut collector = Collector::new(&store, begun).await?;
    let (fed, collected) =
        tokio::join!(store.feed(crew, begun.last_build), collector.collect(notes));
    fed?;
    collected?;
    let whole = !watch.stopped();
    let progress = collector.end(whole).await?;
    Ok(Summary { progress, resumed, whole })
}

/// What a run reads and how.
struct Store<'a> {
    hub: &'a Hub,
    volumes: &'a Arc<Volumes>,
    options: &'a Options,
    rate: Arc<Rate>,
    run: i64,
    watch: &'a dyn Watch,
}

impl Store<'_> {
    /// Hands out the files of all builds above a number; the readers end when this does.
    async fn feed(&self, crew: Crew, mut after: i64) -> Result<(), Fault> {
        let (mut number, mut ahead) = (FIRST_BUILDS, VecDeque::new());
        // What comes next is gathered while this is read; many readers are faster than one who gathers.
        let most = 2 + self.options.jobs / 8;
        while !self.watch.stopped() {
            while ahead.len() < most && number > 0 {
                let mut call = self.hub.reading();
                let rows = db::builds(&mut call.tx, after, number).await?;
                drop(call);
                let Some(last) = rows.last() else {
                    number = 0;
                    break;
                };
                (after, number) = (last.get("id")?, BUILDS);
                let (hub, volumes) = (self.hub.clone(), self.volumes.clone());
                ahead.push_back(tokio::spawn(async move { gather(&hub, &volumes, &rows).await }));
            }
            let Some(next) = ahead.pop_front() else { return Ok(()) };
            let lost = |_| Fault::unexpected("gathering of builds ended early");
            let gathered = next.await.map_err(lost)??;
            let further = self.known_further(&gathered).await?;
            let (mut jobs, mut files) = (Vec::new(), Vec::new());
            let (mut suspects, mut lost) = (HashSet::new(), HashSet::new());
            for one in &gathered {
                let (own, wrong) = match one.place.state {
                    BuildState::Complete => jobs_of(one, self.options, &further, Some(self.run)),
                    _ => (Vec::new(), false),
                };
                files.push((one.place.id, own.len()));
                jobs.extend(own);
                if wrong {
                    suspects.insert(one.place.id);
                }
                if one.lost && !one.expected.is_empty() {
                    lost.insert(places::volume_dir(&one.place.volume));
                }
            }
            if !crew.hand_out(Note::Builds { files, suspects, lost }, jobs).await {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Further sums that are kept already: paths and names of types.
    async fn known_further(&self, all: &[Gathered]) -> Result<HashMap<String, Vec<String>>, Fault> {
        let mut known: HashMap<String, Vec<String>> = HashMap::new();
        if self.options.further.is_empty() {
            return Ok(known);
        }
        let paths: Vec<String> = all.iter().flat_map(|one| one.found.keys().cloned()).collect();
        let mut call = self.hub.reading();
        for some in paths.chunks(PATHS) {
            for row in db::further(&mut call.tx, some).await? {
                known.entry(row.get("path")?).or_default().push(row.get("kind")?);
            }
        }
        Ok(known)
    }
}

/// The files of a build that are to be read, and whether names alone show that something is wrong.
fn jobs_of(
    one: &Gathered,
    options: &Options,
    kept: &HashMap<String, Vec<String>>,
    run: Option<i64>,
) -> (Vec<Job>, bool) {
    let mut jobs = Vec::new();
    if one.lost {
        return (jobs, false);
    }
    let mut wrong =
        one.expected.iter().any(|(path, e)| !e.optional && !one.found.contains_key(path))
            || !options.only_missing && one.recorded_only().next().is_some();
    for (path, item) in &one.found {
        let expected = one.expected.get(path);
        let what = match expected {
            Some(expected) => expected.what,
            None => match build::unexpected(one, item) {
                Ok(what) => what,
                // Strays are no part of the store; fsck names them.
                Err(_) => continue,
            },
        };
        if item.kind != ItemKind::File {
            wrong |= expected.is_some();
            continue;
        }
        let record = one.records.get(path);
        if run.is_some() && record.is_some_and(|record| record.run == run) {
            continue;
        }
        let has = |kind: &&Algorithm| {
            kept.get(path).is_none_or(|names| names.iter().all(|name| name != kind.name()))
        };
        let further: Vec<Algorithm> = options.further.iter().filter(has).copied().collect();
        if options.only_missing && record.is_some() && further.is_empty() {
            continue;
        }
        let place = (one.place.id, what);
        jobs.push(Job::new(place, (path, item.size), expected, record, &further));
    }
    (jobs, wrong)
}

/// What the names alone show of a build: files that are missing, or are none.
fn wrong_names(one: &Gathered, options: &Options) -> Vec<Finding> {
    let kinds = [Kind::Missing, Kind::NotAFile];
    let all = build::compare(one).into_iter();
    let wrong = |finding: &Finding| kinds.contains(&finding.kind) && finding.what != What::Build;
    let mut all: Vec<Finding> = all.filter(wrong).collect();
    if !options.only_missing {
        let gone = one.recorded_only();
        let missing = |(path, what)| Finding::new(Kind::Missing, what, path, "recorded");
        all.extend(gone.map(missing).map(|finding| finding.of(one.place.id)));
    }
    all
}
