//! Builds leave tags by policy.

use std::collections::{BTreeMap, HashMap};

use toji_db::{Row, gc as db};
use toji_policy::RuleSet;
use toji_value::Fault;

use super::facts::gather;
use super::rules::{self, Entry};
use super::{BATCH, CHANGES, Run, Verdict, delete};
use crate::tag::{self, When};
use crate::{Call, build, tagging};

/// What has left tags, for purging: the build's name and the tags, by number.
type Untagged = BTreeMap<i64, (String, Vec<String>)>;

/// Looks at all tags that the options take.
pub(super) async fn run(run: &Run<'_>) -> Result<usize, Fault> {
    let Some(policy) = &run.options.policy else {
        tracing::info!("there is no policy for pruning");
        return Ok(0);
    };
    let tags = db::tags(&mut run.reader().tx).await?;
    let mut gone = Untagged::new();
    for row in tags {
        let name: String = row.get("name")?;
        let locked = row.value("locked").truthy() && !run.options.bypasses(&name);
        if name == run.options.trashcan || locked || !run.options.takes_tag(&name) {
            continue;
        }
        if run.watch.stopped() {
            break;
        }
        let by_version = row.value("maven_include_all").truthy();
        prune(run, policy, (row.get("id")?, &name), by_version, &mut gone).await?;
    }
    if run.options.purge {
        purge(run, &gone).await?;
    }
    Ok(gone.values().map(|(_, tags)| tags.len()).sum())
}

async fn prune(
    run: &Run<'_>,
    policy: &RuleSet,
    tag: (i64, &str),
    by_version: bool,
    gone: &mut Untagged,
) -> Result<(), Fault> {
    let mut call = run.reader();
    let rows = db::listing(&mut call.tx, tag.0).await?;
    let mut entries = Vec::with_capacity(rows.len());
    for some in rows.chunks(usize::try_from(BATCH).unwrap_or(1)) {
        let ids: Vec<i64> = some.iter().map(|row| row.get("id")).collect::<Result<_, _>>()?;
        let facts = gather(&mut call, &ids).await?;
        for row in some {
            let known = facts.get(&row.get("id")?).cloned().unwrap_or_default();
            let mut entry = entry(run, tag.1, row)?;
            (entry.keys, entry.tags) = (known.keys, known.tags);
            let maven = by_version && row.get::<bool>("maven")?;
            entries.push((entry, maven));
        }
    }
    let leaving = leaving(&mut call, run, policy, entries).await?;
    drop(call);
    for some in leaving.chunks(CHANGES) {
        if run.watch.stopped() {
            break;
        }
        if !run.dry {
            untag(run, tag.0, some).await?;
        }
        for (entry, reason) in some {
            let nvr = nvr(entry);
            run.tell(Verdict::Untag, &nvr, Some(tag.1), reason.as_str());
            gone.entry(entry.id).or_insert_with(|| (nvr, Vec::new())).1.push(tag.1.to_owned());
        }
    }
    Ok(())
}

fn nvr(entry: &Entry) -> String {
    format!("{}-{}-{}", entry.nvr.0, entry.nvr.1, entry.nvr.2)
}

fn entry(run: &Run<'_>, tag: &str, row: &Row) -> Result<Entry, Fault> {
    Ok(Entry {
        id: row.get("id")?,
        nvr: (row.get("name")?, row.get("version")?, row.get("release")?),
        tag: tag.to_owned(),
        age: run.hub.now() - row.get::<f64>("tagged")?,
        volume: row.get("volume")?,
        cg: row.get("cg")?,
        draft: row.get("draft")?,
        ..Entry::default()
    })
}

/// The entries that the policy wants out, with the rules that say so; entries come newest first.
async fn leaving(
    call: &mut Call,
    run: &Run<'_>,
    policy: &RuleSet,
    entries: Vec<(Entry, bool)>,
) -> Result<Vec<(Entry, String)>, Fault> {
    let mut seen: HashMap<String, i64> = HashMap::new();
    let mut leaving = Vec::new();
    for (mut entry, maven) in entries {
        let package = match maven {
            true => format!("{}-{}", entry.nvr.0, entry.nvr.1),
            false => entry.nvr.0.clone(),
        };
        if !run.options.takes_package(&package) {
            continue;
        }
        let order = seen.entry(package).or_default();
        entry.order = *order;
        let outcome = rules::judge(call, run.options, policy, &entry).await?;
        let action = outcome.action().unwrap_or("keep");
        if action != "skip" {
            *order += 1;
        }
        match action {
            "untag" => leaving.push((entry, outcome.last_rule())),
            _ => run.tell(Verdict::Keep, &nvr(&entry), Some(&entry.tag), outcome.last_rule()),
        }
    }
    Ok(leaving)
}

/// Takes some builds out of a tag in one transaction.
async fn untag(run: &Run<'_>, tag: i64, entries: &[(Entry, String)]) -> Result<(), Fault> {
    let (mut call, user) = run.writer().await?;
    let Some(tag) = tag::find(&mut call, &tag.into(), When::Now).await? else { return Ok(()) };
    for (entry, _) in entries {
        let Some(build) = build::by_id(&mut call, entry.id).await? else { continue };
        tagging::remove(&mut call, &tag, &build, &user, false, false).await?;
    }
    call.commit().await
}

/// Deletes at once what has left its last tag and nothing uses.
async fn purge(run: &Run<'_>, gone: &Untagged) -> Result<(), Fault> {
    let ids: Vec<i64> = gone.keys().copied().collect();
    for some in ids.chunks(usize::try_from(BATCH).unwrap_or(1)) {
        let facts = gather(&mut run.reader(), some).await?;
        for id in some {
            let Some((nvr, tags)) = gone.get(id) else { continue };
            let known = facts.get(id).cloned().unwrap_or_default();
            // a dry run has not taken it out of them
            let except: Vec<&str> = tags.iter().map(String::as_str).filter(|_| run.dry).collect();
            if let Some(claim) = known.claim(run.options, &except) {
                run.tell(Verdict::Keep, nvr, None, claim);
            } else if !run.watch.stopped() {
                let reason = format!("has left its last tag, {}", tags.join(", "));
                delete::delete(run, None, *id, nvr, reason).await?;
            }
        }
    }
    Ok(())
}
