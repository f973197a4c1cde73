//! A point put back: into an empty database and an empty top directory, which are compared when all is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use toji_bus::Bus;
use toji_db::scan::Progress;
use toji_db::{Db, snapshot};
use toji_store::vault::Vault;
use toji_store::{Algorithm, Error, Kind as ItemKind, Local, Store, Volume as _, write_durably};
use toji_value::Fault;

use super::super::{Watch, fsck};
use super::check::unpacked;
use super::manifest::{Entry, Reader};
use super::point::Point;
use super::take::fault;
use crate::{Config, Hub, files};

/// What tells that a point is being restored, and which.
const MARK: &str = ".toji-restore";
/// Files that are restored together.
const TOGETHER: usize = 256;

/// Where a point goes.
#[derive(Clone, Debug)]
pub struct Target {
    /// The database, which must be empty.
    pub url: String,
    /// Top directory and volumes.
    pub config: Config,
    /// Files that are written at a time.
    pub jobs: usize,
}

/// What has come of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Files that were written, or were there from a restoration that was interrupted.
    pub files: u64,
    /// The length of their contents, in bytes.
    pub bytes: u64,
    /// Links that were made.
    pub links: u64,
    /// What the comparison of database and store has found.
    pub fsck: fsck::Summary,
}

/// The places that files go to.
struct Places {
    top: PathBuf,
    /// Where the store was, which absolute links may name.
    before: PathBuf,
    default: Local,
    named: BTreeMap<String, Local>,
    store: Store,
    vault: Arc<Vault>,
    halted: Arc<AtomicBool>,
    /// Whether files may be there from before.
    resumed: bool,
}

/// Restores a point and compares: what was interrupted goes on when it is asked for again.
///
/// # Errors
/// When database or top directory are not empty, when the backup is damaged, when a place refuses.
pub async fn restore(
    vault: &Arc<Vault>,
    point: &Point,
    target: &Target,
    watch: &dyn Watch,
) -> Result<Restored, Fault> {
    if !snapshot::is_empty(&target.url).await? {
        return Err(Fault::generic(
            "there are tables in the database: a point goes into an empty one",
        ));
    }
    let (at, wanted, config) = (vault.clone(), point.clone(), target.config.clone());
    let halted = watch.halted();
    let opened = files::blocking(move || {
        let list = Reader::open(&wanted.part(&at, &wanted.manifest)?)?;
        Ok((Arc::new(places(at, &wanted, &config, halted)?), list))
    });
    let (places, list) = opened.await?;
    let mut done = contents(&places, list, target.jobs, watch).await?;
    let (at, wanted, to) = (vault.clone(), point.clone(), places.clone());
    done.links = files::blocking(move || links(&to, &wanted, &at)).await?;
    let database = unpacked(vault, point, Some(&places.top)).await?;
    snapshot::restore(&target.url, database.path()).await?;
    drop(database);
    let db = Db::open(&target.url, &toji_db::Options::default()).await?;
    db.migrate().await?;
    let mut tx = db.begin_write().await?;
    // What was to be done with files at the moment of the point is done: they are as the rows say. The paths are those of the old place.
    toji_db::journal::clear(&mut tx).await?;
    tx.commit().await?;
    let hub = Hub::new(db.clone(), Bus::new(), target.config.clone());
    let options = fsck::Options { repair: false, restart: true };
    done.fsck = fsck::run(&hub, &options, watch).await?;
    drop(hub);
    db.close().await;
    toji_store::remove_tree(&places.top.join(MARK)).map_err(fault)?;
    Ok(done)
}

/// The directories of a point, empty or with what the same restoration has left.
fn places(
    vault: Arc<Vault>,
    point: &Point,
    config: &Config,
    halted: Arc<AtomicBool>,
) -> Result<Places, Error> {
    let top = config.topdir.clone();
    let mark = top.join(MARK);
    let refuse =
        |path: &Path, words: &str| Err(Error::io(path)(std::io::Error::other(words.to_owned())));
    let begun = match std::fs::read_to_string(&mark) {
        Ok(text) => Some(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(Error::io(&mark)(e)),
    };
    let resumed = match begun {
        Some(id) if id.trim() == point.id => true,
        Some(_) => return refuse(&top, "another point is being restored there"),
        None => false,
    };
    let store = Store::new(&top, config.object_volumes.clone());
    let mut dirs = vec![(None, top.clone())];
    for place in point.volumes.iter().filter(|place| place.name != "DEFAULT") {
        let name = toji_store::join(&[&place.name])?;
        match (place.remote, store.remote(&name).is_some()) {
            (true, true) => {}
            (false, false) => dirs.push((Some(name.clone()), top.join("vol").join(name))),
            (true, false) => {
                return refuse(
                    &top,
                    &format!("the volume {name} was in an object store: configure it"),
                );
            }
            (false, true) => {
                return refuse(
                    &top,
                    &format!(
                        "the volume {name} was a directory, and is configured as an object store"
                    ),
                );
            }
        }
    }
    for (_, dir) in &dirs {
        let found = Local::new(dir)?.walk("")?;
        if !resumed && let Some(item) = found.iter().find(|item| item.kind == ItemKind::File) {
            return refuse(
                &dir.join(&item.path),
                "a point goes into an empty directory, and this is there",
            );
        }
    }
    write_durably(&mark, format!("{}\n", point.id).as_bytes())?;
    let mut named = BTreeMap::new();
    for (name, dir) in dirs {
        let packages = dir.join("packages");
        std::fs::create_dir_all(&packages).map_err(Error::io(&packages))?;
        if let Some(name) = name {
            let real = std::fs::symlink_metadata(&dir).is_ok_and(|meta| meta.is_dir());
            let volume = Local::new(&dir)?;
            volume.link("toplink", if real { Path::new("../..") } else { &top })?;
            named.insert(name, volume);
        }
    }
    let default = Local::new(&top)?;
    let before = PathBuf::from(&point.topdir);
    Ok(Places { top, before, default, named, store, vault, halted, resumed })
}

impl Places {
    /// The directory that a path is in, and the path there; nothing for object stores.
    fn at<'p>(&self, path: &'p str) -> Option<(&Local, &'p str)> {
        let Some((name, below)) = path.strip_prefix("vol/").and_then(|rest| rest.split_once('/'))
        else {
            return Some((&self.default, path));
        };
        if self.store.remote(name).is_some() {
            return None;
        }
        Some(self.named.get(name).map_or((&self.default, path), |volume| (volume, below)))
    }

    /// Puts a file in its place.
    fn put(&self, entry: &Entry) -> Result<(), Error> {
        let full = self.top.join(toji_store::normalize(&entry.path)?);
        let Some((volume, path)) = self.at(&entry.path) else {
            if self.store.file(&full)?.is_some_and(|(size, _)| size == entry.size) {
                return Ok(());
            }
            let mut failed = None;
            let written = self.store.write(&full, |to| self.copy(entry, to, &mut failed));
            return failed.map_or(written.map(drop), Err);
        };
        if self.resumed && self.is_there(volume, path, entry)? {
            return Ok(());
        }
        let mut failed = None;
        let written = volume.write(path, |file| {
            self.copy(entry, &mut *file, &mut failed)?;
            let since = entry.modified.and_then(|nanos| u64::try_from(nanos).ok());
            let time = since.and_then(|nanos| {
                std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_nanos(nanos))
            });
            time.map_or(Ok(()), |time| file.set_modified(time))
        });
        failed.map_or(written, Err)
    }

    fn copy(
        &self,
        entry: &Entry,
        mut to: impl std::io::Write,
        failed: &mut Option<Error>,
    ) -> std::io::Result<()> {
        match self.vault.read(&entry.sha256, &mut to, &self.halted) {
            Ok(_) => Ok(()),
            Err(error) => {
                let words = error.to_string();
                *failed = Some(error);
                Err(std::io::Error::other(words))
            }
        }
    }

    /// Whether an interrupted restoration has written a file.
    fn is_there(&self, volume: &Local, path: &str, entry: &Entry) -> Result<bool, Error> {
        let item = volume.item(path)?;
        if !item.is_some_and(|item| item.kind == ItemKind::File && item.size == entry.size) {
            return Ok(false);
        }
        let mut hasher = toji_store::Hasher::new(Algorithm::Sha256);
        let copied = std::io::copy(&mut volume.open(path)?, &mut hasher);
        copied.map_err(Error::io(path))?;
        Ok(hasher.finish() == entry.sha256)
    }
}

/// Writes all files whose contents the backup has.
async fn contents(
    places: &Arc<Places>,
    mut list: Reader,
    jobs: usize,
    watch: &dyn Watch,
) -> Result<Restored, Fault> {
    let (mut done, jobs) = (Restored::default(), jobs.max(1));
    let mut told = std::time::Instant::now();
    loop {
        let (left, mut some) = files::blocking(move || {
            let mut some = Vec::new();
            while some.len() < TOGETHER {
                match list.next().transpose()? {
                    Some(entry) if entry.is_kept() => some.push(entry),
                    Some(_) => {}
                    None => break,
                }
            }
            Ok((list, some))
        })
        .await?;
        list = left;
        let bytes: u64 = some.iter().map(|entry| entry.size).sum();
        let count = some.len() as u64;
        let share = some.len().div_ceil(jobs).max(1);
        let mut work = Vec::new();
        while !some.is_empty() {
            let share: Vec<Entry> = some.drain(..share.min(some.len())).collect();
            let places = places.clone();
            work.push(files::blocking(move || {
                share.iter().try_for_each(|entry| places.put(entry))
            }));
        }
        for one in futures::future::join_all(work).await {
            one?;
        }
        done.files += count;
        done.bytes += bytes;
        if count == 0 || told.elapsed().as_secs() >= 5 {
            told = std::time::Instant::now();
            let (files, bytes) = (done.files, done.bytes);
            watch.progress(&Progress { files, bytes, ..Progress::default() });
        }
        if count == 0 {
            return Ok(done);
        }
    }
}

/// Makes all links; they come last, so that no file goes through one.
fn links(places: &Places, point: &Point, vault: &Vault) -> Result<u64, Error> {
    let mut count = 0;
    for entry in Reader::open(&point.dir(vault).join(&point.manifest.name))? {
        let entry = entry?;
        let (Some(target), Some((volume, path))) = (&entry.link, places.at(&entry.path)) else {
            continue;
        };
        let target = Path::new(target);
        // One that named the old place by its full path names the new one.
        let moved = target.strip_prefix(&places.before).map(|rest| places.top.join(rest));
        volume.link(path, moved.as_deref().unwrap_or(target))?;
        count += 1;
    }
    Ok(count)
}
