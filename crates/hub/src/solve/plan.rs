//! Plans of buildroots: what the hub tells the builder of a task to install.

use std::collections::HashSet;

use toji_db::lockfile as db;
use toji_solve::{Job, Plan, Pool, Unsolvable, Want};
use toji_types::{Lockfile, RepoState};
use toji_value::{Args, Fault, Value, map};

use super::asked::{Asked, is_plain};
use super::{SECONDS, pools, question, stored, words};
use crate::dispatch::invoke;
use crate::tag::{self, When};
use crate::{Call, buildroot, task};

/// What makes packages: its file, and what provides it.
const RPMBUILD: [&str; 2] = ["/usr/bin/rpmbuild", "rpm-build"];

/// The option of a tag that chooses the kind of its buildroots, and the group that they begin with.
const KIND: &str = "toji.buildroot";
const GROUP: &str = "build";

/// Most build requirements of a question.
const WANTS: usize = 10_000;

/// What a task's builder has asked for.
pub struct Wanted {
    /// The buildroot.
    pub id: i64,
    /// The caller's task.
    pub task_id: i64,
    /// The tag's package group that is installed first.
    pub group: String,
    /// As in BuildRequires.
    pub requires: Vec<String>,
    /// Which state of the tag; that of the buildroot's repository if there is none.
    pub event: Option<i64>,
}

/// The repository to name in the records of buildroots that are planned without one, with the event at which all of them
/// are planned; nothing if repositories are needed, because some builder needs them, the tag has none so far, or
/// this hub cannot plan.
///
/// # Errors
/// `ActionNotAllowed` for the task of another host.
pub async fn repo(call: &mut Call, task_id: i64, tag: i64) -> Result<Value, Fault> {
    task::check_host(call, task_id).await?;
    if !call.hub.solver.works() {
        return Ok(Value::Nil);
    }
    let hosts = db::hosts_of_channel(&mut call.tx, task_id).await?;
    if !hosts.iter().all(|host| host.value("data").get("plans").truthy()) {
        return Ok(Value::Nil);
    }
    let ready = Some(RepoState::Ready as i64);
    let found = toji_db::repo::latest(&mut call.tx, tag, false, ready, None, None).await?;
    let Some(repo) = found.filter(is_plain) else { return Ok(Value::Nil) };
    let event = toji_db::event::last(&mut call.tx, None).await?;
    let event = event.map_or(Ok(0), |event| event.get::<i64>("id"))?;
    if !is_for_building(call, tag, event).await? {
        return Ok(Value::Nil);
    }
    let args = Args { positional: vec![repo.get::<i64>("id")?.into()], keywords: map! {} };
    let repo = Box::pin(invoke(call, "repoInfo", args)).await?;
    Ok(map! { "repo" => repo, "event" => event }.into())
}

/// Whether the roots of a tag are of packages alone: its group for building brings what makes packages.
async fn is_for_building(call: &mut Call, id: i64, event: i64) -> Result<bool, Fault> {
    let found = tag::need(call, &id.into(), When::Now).await?;
    let arches = found.config.arches.as_deref().unwrap_or_default();
    let host = found.extra(KIND).and_then(Value::as_str) == Some("host");
    let Some(arch) = arches.split_whitespace().next().filter(|_| !host) else { return Ok(false) };
    let asked = Asked::of_tag(id, arch, event);
    let mut group = Vec::new();
    words::group_packages(call, &asked, GROUP, &mut group).await?;
    if group.is_empty() {
        return Ok(false);
    }
    let job = Job { seconds: Some(SECONDS), ..Job::new(group) };
    let warm = pools::warm(call, &asked).await?;
    question(call, warm, move |pool, _| {
        let base = pool.solve(&job)?;
        Ok(brings_rpmbuild(pool, base.as_ref().ok()))
    })
    .await
}

/// Plans a buildroot and stores the plan as its lockfile; with `solved` false it tells why there is none. Nothing for a
/// buildroot of a repository that has other packages than its tag.
///
/// # Errors
/// `ActionNotAllowed` for buildroots of others; `GenericError` when the hub cannot plan.
pub async fn buildroot(call: &mut Call, wanted: Wanted) -> Result<Value, Fault> {
    let host = call.verified_host().await?;
    task::check_host(call, wanted.task_id).await?;
    let id = wanted.id;
    let missing = || Fault::generic(format!("no buildroot with ID: {id}"));
    let row = db::wanted(&mut call.tx, id).await?.ok_or_else(missing)?;
    if row.get::<Option<i64>>("host_id")? != Some(host) {
        return Err(Fault::not_allowed(format!("Host {host} not owner of buildroot {id}")));
    }
    if row.get::<Option<i64>>("task_id")? != Some(wanted.task_id) {
        let text = format!("Task {} does not have lock on buildroot {id}", wanted.task_id);
        return Err(Fault::not_allowed(text));
    }
    if wanted.requires.len() > WANTS {
        return Err(Fault::generic("too many or too long wants"));
    }
    if !is_plain(&row) {
        return Ok(Value::Nil);
    }
    let event = wanted.event.map_or_else(|| row.get("create_event"), Ok)?;
    let arch: String = row.get("arch")?;
    let asked = Asked::of_tag(row.get("tag_id")?, &arch, event);
    let mut group = Vec::new();
    // A group that is nowhere brings nothing.
    words::group_packages(call, &asked, &wanted.group, &mut group).await?;
    let some = !group.is_empty();
    let job = |wants| Job { seconds: Some(SECONDS), ..Job::new(wants) };
    let base = job(group.clone());
    let requires = wanted.requires.into_iter().map(Want::Require);
    let whole = job(group.into_iter().chain(requires).collect());
    let warm = pools::warm(call, &asked).await?;
    let event = warm.event;
    let made = question(call, warm, move |pool, warm| {
        let base = pool.solve(&base)?;
        let rpmbuild = some && brings_rpmbuild(pool, base.as_ref().ok());
        Ok(match pool.solve(&whole)? {
            Err(no) => (rpmbuild, Err(no)),
            Ok(plan) => {
                let base = base.map(|base| below(&base, &plan)).unwrap_or_default();
                (rpmbuild, Ok(Made { base, lockfile: plan.lockfile(warm.sources.clone())? }))
            }
        })
    });
    match made.await? {
        (rpmbuild, Err(no)) => Ok(refused(&no, event, rpmbuild)),
        (rpmbuild, Ok(made)) => {
            buildroot::lock_own(call, id, Some(wanted.task_id)).await?;
            stored::keep(call, id, &made.lockfile, Some(event)).await?;
            let text = made.lockfile.to_json().map_err(|e| Fault::generic(e.to_string()))?;
            Ok(map! {
                "solved" => true,
                "event" => event,
                "rpmbuild" => rpmbuild,
                "base" => Value::Array(made.base.into_iter().map(Value::from).collect()),
                "lockfile" => text,
            }
            .into())
        }
    }
}

/// A plan that was made.
struct Made {
    /// Digests of what the group alone brings.
    base: Vec<String>,
    lockfile: Lockfile,
}

/// The digests of the group's plan, if the whole plan has them all.
fn below(base: &Plan, whole: &Plan) -> Vec<String> {
    let digests = |plan: &Plan| -> Vec<String> {
        plan.packages.iter().map(|chosen| chosen.package.digest().to_owned()).collect()
    };
    let (base, whole) = (digests(base), digests(whole));
    let has: HashSet<&String> = whole.iter().collect();
    if base.iter().all(|digest| has.contains(digest)) { base } else { Vec::new() }
}

/// Whether the group's plan brings what makes packages; where the group cannot be installed, whether anything does.
fn brings_rpmbuild(pool: &mut Pool, group: Option<&Plan>) -> bool {
    let chosen = group.map(|plan| plan.packages.iter().map(|chosen| chosen.nevra()).collect());
    let has = |chosen: &Option<HashSet<String>>, nevra: &String| {
        chosen.as_ref().is_none_or(|chosen| chosen.contains(nevra))
    };
    RPMBUILD.iter().any(|what| pool.whatprovides(what).iter().any(|nevra| has(&chosen, nevra)))
}

fn refused(no: &Unsolvable, event: i64, rpmbuild: bool) -> Value {
    let texts = |list: &[String]| -> Value {
        Value::Array(list.iter().map(|text| Value::from(text.as_str())).collect())
    };
    let reasons: Vec<String> =
        no.problems.iter().flat_map(|p| &p.reasons).map(|reason| reason.text.clone()).collect();
    map! {
        "solved" => false,
        "event" => event,
        "rpmbuild" => rpmbuild,
        "missing" => texts(&no.missing),
        "reasons" => texts(&reasons),
        "text" => no.to_string(),
    }
    .into()
}
