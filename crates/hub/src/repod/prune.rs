//! Directories of repositories that the database does not know, or knows as deleted.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use toji_db::{Row, lookup, repo as sql};
use toji_types::RepoState;
use toji_value::Fault;

use super::remove::{GONE, later, remove};
use crate::Hub;

/// A directory that a repository was to be made of is left over after so many seconds.
const ABANDONED: f64 = 86_400.0;

/// One look through the directories, by kojira's rules; what fails is logged and comes again.
pub async fn run(hub: &Hub) {
    if let Err(fault) = look(hub).await {
        tracing::warn!(%fault, "looking for stray repositories failed");
    }
}

/// A directory below that of a tag.
struct Found {
    path: PathBuf,
    tag: String,
    /// The repository's number; nothing for what a hub has named.
    id: Option<i64>,
    /// Seconds since 1970.
    changed: f64,
    /// Whether strays are removed here, too.
    strays: bool,
}

async fn look(hub: &Hub) -> Result<(), Fault> {
    let mut places = vec![
        (format!("{}/repos", hub.paths.topdir()), true),
        (format!("{}/repos-dist", hub.paths.topdir()), false),
    ];
    if !hub.config.repo.ignore_other_volumes {
        let mut tx = hub.db.begin();
        let names = lookup::names(&mut tx, lookup::Names::Volume).await?;
        for name in names.iter().filter(|name| *name != "DEFAULT") {
            places.push((format!("{}/repos-dist", hub.paths.volumedir(Some(name))), true));
        }
    }
    let found = crate::repo::init::blocking(move || {
        Ok(places
            .iter()
            .flat_map(|(dir, strays)| scan(Path::new(dir), *strays))
            .collect::<Vec<_>>())
    })
    .await?;
    for part in found.chunks(500) {
        let ids: Vec<i64> = part.iter().filter_map(|one| one.id).collect();
        let mut known = HashMap::new();
        for row in sql::states(&mut hub.db.begin(), &ids).await? {
            known.insert(row.get::<i64>("id")?, row);
        }
        for one in part {
            let row = one.id.and_then(|id| known.get(&id));
            if let Some(why) = judge(hub, one, row) {
                tracing::info!(path = %one.path.display(), why, "removing a stray repository");
                remove(hub, &one.path).await;
            }
        }
    }
    Ok(())
}

/// Why a directory is to go, if it is.
fn judge(hub: &Hub, one: &Found, row: Option<&Row>) -> Option<&'static str> {
    let options = &hub.config.repo;
    let old = |since: f64| hub.now() - since > options.expired_repo_lifetime;
    if one.id.is_none() {
        return (hub.now() - one.changed > ABANDONED).then_some("was not made to the end");
    }
    let Some(row) = row else {
        let stray = one.strays && !options.ignore_stray_repos && old(one.changed);
        return stray.then_some("no such repository");
    };
    let deleted = row.value("state").as_int() == Some(RepoState::Deleted as i64);
    let since = row.value("state_ts").as_f64().unwrap_or(0.0).max(one.changed);
    (deleted && old(since) && belongs(one, row)).then_some("is deleted")
}

/// Whether the directory is that repository's: the tag may have another name by now.
fn belongs(one: &Found, row: &Row) -> bool {
    if row.value("tag_name").as_str() == Some(one.tag.as_str()) {
        return true;
    }
    let text = std::fs::read(one.path.join("repo.json")).unwrap_or_default();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    json["tag_id"].as_i64() == row.value("tag_id").as_int()
}

/// What is in the directories of the tags, but for the latest ones; what was hidden before is removed.
fn scan(place: &Path, strays: bool) -> Vec<Found> {
    let mut found = Vec::new();
    let entries = |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten();
    for tag in entries(place).filter(|tag| tag.path().is_dir()) {
        let latest = std::fs::read_link(tag.path().join("latest")).ok();
        for entry in entries(&tag.path()) {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
            if name.starts_with(GONE) && meta.is_dir() {
                later(path);
                continue;
            }
            let id = name.parse().ok();
            let ours = id.is_some() || name.starts_with(".new-");
            let pointed = latest.as_deref() == Some(Path::new(&name));
            if !ours || pointed || !(meta.is_dir() || meta.is_symlink()) {
                continue;
            }
            let Ok(changed) = meta.modified() else { continue };
            let changed = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
            let tag = tag.file_name().to_string_lossy().into_owned();
            found.push(Found { path, tag, id, changed: changed.as_secs_f64(), strays });
        }
    }
    found
}
