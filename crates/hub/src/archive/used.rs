//! Which archives the Maven artifacts in a buildroot are.

use std::collections::HashMap;

use regex::Regex;
use toji_db::archive as db;
use toji_store::Area;
use toji_value::{Fault, FromValue, Map, Value};

use super::maven;
use super::pom::Gav;
use crate::build::typed::lacks;
use crate::{Call, build, files};

/// The tag of a buildroot's repository, at the event of the repository.
#[derive(Clone, Copy, Debug)]
pub struct Tag {
    /// The tag.
    pub id: i64,
    /// The event.
    pub event: i64,
}

/// A file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its directory, as the builder has it.
    pub path: String,
    /// Its size in bytes.
    pub size: i64,
}

/// An artifact with its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    gav: Gav,
    files: Vec<File>,
}

impl Entry {
    /// Reads what a builder tells: coordinates, and a list of files.
    ///
    /// # Errors
    /// When a member is missing.
    pub fn of(info: &Value, files: &Value) -> Result<Self, Fault> {
        let text = |key: &str| match info.get(key) {
            Value::Nil => Err(lacks(key)),
            other => Ok(other.display()),
        };
        let gav = Gav {
            group_id: text("group_id")?,
            artifact_id: text("artifact_id")?,
            version: text("version")?,
        };
        let mut all = Vec::new();
        for file in Vec::<Map>::from_value(files.clone())? {
            all.push(File {
                name: file.get("filename").ok_or_else(|| lacks("filename"))?.display(),
                path: file.value("path").display(),
                size: i64::from_value(file.get("size").ok_or_else(|| lacks("size"))?.clone())?,
            });
        }
        Ok(Entry { gav, files: all })
    }
}

/// What a builder asks.
#[derive(Clone, Debug)]
pub struct Question {
    /// The artifacts in the buildroot.
    pub entries: Vec<Entry>,
    /// Artifacts that need not be known.
    pub ignore: Vec<Entry>,
    /// Further sources of artifacts: numbers of tasks, and builds.
    pub extra: Vec<Value>,
    /// Whether unknown files are left out without a complaint.
    pub ignore_unknown: bool,
}

type Key = (String, String, String);

fn key(gav: &Gav) -> Key {
    (gav.group_id.clone(), gav.artifact_id.clone(), gav.version.clone())
}

/// The numbers of the archives that the files of a buildroot are.
///
/// # Errors
/// `BuildrootError` for a file that is neither known nor to be ignored.
pub async fn archives(call: &mut Call, tag: Tag, asked: Question) -> Result<Vec<i64>, Fault> {
    let mut index: HashMap<Key, i64> = HashMap::new();
    for archive in maven::in_tag(call, tag.id, Some(tag.event), true).await? {
        let build = archive.int("build_id").unwrap_or_default();
        index.entry(of_row(&archive, "")).or_insert(build);
    }
    let mut ignore = asked.ignore;
    for source in &asked.extra {
        match source {
            Value::Int(task) => ignore.extend(output(call, *task).await?),
            named => {
                let build = build::need(call, named).await?.id;
                for row in db::of_builds(&mut call.tx, &[build], Some("maven"), false).await? {
                    index.insert(of_row(&row.into_map(), "maven_"), build);
                }
            }
        }
    }
    let ignored = ignored(&ignore);
    let known = known(call, &asked.entries, &index).await?;
    let mut ids = Vec::new();
    for entry in &asked.entries {
        let label = entry.gav.label();
        for file in &entry.files {
            let found = known.get(&(key(&entry.gav), file.name.clone()));
            match found.filter(|(_, size)| *size == file.size) {
                Some((id, _)) => ids.push(*id),
                None if ignored.get(&(label.clone(), file.name.clone())) == Some(&file.size) => {}
                None if asked.ignore_unknown => {}
                None => {
                    let File { name, path, size } = file;
                    return Err(Fault::buildroot(format!(
                        "No such file in build environment: {path}/{name}, size: {size}"
                    )));
                }
            }
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

fn of_row(row: &Map, prefix: &str) -> Key {
    let text = |key: &str| row.value(&format!("{prefix}{key}")).display();
    (text("group_id"), text("artifact_id"), text("version"))
}

/// Number and size of each file of the builds that artifacts come from.
async fn known(
    call: &mut Call,
    entries: &[Entry],
    index: &HashMap<Key, i64>,
) -> Result<HashMap<(Key, String), (i64, i64)>, Fault> {
    let of = |entry: &Entry| index.get(&key(&entry.gav)).copied();
    let mut builds: Vec<i64> = entries.iter().filter_map(of).collect();
    builds.sort_unstable();
    builds.dedup();
    let mut found = HashMap::new();
    for row in db::of_builds(&mut call.tx, &builds, Some("maven"), false).await? {
        let row = row.into_map();
        let gav = of_row(&row, "maven_");
        // Another build may have the same coordinates; the index says which one counts.
        if index.get(&gav).copied() == row.int("build_id") {
            let what = (row.int("id").unwrap_or_default(), row.int("size").unwrap_or_default());
            found.insert((gav, row.value("filename").display()), what);
        }
    }
    Ok(found)
}

/// Sizes of files that need not be known, by label and name; a snapshot counts by both its names.
fn ignored(entries: &[Entry]) -> HashMap<(String, String), i64> {
    #[expect(clippy::expect_used, reason = "the pattern is constant and tested")]
    let stamp = Regex::new(r"-[0-9]{8}\.[0-9]{6}-[0-9]+").expect("a pattern");
    let mut all = HashMap::new();
    for entry in entries {
        let label = entry.gav.label();
        for file in &entry.files {
            let snapshot = stamp.replace_all(&file.name, "-SNAPSHOT").into_owned();
            all.insert((label.clone(), file.name.clone()), file.size);
            all.insert((label.clone(), snapshot), file.size);
        }
    }
    all
}

/// What a task has put into its directory, as a Maven repository.
async fn output(call: &Call, task: i64) -> Result<Vec<Entry>, Fault> {
    let area = Area::new(call.hub.paths.work(None));
    let dir = call.hub.paths.taskrelpath(task);
    let store = call.hub.store.clone();
    let below = files::below(&call.hub, &area.root().join(&dir));
    let walk = move || {
        let here = area.walk(&dir)?.into_iter().map(|entry| (entry.path, entry.meta.len()));
        let away = store.away(&below)?.into_iter().map(|(path, item)| (path, item.size));
        Ok(here.chain(away).collect::<Vec<_>>())
    };
    let walked = files::blocking(walk).await?;
    let entries = walked.into_iter();
    Ok(entries.filter_map(|(path, size)| artifact(&path, i64::try_from(size).ok()?)).collect())
}

/// `org/example/foo/1.0/foo-1.0.jar` as an artifact.
fn artifact(path: &str, size: i64) -> Option<Entry> {
    if [".log", ".md5", ".sha1"].iter().any(|end| path.ends_with(end)) {
        return None;
    }
    let parts: Vec<&str> = path.split('/').collect();
    let [group @ .., artifact, version, name] = parts.as_slice() else { return None };
    if group.is_empty() {
        return None;
    }
    let gav = Gav {
        group_id: group.join("."),
        artifact_id: (*artifact).to_owned(),
        version: (*version).to_owned(),
    };
    let file = File { name: (*name).to_owned(), path: String::new(), size };
    Some(Entry { gav, files: vec![file] })
}

#[cfg(test)]
mod tests {
    use super::{artifact, ignored};

    #[test]
    fn snapshots_count_by_both_names() {
        let path = "org/example/foo/1.0-SNAPSHOT/foo-1.0-20250101.101010-1.jar";
        let entry = artifact(path, 7).unwrap();
        assert_eq!(entry.gav.label(), "org.example-foo-1.0-SNAPSHOT");
        let all = ignored(&[entry]);
        for name in ["foo-1.0-20250101.101010-1.jar", "foo-1.0-SNAPSHOT.jar"] {
            let key = ("org.example-foo-1.0-SNAPSHOT".to_owned(), name.to_owned());
            assert_eq!(all.get(&key), Some(&7), "{name}");
        }
        for none in ["build.log", "foo/1.0/foo.jar", "org/foo/1.0/foo.jar.md5"] {
            assert_eq!(artifact(none, 1), None, "{none}");
        }
    }
}
