//! From the store to the database: volumes, and directories that stand for builds, repositories and tasks.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use toji_db::scan as db;
use toji_store::{Item, Kind as ItemKind, Volume, Volumes};
use toji_types::RepoState;
use toji_value::Fault;

use super::Watch;
use super::build::is_leftover;
use super::expect::Place;
use super::finding::{Finding, Kind, What};
use crate::{Hub, files};

/// Directories that are looked up in the database together.
const BATCH: usize = 500;
/// A directory without a row is left alone for so long, in seconds: its row may not be committed yet.
const YOUNG: f64 = 86_400.0;

/// A part of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Packages,
    Repositories,
    Tasks,
}

/// The directory of a volume, below the top.
pub(super) fn volume_dir(name: &str) -> String {
    match name {
        "DEFAULT" => String::new(),
        name => format!("vol/{name}"),
    }
}

/// A volume that builds should lie on.
pub(super) fn lost(dir: String) -> Finding {
    let detail = "builds should be there, and nothing is";
    Finding::new(Kind::MissingVolume, What::Volume, dir, detail)
}

/// The directories of volumes, and the links that lead from them to the top.
pub(super) async fn volumes(hub: &Hub, volumes: &Arc<Volumes>) -> Result<Vec<Finding>, Fault> {
    let names = toji_db::build::volumes(&mut hub.reading().tx).await?;
    let (volumes, top) = (volumes.clone(), hub.paths.topdir().to_owned());
    files::blocking(move || {
        let mut found = Vec::new();
        for name in names.iter().filter(|name| *name != "DEFAULT") {
            let dir = volume_dir(name);
            if volumes.is_remote(name) {
                // It has no directory and no links: it is there if it answers.
                if let Err(error) = volumes.item(&dir) {
                    let detail = error.to_string();
                    found.push(Finding::new(Kind::MissingVolume, What::Volume, dir, detail));
                }
                continue;
            }
            if volumes.item(&dir)?.is_none() {
                found.push(Finding::new(Kind::MissingVolume, What::Volume, dir, "no directory"));
                continue;
            }
            let path = format!("{dir}/toplink");
            let detail = match volumes.item(&path)? {
                Some(Item { kind: ItemKind::Link(target), .. }) => {
                    let full = std::path::Path::new(&top).join(&dir).join(&target);
                    let same = |path: &std::path::Path| path.canonicalize().ok();
                    let leads = same(&full).is_some_and(|to| Some(to) == same(top.as_ref()));
                    if leads {
                        continue;
                    }
                    format!("it leads to {}", target.display())
                }
                Some(_) => "it is no link".to_owned(),
                None => "it is missing".to_owned(),
            };
            found.push(Finding::new(Kind::WrongToplink, What::Volume, path, detail));
        }
        Ok(found)
    })
    .await
}

/// Goes through one part of the store on every volume.
pub(super) async fn run(
    hub: &Hub,
    volumes: &Arc<Volumes>,
    step: Step,
    watch: &dyn Watch,
) -> Result<Vec<Finding>, Fault> {
    let mut found = Vec::new();
    let names = toji_db::build::volumes(&mut hub.reading().tx).await?;
    let moving = moving(hub).await?;
    for name in names {
        if watch.stopped() {
            break;
        }
        let dir = volume_dir(&name);
        let at = |rest: &str| match dir.as_str() {
            "" => rest.to_owned(),
            dir => format!("{dir}/{rest}"),
        };
        match step {
            Step::Packages => {
                let part = Part { hub, volumes, volume: &name, moving: &moving, watch };
                found.extend(part.packages(at("packages")).await?);
            }
            Step::Repositories => {
                if name == "DEFAULT" {
                    found.extend(repositories(hub, volumes, "repos".to_owned(), false).await?);
                    found.extend(missing_repositories(hub, volumes).await?);
                }
                found.extend(repositories(hub, volumes, at("repos-dist"), true).await?);
            }
            Step::Tasks => {
                found.extend(tasks(hub, volumes, at("work/tasks"), "").await?);
                found.extend(tasks(hub, volumes, at("scratch"), "task_").await?);
            }
        }
    }
    Ok(found)
}

pub(super) async fn list(volumes: &Arc<Volumes>, dir: String) -> Result<Vec<Item>, Fault> {
    let volumes = volumes.clone();
    files::blocking(move || answered(&volumes, &dir)).await
}

/// What lies in a directory; nothing in a bucket that does not answer, which is told of once.
fn answered(volumes: &Volumes, dir: &str) -> Result<Vec<Item>, toji_store::Error> {
    match volumes.list(dir) {
        Err(_) if volumes.silence(dir).is_some() => Ok(Vec::new()),
        items => items,
    }
}

/// Everything so many levels below a directory.
async fn level(volumes: &Arc<Volumes>, dir: String, levels: usize) -> Result<Vec<Item>, Fault> {
    let volumes = volumes.clone();
    files::blocking(move || {
        let mut items = answered(&volumes, &dir)?;
        for _ in 1..levels {
            let mut next = Vec::new();
            for item in items.iter().filter(|item| item.kind == ItemKind::Dir) {
                next.extend(answered(&volumes, &item.path)?);
            }
            items = next;
        }
        Ok(items)
    })
    .await
}

/// Whether something may still be written: it was changed not long before `now`.
pub(super) fn is_young(now: f64, item: &Item) -> bool {
    let since = |time: std::time::SystemTime| {
        time.duration_since(std::time::UNIX_EPOCH).map_or(0.0, |age| age.as_secs_f64())
    };
    item.modified.is_some_and(|time| now - since(time) < YOUNG)
}

/// The copies of builds that are on their way to another place, by the journal: paths below the top.
async fn moving(hub: &Hub) -> Result<HashSet<String>, Fault> {
    let rows = db::imports(&mut hub.reading().tx).await?;
    let mut found = HashSet::new();
    for row in rows {
        let steps = row.value("steps").as_array().unwrap_or_default();
        let trees = steps.iter().filter_map(|step| step.get("tree").as_str());
        found.extend(trees.map(|tree| files::below(hub, tree.as_ref())));
    }
    Ok(found)
}

/// The packages on a volume.
struct Part<'a> {
    hub: &'a Hub,
    volumes: &'a Arc<Volumes>,
    volume: &'a str,
    moving: &'a HashSet<String>,
    watch: &'a dyn Watch,
}

/// Builds by their names, versions and releases.
type Known = HashMap<(String, String, String), Place>;

impl Part<'_> {
    /// Directories and links in the places of builds.
    async fn packages(&self, dir: String) -> Result<Vec<Finding>, Fault> {
        let all = list(self.volumes, dir).await?;
        let mut found = Vec::new();
        for some in all.chunks(BATCH) {
            let names: Vec<String> = some.iter().map(|item| item.name().to_owned()).collect();
            let rows = db::builds_of(&mut self.hub.reading().tx, &names).await?;
            let mut known = Known::new();
            for row in &rows {
                let place = Place::of(row)?;
                let nvr = (place.name.clone(), place.version.clone(), place.release.clone());
                known.insert(nvr, place);
            }
            for package in some {
                if self.watch.stopped() {
                    return Ok(found);
                }
                if package.kind != ItemKind::Dir {
                    let detail = "it is no directory of a package";
                    found.push(Finding::new(Kind::Stray, What::File, &package.path, detail));
                    continue;
                }
                for item in level(self.volumes, package.path.clone(), 2).await? {
                    found.extend(self.release(package.name(), &item, &known));
                }
            }
        }
        Ok(found)
    }

    /// What lies in the place of a release: a build that is looked at with its rows, a link, or a stray.
    fn release(&self, package: &str, item: &Item, known: &Known) -> Option<Finding> {
        let mut parts = item.path.rsplit('/');
        let (release, version) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        let place = known.get(&(package.to_owned(), version.clone(), release.clone()));
        if let Some(place) = place {
            // Its own volume and the link on the default one were looked at with its rows.
            let own = place.volume == self.volume || self.volume == "DEFAULT";
            let detail = format!("the build lies on {}", place.volume);
            let wrong = Finding::new(Kind::WrongVolume, What::Build, &item.path, detail);
            return (!own).then(|| wrong.of(place.id));
        }
        if is_leftover(&release) {
            let old = !is_young(self.hub.now(), item) && !self.moving.contains(&item.path);
            let detail = "the copy of an interrupted move";
            return old.then(|| Finding::new(Kind::Leftover, What::Build, &item.path, detail));
        }
        // The old name of a draft that was promoted is a link to the build.
        let promoted = release.split_once(",draft_").is_some_and(|(release, id)| {
            let place = known.get(&(package.to_owned(), version, release.to_owned()));
            place.is_some_and(|place| place.id.to_string() == id)
        });
        if promoted && matches!(item.kind, ItemKind::Link(_)) || is_young(self.hub.now(), item) {
            return None;
        }
        let detail = match &item.kind {
            ItemKind::Link(target) => format!("a link to {}", target.display()),
            ItemKind::Dir => "a directory".to_owned(),
            _ => format!("{} bytes", item.size),
        };
        Some(Finding::new(Kind::UnknownBuild, What::Build, &item.path, detail))
    }
}

/// Directories in the places of repositories: TAG/ID.
async fn repositories(
    hub: &Hub,
    volumes: &Arc<Volumes>,
    dir: String,
    dist: bool,
) -> Result<Vec<Finding>, Fault> {
    let items = level(volumes, dir, 2).await?;
    let mut found = Vec::new();
    let numbered: Vec<(i64, &Item)> =
        items.iter().filter_map(|item| Some((item.name().parse().ok()?, item))).collect();
    for some in numbered.chunks(BATCH) {
        let ids: Vec<i64> = some.iter().map(|(id, _)| *id).collect();
        let mut states: HashMap<i64, RepoState> = HashMap::new();
        for row in toji_db::repo::states(&mut hub.reading().tx, &ids).await? {
            let state = RepoState::try_from(row.get::<i64>("state")?);
            let state = state.map_err(|e| Fault::generic(e.to_string()))?;
            if row.value("dist").truthy() == dist {
                states.insert(row.get("id")?, state);
            }
        }
        for (id, item) in some {
            let detail = match states.get(id) {
                Some(RepoState::Deleted) => "deleted",
                Some(_) => continue,
                None => "unknown",
            };
            if !is_young(hub.now(), item) {
                found.push(Finding::new(
                    Kind::StrayRepository,
                    What::Repository,
                    &item.path,
                    detail,
                ));
            }
        }
    }
    Ok(found)
}

/// Repositories that are in use and have no directory.
async fn missing_repositories(hub: &Hub, volumes: &Arc<Volumes>) -> Result<Vec<Finding>, Fault> {
    let used = [RepoState::Ready.number(), RepoState::Expired.number()];
    let (mut after, mut found) = (0, Vec::new());
    loop {
        let rows = db::repos_in(&mut hub.reading().tx, &used, after, BATCH as i64).await?;
        let Some(last) = rows.last() else { return Ok(found) };
        after = last.get("id")?;
        let mut wanted = Vec::new();
        for row in &rows {
            let (id, tag): (i64, String) = (row.get("id")?, row.get("tag")?);
            let top = if row.value("dist").truthy() { "repos-dist" } else { "repos" };
            wanted.push(format!("{top}/{tag}/{id}"));
        }
        let volumes = volumes.clone();
        found.extend(
            files::blocking(move || {
                let mut found = Vec::new();
                for path in wanted {
                    // A link may lead to another volume.
                    if volumes.item(&path)?.is_none() {
                        found.push(Finding::new(
                            Kind::MissingRepository,
                            What::Repository,
                            path,
                            "",
                        ));
                    }
                }
                Ok(found)
            })
            .await?,
        );
    }
}

/// Directories in the places of tasks' results.
async fn tasks(
    hub: &Hub,
    volumes: &Arc<Volumes>,
    dir: String,
    before: &str,
) -> Result<Vec<Finding>, Fault> {
    let items = level(volumes, dir, 2).await?;
    let number = |item: &Item| item.name().strip_prefix(before)?.parse::<i64>().ok();
    let numbered: Vec<(i64, &Item)> =
        items.iter().filter_map(|item| Some((number(item)?, item))).collect();
    let mut found = Vec::new();
    for some in numbered.chunks(BATCH) {
        let ids: Vec<i64> = some.iter().map(|(id, _)| *id).collect();
        let mut known = HashSet::new();
        for row in toji_db::task::states(&mut hub.reading().tx, &ids).await? {
            known.insert(row.get::<i64>("id")?);
        }
        for (_, item) in some.iter().filter(|(id, _)| !known.contains(id)) {
            if !is_young(hub.now(), item) {
                found.push(Finding::new(Kind::StrayTask, What::Task, &item.path, ""));
            }
        }
    }
    Ok(found)
}
