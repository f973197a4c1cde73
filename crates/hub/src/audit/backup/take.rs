//! Taking a point: what is there is taken in first, then the database is held at a moment, and every file of that moment listed.
//!
//! Whoever deletes or moves a build meanwhile is not held up. Its files were taken in before the moment, or are found at their new
//! place; where neither is so, the database is taken anew, and by then everything else is there already.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use toji_bus::Bus;
use toji_db::scan::Progress;
use toji_store::vault::{Incoming, Vault};
use toji_store::{Error, Item, Volume as _, Volumes};
use toji_value::Fault;

use super::super::{Finding, Watch, volumes};
use super::manifest::{Entry, Writer};
use super::point::{self, Damage, Part, Place, Point};
use super::seen::Seen;
use super::settle::Lost;
use crate::{Hub, files};

/// How often the database is taken anew before the backup gives up.
const ROUNDS: u64 = 10;
/// How often it is told how far it is.
const TELL: Duration = Duration::from_secs(5);
/// How often it is asked whether to stop, while another program works.
const STOP: Duration = Duration::from_millis(100);
/// Damages that are kept in the description of a point; all are told.
const DAMAGES: usize = 1000;

/// How a point is taken.
#[derive(Clone, Debug)]
pub struct Options {
    /// Files that are read at a time.
    pub jobs: usize,
    /// Whether results of tasks, scratch builds and uploads belong to it.
    pub tasks: bool,
    /// Whether contents of volumes in object stores belong to it; otherwise they are only listed.
    pub buckets: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { jobs: 1, tasks: true, buckets: false }
    }
}

/// A file that belongs to a point.
#[derive(Clone, Debug)]
pub(super) struct Want {
    /// Where it is, below the top.
    pub(super) path: String,
    /// As it was listed.
    pub(super) size: u64,
    pub(super) modified: Option<i64>,
    /// What the database has of it: length and SHA-256.
    pub(super) record: Option<(u64, String)>,
}

impl Want {
    pub(super) fn of(item: &Item, record: Option<(u64, String)>) -> Want {
        let since = |time: std::time::SystemTime| {
            let age = time.duration_since(std::time::UNIX_EPOCH).ok()?;
            i64::try_from(age.as_nanos()).ok()
        };
        let modified = item.modified.and_then(since);
        Want { path: item.path.clone(), size: item.size, modified, record }
    }

    pub(super) fn entry(&self, size: u64, sha256: String) -> Entry {
        let (path, modified) = (self.path.clone(), self.modified);
        let recorded = self.record.as_ref().is_some_and(|(_, known)| *known == sha256);
        Entry { path, size, sha256, modified, recorded, ..Entry::default() }
    }
}

/// What has come of a file.
#[derive(Debug)]
pub(super) enum Got {
    /// Its content is kept, or need not be.
    Kept(Entry),
    /// It is not there any more.
    Gone,
    /// It cannot be read.
    Unreadable(String),
}

/// What takes a point.
pub(super) struct Taker<'a> {
    /// The store and its database as they are.
    pub(super) hub: &'a Hub,
    pub(super) vault: Arc<Vault>,
    pub(super) volumes: Arc<Volumes>,
    pub(super) options: &'a Options,
    pub(super) watch: &'a dyn Watch,
    pub(super) seen: Seen,
    /// Volumes that do not answer, each told once.
    pub(super) silent: BTreeSet<String>,
    new: (u64, u64),
    progress: Progress,
    told: Instant,
}

/// One going through everything.
pub(super) struct Pass<'a> {
    /// The database that is listed: as it is, or at a moment.
    pub(super) view: &'a Hub,
    /// The list; nothing while contents are only taken in.
    out: Option<Writer>,
    pub(super) point: Point,
    /// What the database has and the store did not show.
    pub(super) lost: Vec<Lost>,
}

impl Pass<'_> {
    pub(super) fn is_final(&self) -> bool {
        self.out.is_some()
    }

    /// Lists a file or link.
    pub(super) fn list(&mut self, entry: &Entry) -> Result<(), Fault> {
        let Some(out) = &mut self.out else { return Ok(()) };
        match (&entry.link, entry.elsewhere) {
            (Some(_), _) => self.point.links += 1,
            (None, elsewhere) => {
                self.point.files += 1;
                self.point.bytes += entry.size;
                self.point.elsewhere += u64::from(elsewhere);
            }
        }
        out.write(entry).map_err(fault)
    }
}

/// Ends when the run shall.
async fn stopped(watch: &dyn Watch) {
    while !watch.stopped() {
        tokio::time::sleep(STOP).await;
    }
}

pub(super) fn fault(error: Error) -> Fault {
    Fault::generic(error.to_string())
}

/// Takes a point.
///
/// # Errors
/// When database or store fail, when there is no room, and when builds are deleted faster than they can be listed; then there is no
/// point, and what was taken in serves the next backup.
pub async fn take(
    hub: &Hub,
    vault: Arc<Vault>,
    options: &Options,
    watch: &dyn Watch,
) -> Result<Point, Fault> {
    let (volumes, at) = (volumes(hub).await?, vault.clone());
    let (seen, making) =
        files::blocking(move || Ok((Seen::load(&at)?, point::begin(&at)?))).await?;
    let (new, progress, told) = ((0, 0), Progress::default(), Instant::now());
    let silent = BTreeSet::new();
    let mut taker =
        Taker { hub, vault, volumes, options, watch, seen, silent, new, progress, told };
    // Most of the time goes here, while nothing has to stay as it is.
    let (out, point, lost) = (None, Point::default(), Vec::new());
    taker.run(&mut Pass { view: hub, out, point, lost }).await?;
    for round in 1..=ROUNDS {
        if let Some(mut point) = taker.round(&making, round).await? {
            point.new_files = taker.new.0;
            point.new_bytes = taker.new.1;
            let (vault, finished) = (taker.vault.clone(), point.clone());
            files::blocking(move || point::finish(&vault, &making, &finished)).await?;
            taker.seen.forget().map_err(fault)?;
            return Ok(point);
        }
        tracing::info!(
            round,
            "files of the database's moment are gone: the database is taken anew"
        );
    }
    let words = "builds are deleted faster than they can be listed: try again when less is deleted";
    Err(Fault::generic(words))
}

impl Taker<'_> {
    /// Holds the database at a moment and lists everything of it; nothing if some of it was gone already.
    async fn round(&mut self, making: &Path, round: u64) -> Result<Option<Point>, Fault> {
        let moment = self.hub.now();
        let scratch: PathBuf = making.to_owned();
        let held = self.hub.db.snapshot(&scratch).await?;
        let view = Hub::with_outside(
            held.db().clone(),
            Bus::new(),
            self.hub.config.clone(),
            self.hub.clock.clone(),
            self.hub.random.clone(),
        );
        let mut point =
            Point { moment, rounds: round, tasks: self.options.tasks, ..Point::default() };
        point.id = point::name(&self.vault, moment).map_err(fault)?;
        point.version = env!("CARGO_PKG_VERSION").to_owned();
        point.engine = Point::engine_name(self.hub.db.engine()).to_owned();
        self.hub.paths.topdir().clone_into(&mut point.topdir);
        for name in toji_db::build::volumes(&mut view.reading().tx).await? {
            let remote = self.volumes.is_remote(&name);
            point.volumes.push(Place { name, remote });
        }
        let out = Some(Writer::create(&making.join("files.zst")).map_err(fault)?);
        let mut pass = Pass { view: &view, out, point, lost: Vec::new() };
        self.run(&mut pass).await?;
        let whole = self.settle(&mut pass).await?;
        let Pass { out, mut point, .. } = pass;
        drop(view);
        let database = making.join("database");
        if !whole {
            drop(held);
            toji_store::remove_tree(&making.join("database.sqlite")).map_err(fault)?;
            return Ok(None);
        }
        tokio::select! {
            written = held.write(&database) => written?,
            // Dumping a large database takes long; what does it ends with this.
            () = stopped(self.watch) => return Err(fault(Error::Halted)),
        }
        let making = making.to_owned();
        let engine = self.hub.db.engine();
        let parts = files::blocking(move || {
            out.map_or(Ok(()), Writer::finish)?;
            let name = pack(&making, engine)?;
            Ok((point::describe(&making, name)?, point::describe(&making, "files.zst")?))
        });
        let (database, manifest): (Part, Part) = parts.await?;
        (point.database, point.manifest) = (database, manifest);
        Ok(Some(point))
    }

    /// Goes through everything that the view has.
    async fn run(&mut self, pass: &mut Pass<'_>) -> Result<(), Fault> {
        self.progress = Progress::default();
        self.builds(pass).await?;
        self.repositories(pass).await?;
        self.others(pass).await?;
        self.tell(true);
        Ok(())
    }

    /// Takes files in, as far as their contents are not there; the answers are in the order of the questions.
    pub(super) async fn keep(&mut self, wants: Vec<Want>) -> Result<Vec<Got>, Fault> {
        if self.watch.stopped() {
            return Err(Fault::generic(
                "interrupted: the next backup goes on with what was taken in",
            ));
        }
        let mut got: Vec<Option<Got>> = Vec::with_capacity(wants.len());
        let mut open = Vec::new();
        for (number, want) in wants.iter().enumerate() {
            let there = self.known(want)?;
            if there.is_none() {
                open.push((number, want.clone()));
            }
            got.push(there.map(Got::Kept));
        }
        let fresh = self.read(open).await?;
        let kept = fresh.iter().filter_map(|(_, got)| match got {
            Got::Kept(entry) => Some(entry),
            _ => None,
        });
        self.seen.note(kept).map_err(fault)?;
        for (number, one) in fresh {
            got[number] = Some(one);
        }
        let all: Vec<Got> = got.into_iter().flatten().collect();
        self.progress.files += all.len() as u64;
        self.progress.bytes += wants.iter().map(|want| want.size).sum::<u64>();
        self.tell(false);
        Ok(all)
    }

    /// Whether the content of a path is left in its bucket.
    pub(super) fn stays(&self, path: &str) -> bool {
        let volume = path.strip_prefix("vol/").and_then(|rest| rest.split('/').next());
        !self.options.buckets && volume.is_some_and(|name| self.volumes.is_remote(name))
    }

    /// What needs no reading: contents that are there, or stay in their bucket.
    fn known(&self, want: &Want) -> Result<Option<Entry>, Fault> {
        let recorded = want.record.clone();
        if self.stays(&want.path) {
            let (size, sha256) = recorded.unwrap_or((want.size, String::new()));
            return Ok(Some(Entry { elsewhere: true, ..want.entry(size, sha256) }));
        }
        let (size, sha256) = match recorded {
            Some((size, sha256)) if size == want.size => (size, sha256),
            // What is as long as nobody expects is read.
            Some(_) => return Ok(None),
            None => match self.seen.digest(&want.path, want.size, want.modified) {
                Some(sha256) => (want.size, sha256),
                None => return Ok(None),
            },
        };
        let there = self.vault.has(&sha256, size).map_err(fault)?;
        Ok(there.then(|| want.entry(size, sha256)))
    }

    /// Reads files on several threads and takes their contents in.
    async fn read(&mut self, open: Vec<(usize, Want)>) -> Result<Numbered, Fault> {
        let (mut done, mut open) = (Vec::with_capacity(open.len()), open.into_iter());
        let jobs = self.options.jobs.max(1);
        loop {
            // Each takes every so many-th, until there is enough for one waiting for the disk.
            let some: Vec<(usize, Want)> = open.by_ref().take(jobs * 64).collect();
            if some.is_empty() {
                return Ok(done);
            }
            let mut shares: Vec<Vec<(usize, Want)>> = (0..jobs).map(|_| Vec::new()).collect();
            for (number, one) in some.into_iter().enumerate() {
                shares[number % jobs].push(one);
            }
            let work = shares.into_iter().map(|share| {
                let (vault, volumes) = (self.vault.clone(), self.volumes.clone());
                let halted = self.watch.halted();
                files::blocking(move || read_share(&vault, &volumes, &share, &halted))
            });
            for share in futures::future::join_all(work).await {
                let (share, new) = share?;
                self.new = (self.new.0 + new.0, self.new.1 + new.1);
                done.extend(share);
            }
        }
    }

    /// Something that is wrong with the store.
    pub(super) fn damage(&mut self, pass: &mut Pass<'_>, finding: &Finding) {
        self.progress.damaged += 1;
        if pass.point.damages.len() < DAMAGES {
            let Finding { path, detail, .. } = finding.clone();
            pass.point.damages.push(Damage { path, kind: finding.kind.name().to_owned(), detail });
        }
        self.watch.tell(finding);
    }

    pub(super) fn at_build(&mut self, id: i64) {
        self.progress.last_build = id;
    }

    fn tell(&mut self, now: bool) {
        if now || self.told.elapsed() >= TELL {
            self.told = Instant::now();
            self.watch.progress(&self.progress);
        }
    }
}

/// What has come of files, by their numbers.
type Numbered = Vec<(usize, Got)>;

/// Reads some files; contents have their names when this ends well.
fn read_share(
    vault: &Vault,
    volumes: &Volumes,
    share: &[(usize, Want)],
    halted: &std::sync::atomic::AtomicBool,
) -> Result<(Numbered, (u64, u64)), Error> {
    let (mut done, mut incoming, mut new): (_, Vec<Incoming>, _) =
        (Vec::with_capacity(share.len()), Vec::new(), (0, 0));
    let mut settle = |incoming: &mut Vec<Incoming>| {
        let (files, bytes) = vault.settle(std::mem::take(incoming))?;
        new = (new.0 + files, new.1 + bytes);
        Ok::<_, Error>(())
    };
    for (number, want) in share {
        let shown = Path::new(&want.path);
        let got = match volumes.open(&want.path) {
            Err(error) if error.is_missing() => Got::Gone,
            Err(error) => Got::Unreadable(error.to_string()),
            Ok(file) => match vault.take(file, shown, halted) {
                Ok(one) => {
                    let entry = want.entry(one.size, one.sha256.clone());
                    incoming.push(one);
                    Got::Kept(entry)
                }
                // The backup's own place fails, or it shall end.
                Err(error) if !is_of(&error, shown) => return Err(error),
                Err(error) => Got::Unreadable(error.to_string()),
            },
        };
        done.push((*number, got));
        if Vault::is_much(&incoming) {
            settle(&mut incoming)?;
        }
    }
    settle(&mut incoming)?;
    Ok((done, new))
}

/// Whether an error is one of this file.
fn is_of(error: &Error, shown: &Path) -> bool {
    matches!(error, Error::Io { path, .. } if path == shown)
}

/// The database as it is kept: an SQLite file is made smaller, archives of `pg_dump` are already.
fn pack(making: &Path, engine: toji_db::Engine) -> Result<&'static str, Error> {
    let plain = making.join("database");
    let (name, io) = match engine {
        toji_db::Engine::Postgres => ("database.dump", Error::io(&plain)),
        toji_db::Engine::Sqlite => ("database.sqlite.zst", Error::io(&plain)),
    };
    let to = making.join(name);
    let work = || match engine {
        toji_db::Engine::Postgres => std::fs::rename(&plain, &to),
        toji_db::Engine::Sqlite => {
            zstd::stream::copy_encode(
                std::fs::File::open(&plain)?,
                std::fs::File::create(&to)?,
                3,
            )?;
            std::fs::remove_file(&plain)
        }
    };
    work().map_err(io)?;
    Ok(name)
}
