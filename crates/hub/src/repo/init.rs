//! A new repository: its row, and its directory with lists of what belongs into it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toji_db::Row;
use toji_types::arch::canonical;
use toji_value::{Args, Fault, Map, Value, map};
use tokio::time::Instant;

use super::maven::{self, Artifacts};
use super::{change, comps, options};
use crate::dispatch::invoke;
use crate::package::{self, Question};
use crate::session::start::random_text;
use crate::tag::{self, Tag, When};
use crate::tagged::{self, Filter, Latest, RpmFilter};
use crate::{Call, fragment};

/// How long transactions with older events are waited for.
const SETTLE: Duration = Duration::from_secs(5);
/// How often they are looked for when no commit is told: one that is undone, or has no messages, is not.
const SETTLE_LOOK: Duration = Duration::from_millis(200);

/// What a repository's directory holds before its metadata are made.
struct Content {
    comps: String,
    /// By arch: places of packages, and what is known of them (one JSON object in a line).
    arches: BTreeMap<String, Lists>,
    blocked: String,
    maven: Option<Artifacts>,
}

#[derive(Default)]
struct Lists {
    packages: String,
    rpms: String,
}

/// Makes a repository of a tag in the state INIT; returns its id and its event.
///
/// # Errors
/// `GenericError` for an unknown tag or event, `ParameterError` for wrong options.
pub async fn init(
    call: &mut Call,
    tag: &Value,
    task_id: Option<i64>,
    event: Option<i64>,
    opts: &Value,
) -> Result<(i64, i64), Fault> {
    let tag = tag::need(call, tag, When::from(event)).await?;
    let (opts, custom) = options::of_tag(&call.hub.config, &tag, opts)?;
    let told = |repo_id: Option<i64>, opts: &Map| {
        map! {
            "tag" => tag.to_map(false), "event" => event, "repo_id" => repo_id,
            "task_id" => task_id, "opts" => opts.clone(),
        }
    };
    call.callback("preRepoInit", || told(None, &opts)).await?;
    let event_id = match event {
        Some(event) => {
            let missing = || Fault::generic(format!("No such event: {event}"));
            toji_db::event::get(&mut call.tx, event).await?.ok_or_else(missing)?;
            if !settled(call, event).await? {
                let text =
                    format!("a transaction older than event {event} is still at work, try again");
                return Err(Fault::lock(text));
            }
            event
        }
        None => newest_event(call).await?,
    };
    let content = gather(call, &tag, event_id, &opts).await?;
    // The lists are written before the writer of the database is taken.
    let parent = PathBuf::from(call.hub.paths.repo(0, &tag.name));
    let parent = parent.parent().map(Path::to_path_buf).unwrap_or_default();
    let staged = parent.join(format!(".new-{}", random_text(call, 16)));
    blocking({
        let staged = staged.clone();
        move || write(&staged, &content)
    })
    .await?;
    let row = toji_db::repo::New {
        create_event: event_id,
        begin_event: change::last(call, tag.id).await?.filter(|e| *e <= event_id),
        end_event: change::first(call, tag.id, event_id).await?,
        tag_id: tag.id,
        task_id,
        opts: opts.clone(),
        custom_opts: custom.clone(),
    };
    let repo_id = toji_db::repo::insert(&mut call.tx, row).await?;
    let args = told(Some(repo_id), &opts);
    let info = map! {
        "id" => repo_id,
        "tag" => &tag.name,
        "tag_id" => tag.id,
        "task_id" => task_id,
        "event_id" => event_id,
        "with_src" => opts.truthy("src"),
        "with_separate_src" => opts.truthy("separate_src"),
        "with_debuginfo" => opts.truthy("debuginfo"),
        "opts" => opts,
        "custom_opts" => custom,
    };
    let dir = PathBuf::from(call.hub.paths.repo(repo_id, &tag.name));
    blocking(move || publish(&staged, &dir, &info.into())).await?;
    let body = map! { "repo_id" => repo_id, "tag" => &tag.name, "tag_id" => tag.id };
    call.emit("repo.init", &format!("repo:{repo_id}"), body);
    call.callback("postRepoInit", || args).await?;
    Ok((repo_id, event_id))
}

/// The newest event that names what is committed now.
///
/// Events are not committed in the order of their numbers. A repository made while an older one is in progress
/// would carry a number that promises more than it shows, so that is waited for; when it takes long, the
/// repository gets the newest event before it.
async fn newest_event(call: &mut Call) -> Result<i64, Fault> {
    let newest: i64 = match toji_db::event::last(&mut call.tx, None).await? {
        Some(row) => row.get("id")?,
        None => return call.event().await,
    };
    if settled(call, newest).await? {
        return Ok(newest);
    }
    let found = toji_db::event::newest_settled(&mut call.tx).await?;
    found.ok_or_else(|| {
        Fault::lock("transactions are at work whose events are not known, try again")
    })
}

/// Waits a while for transactions that may still commit an older event; tells whether none is left.
async fn settled(call: &mut Call, event: i64) -> Result<bool, Fault> {
    let mut commits = call.hub.db.outbox_signal();
    let end = Instant::now() + SETTLE;
    while toji_db::event::is_unsettled(&mut call.tx, event).await? {
        if Instant::now() >= end {
            return Ok(false);
        }
        tokio::time::timeout(SETTLE_LOOK, commits.changed()).await.ok();
    }
    Ok(true)
}

/// The arches of a tag's repositories.
fn repo_arches(tag: &Tag, opts: &Map) -> BTreeSet<String> {
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

async fn gather(call: &mut Call, tag: &Tag, event: i64, opts: &Map) -> Result<Content, Fault> {
    let all = tag.extra("repo_include_all").is_some_and(Value::truthy);
    let latest = if all { Latest::All } else { Latest::Newest(1) };
    let filter = Filter { event: Some(event), ..Filter::default() };
    let builds = tagged::builds(call, tag.id, true, latest, &filter).await?;
    let rpm_filter = RpmFilter { extra: true, ..RpmFilter::default() };
    let rpms = tagged::rpms(call, &builds, &rpm_filter).await?;
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
    Ok(Content {
        comps: comps::xml(&groups),
        arches: sort_rpms(&builds, rpms, repo_arches(tag, opts), opts)?,
        blocked: blocked.map(|entry| format!("{}\n", entry.package_name)).collect(),
        maven,
    })
}

/// Puts each RPM on the lists of the arches that it belongs to.
fn sort_rpms(
    builds: &[Row],
    rpms: Vec<Row>,
    arches: BTreeSet<String>,
    opts: &Map,
) -> Result<BTreeMap<String, Lists>, Fault> {
    let builds: HashMap<i64, &Row> =
        builds.iter().filter_map(|b| Some((b.value("build_id").as_int()?, b))).collect();
    let mut lists: BTreeMap<String, Lists> =
        arches.into_iter().map(|arch| (arch, Lists::default())).collect();
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

fn write(dir: &Path, content: &Content) -> std::io::Result<()> {
    std::fs::create_dir_all(dir.join("groups"))?;
    std::fs::write(dir.join("groups/comps.xml"), &content.comps)?;
    if let Some(maven) = &content.maven {
        maven.write(dir)?;
    }
    for (arch, lists) in &content.arches {
        let arch_dir = dir.join(arch);
        std::fs::create_dir(&arch_dir)?;
        // repos/TAG/ID/ARCH: the way up to the top directory is the same for every repository.
        let up: PathBuf = std::iter::repeat_n("..", 4).collect();
        std::os::unix::fs::symlink(up, arch_dir.join("toplink"))?;
        std::fs::write(arch_dir.join("pkglist"), &lists.packages)?;
        std::fs::write(arch_dir.join("rpmlist.jsonl"), &lists.rpms)?;
        std::fs::write(arch_dir.join("blocklist"), &content.blocked)?;
    }
    Ok(())
}

/// Gives the directory its final name. One of that name is the leftover of a failed attempt: ids
/// are given once.
fn publish(staged: &Path, dir: &Path, info: &Value) -> std::io::Result<()> {
    std::fs::write(staged.join("repo.json"), format!("{:#}\n", info.to_json()))?;
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::rename(staged, dir)
}

/// Runs file work on a thread for blocking work.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| Fault::unexpected(error.to_string()))?;
    done.map_err(|error| {
        tracing::error!(%error, "a repository's files cannot be written");
        Fault::generic("the repository's files cannot be written, the hub's log tells more")
    })
}
