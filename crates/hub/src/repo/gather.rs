//! What a tag's repository is made of, written into a directory that has no number yet.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use toji_db::Row;
use toji_types::arch::canonical;
use toji_value::{Args, Fault, Map, Value, map};

use super::comps;
use super::init::blocking;
use super::maven::{self, Artifacts};
use crate::dispatch::invoke;
use crate::package::{self, Question};
use crate::session::start::random_text;
use crate::tag::Tag;
use crate::tagged::{self, Filter, Latest, RpmFilter};
use crate::{Call, fragment};

/// Builds whose RPMs are in memory at a time.
const BATCH: usize = 1000;

/// A repository's directory before it has its name; it is removed if it never gets one.
pub(super) struct Staged {
    dir: PathBuf,
}

impl Staged {
    /// Gives the directory its final name. One of that name is the leftover of a failed attempt: ids are given once.
    pub(super) fn publish(self, dir: &Path, info: &Value) -> io::Result<()> {
        std::fs::write(self.dir.join("repo.json"), format!("{:#}\n", info.to_json()))?;
        match std::fs::remove_dir_all(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::fs::rename(&self.dir, dir)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // A published one has gone from here.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// What is the same for all arches.
struct Common {
    comps: String,
    blocked: String,
    maven: Option<Artifacts>,
}

/// The lists of one arch, or a part of them: places of packages, and what is known of them (one JSON object in a line).
#[derive(Default)]
struct Lists {
    packages: String,
    rpms: String,
}

/// The files that the lists of one arch go to.
struct Files {
    packages: File,
    rpms: File,
}

/// Writes what belongs into a tag's repository at an event.
///
/// The RPMs are read some builds at a time, so that large tags take no more memory than small ones.
///
/// # Errors
/// When the database fails, the disk is full, or Maven's part is wanted and the hub has none.
pub(super) async fn stage(
    call: &mut Call,
    tag: &Tag,
    event: i64,
    opts: &Map,
) -> Result<Staged, Fault> {
    let all = tag.extra("repo_include_all").is_some_and(Value::truthy);
    let latest = if all { Latest::All } else { Latest::Newest(1) };
    let filter = Filter { event: Some(event), ..Filter::default() };
    let builds = tagged::builds(call, tag.id, true, latest, &filter).await?;
    let common = common(call, tag, event, opts).await?;
    let parent = PathBuf::from(call.hub.paths.repo(0, &tag.name));
    let parent = parent.parent().map(Path::to_path_buf).unwrap_or_default();
    let staged = Staged { dir: parent.join(format!(".new-{}", random_text(call, 16))) };
    let arches = arches(tag, opts);
    let (dir, names) = (staged.dir.clone(), arches.clone());
    let mut files = blocking(move || create(&dir, &common, &names)).await?;
    let by_id: HashMap<i64, &Row> =
        builds.iter().filter_map(|b| Some((b.value("build_id").as_int()?, b))).collect();
    let filter = RpmFilter { extra: true, ..RpmFilter::default() };
    for batch in tagged::batches(&builds, BATCH)? {
        let rpms = toji_db::tagged::rpms(&mut call.tx, &batch, &filter).await?;
        let lists = sort_rpms(&by_id, rpms, &arches, opts)?;
        files = blocking(move || append(files, &lists)).await?;
    }
    Ok(staged)
}

async fn common(call: &mut Call, tag: &Tag, event: i64, opts: &Map) -> Result<Common, Fault> {
    let keywords = map! { "event" => event, "inherit" => true };
    let args = Args { positional: vec![tag.id.into()], keywords };
    let groups = Box::pin(invoke(call, "getTagGroups", args)).await?;
    let question = Question {
        tag: Some(tag.id),
        event: Some(event),
        inherit: true,
        with_owners: false,
        ..Question::default()
    };
    let listed = package::read(call, &question).await?;
    let blocked = listed.iter().filter(|entry| entry.blocked);
    let maven = match opts.truthy("maven") {
        true => Some(maven::gather(call, tag.id, event).await?),
        false => None,
    };
    let blocked = blocked.map(|entry| format!("{}\n", entry.package_name)).collect();
    Ok(Common { comps: comps::xml(&groups), blocked, maven })
}

/// The arches of a tag's repositories.
fn arches(tag: &Tag, opts: &Map) -> BTreeSet<String> {
    let words = tag.config.arches.as_deref().unwrap_or_default().split_whitespace();
    let mut arches: BTreeSet<String> = words
        .map(|arch| canonical(arch).to_owned())
        .filter(|arch| arch != "src" && arch != "noarch")
        .collect();
    if opts.truthy("separate_src") {
        arches.insert("src".to_owned());
    }
    arches
}

/// Makes the directories and their empty lists.
fn create(
    dir: &Path,
    common: &Common,
    arches: &BTreeSet<String>,
) -> io::Result<BTreeMap<String, Files>> {
    std::fs::create_dir_all(dir.join("groups"))?;
    std::fs::write(dir.join("groups/comps.xml"), &common.comps)?;
    if let Some(maven) = &common.maven {
        maven.write(dir)?;
    }
    let mut files = BTreeMap::new();
    for arch in arches {
        let arch_dir = dir.join(arch);
        std::fs::create_dir(&arch_dir)?;
        // repos/TAG/ID/ARCH: the way up to the top directory is the same for every repository.
        let up: PathBuf = std::iter::repeat_n("..", 4).collect();
        std::os::unix::fs::symlink(up, arch_dir.join("toplink"))?;
        std::fs::write(arch_dir.join("blocklist"), &common.blocked)?;
        let (packages, rpms) = (arch_dir.join("pkglist"), arch_dir.join("rpmlist.jsonl"));
        let lists = Files { packages: File::create(packages)?, rpms: File::create(rpms)? };
        files.insert(arch.clone(), lists);
    }
    Ok(files)
}

fn append(
    mut files: BTreeMap<String, Files>,
    lists: &BTreeMap<String, Lists>,
) -> io::Result<BTreeMap<String, Files>> {
    for (arch, lists) in lists {
        if let Some(files) = files.get_mut(arch) {
            files.packages.write_all(lists.packages.as_bytes())?;
            files.rpms.write_all(lists.rpms.as_bytes())?;
        }
    }
    Ok(files)
}

/// Puts each RPM on the lists of the arches that it belongs to.
fn sort_rpms(
    builds: &HashMap<i64, &Row>,
    rpms: Vec<Row>,
    arches: &BTreeSet<String>,
    opts: &Map,
) -> Result<BTreeMap<String, Lists>, Fault> {
    let mut lists: BTreeMap<String, Lists> =
        arches.iter().map(|arch| (arch.clone(), Lists::default())).collect();
    for rpm in rpms {
        if rpm.value("metadata_only").truthy() {
            continue;
        }
        let name: String = rpm.get("name")?;
        if !opts.truthy("debuginfo") && is_debuginfo(&name) {
            continue;
        }
        let arch: String = rpm.get("arch")?;
        let canonical_arch = canonical(&arch).to_owned();
        let Some(build) = builds.get(&rpm.get::<i64>("build_id")?) else { continue };
        let place = fragment::href(build, &rpm)?;
        let json = Value::Struct(rpm.into_map()).to_json().to_string();
        for (repo_arch, list) in &mut lists {
            let belongs = match arch.as_str() {
                "src" | "nosrc" if repo_arch == "src" => opts.truthy("separate_src"),
                "src" | "nosrc" => opts.truthy("src"),
                "noarch" => repo_arch != "src",
                _ => *repo_arch == canonical_arch,
            };
            if belongs {
                list.packages.extend([place.as_str(), "\n"]);
                list.rpms.extend([json.as_str(), "\n"]);
            }
        }
    }
    Ok(lists)
}

/// Debug packages, by Koji's rule (`koji.is_debuginfo`).
fn is_debuginfo(name: &str) -> bool {
    name.ends_with("-debuginfo") || name.ends_with("-debugsource") || name.contains("-debuginfo-")
}
