//! Digests of files that are not there: either the file is missing, or the record is stale.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use toji_db::scan as db;
use toji_store::{Kind as ItemKind, Volume, Volumes};
use toji_types::BuildState;
use toji_value::Fault;

use super::Watch;
use super::expect::{Gathered, Place, gather, is_lost};
use super::finding::{Finding, Kind, What};
use crate::{Hub, files};

/// Records that are looked at together.
const RECORDS: i64 = 5_000;

/// All records without a file that is where it should be.
pub(super) async fn run(
    hub: &Hub,
    volumes: &Arc<Volumes>,
    watch: &dyn Watch,
) -> Result<Vec<Finding>, Fault> {
    let (mut after, mut found) = (String::new(), Vec::new());
    while !watch.stopped() {
        let mut call = hub.reading();
        let rows = db::records(&mut call.tx, &after, RECORDS).await?;
        drop(call);
        let Some(last) = rows.last() else { break };
        after = last.get("path")?;
        let mut paths = Vec::with_capacity(rows.len());
        for row in &rows {
            paths.push(row.get::<String>("path")?);
        }
        let gone = without_file(volumes.clone(), paths).await?;
        if !gone.is_empty() {
            found.extend(explain(hub, volumes, gone).await?);
        }
    }
    Ok(found)
}

async fn without_file(volumes: Arc<Volumes>, paths: Vec<String>) -> Result<Vec<String>, Fault> {
    files::blocking(move || {
        let mut gone = Vec::new();
        // Of the build that was looked at last: whether it is there, and whether its volume is.
        let mut last: (String, bool, bool) = Default::default();
        for path in paths {
            if let Some((dir, _)) = build_of(&path)
                && last.0 != dir
            {
                // The old place of a build that was moved leads to the new one by a link.
                let item = match volumes.item(dir) {
                    Err(_) if volumes.silence(dir).is_some() => None,
                    item => item?,
                };
                let there = item.is_some_and(|item| item.kind == ItemKind::Dir);
                last = (dir.to_owned(), there, !there && is_lost(&volumes, dir)?);
            }
            let (there, lost) = match build_of(&path) {
                Some(_) => (last.1, last.2),
                None => (true, false),
            };
            let gone_now = !lost
                && match volumes.item(&path) {
                    // Nothing is known of what lies in a bucket that has stopped answering.
                    Err(_) if volumes.silence(&path).is_some() => false,
                    item => !there || item?.is_none(),
                };
            if gone_now {
                gone.push(path);
            }
        }
        Ok(gone)
    })
    .await
}

/// The directory of the build that a path lies in, and the names of package, version and release.
pub(super) fn build_of(path: &str) -> Option<(&str, [&str; 3])> {
    let rest = match path.strip_prefix("vol/") {
        Some(rest) => rest.split_once('/')?.1,
        None => path,
    };
    let rest = rest.strip_prefix("packages/")?;
    let mut parts = rest.splitn(4, '/');
    let names = [parts.next()?, parts.next()?, parts.next()?];
    let below = parts.next()?;
    Some((&path[..path.len() - below.len() - 1], names))
}

/// Tells files that are missing from records of what is no more.
async fn explain(
    hub: &Hub,
    volumes: &Arc<Volumes>,
    gone: Vec<String>,
) -> Result<Vec<Finding>, Fault> {
    let packages: HashSet<String> =
        gone.iter().filter_map(|path| Some(build_of(path)?.1[0].to_owned())).collect();
    let packages: Vec<String> = packages.into_iter().collect();
    let dirs: HashSet<&str> = gone.iter().filter_map(|path| Some(build_of(path)?.0)).collect();
    let mut call = hub.reading();
    let mut rows = db::builds_of(&mut call.tx, &packages).await?;
    drop(call);
    let mut keep = Vec::with_capacity(rows.len());
    for row in &rows {
        keep.push(dirs.contains(Place::of(row)?.dir.as_str()));
    }
    let mut keep = keep.into_iter();
    rows.retain(|_| keep.next().unwrap_or(false));
    let gathered = gather(hub, volumes, &rows).await?;
    let builds: HashMap<&str, &Gathered> =
        gathered.iter().map(|one| (one.place.dir.as_str(), one)).collect();
    let mut found = Vec::new();
    for path in &gone {
        let build = build_of(path).and_then(|(dir, _)| builds.get(dir).copied());
        match build {
            // The build's own rows expect it, or it has come back.
            Some(one) if one.expected.contains_key(path) && !one.expected[path].optional => {}
            Some(one) if one.found.contains_key(path) => {}
            Some(one) if one.place.state == BuildState::Building => {}
            Some(one) if one.place.state == BuildState::Complete => {
                let what = match one.expected.get(path) {
                    Some(expected) => expected.what,
                    None if path.contains("/data/logs/") => What::Log,
                    None => What::File,
                };
                found.push(Finding::new(Kind::Missing, what, path, "recorded").of(one.place.id));
            }
            other => {
                let finding = Finding::new(Kind::StaleRecord, What::File, path, "");
                found.push(match other {
                    Some(one) => finding.of(one.place.id),
                    None => finding,
                });
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_are_known_by_their_paths() {
        let names = ["a", "1", "2"];
        assert_eq!(build_of("packages/a/1/2/src/a.rpm"), Some(("packages/a/1/2", names)));
        assert_eq!(build_of("vol/x/packages/a/1/2/f"), Some(("vol/x/packages/a/1/2", names)));
        for other in ["packages/a/1/2", "work/packages/a/1/2/f", "vol/x", "vol/packages/a/1/2/f"] {
            assert_eq!(build_of(other), None, "{other}");
        }
    }
}
