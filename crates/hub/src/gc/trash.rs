//! Builds that nothing holds or uses go to the trash, and their owners are told.

use std::collections::BTreeMap;

use toji_db::{Row, gc as db};
use toji_value::{Fault, Value};

use super::facts::{Facts, ago, gather};
use super::{BATCH, CHANGES, Notice, Run, Verdict};
use crate::package::{self, edit};
use crate::{build, tagging};

/// A build that goes.
struct Loose {
    id: i64,
    nvr: String,
    package_id: i64,
    reason: String,
}

/// Looks at all builds without a tag.
pub(super) async fn run(run: &Run<'_>) -> Result<usize, Fault> {
    run.trashcan(&mut run.reader()).await?;
    let mut by_owner: BTreeMap<String, Vec<Loose>> = BTreeMap::new();
    let mut after = 0;
    while !run.watch.stopped() {
        let mut call = run.reader();
        let rows = db::untagged(&mut call.tx, after, BATCH).await?;
        let Some(last) = rows.last() else { break };
        after = last.get("id")?;
        let ids: Vec<i64> = rows.iter().map(|row| row.get("id")).collect::<Result<_, _>>()?;
        let facts = gather(&mut call, &ids).await?;
        for row in rows {
            let name: String = row.get("name")?;
            if !run.options.takes_package(&name) {
                continue;
            }
            let id: i64 = row.get("id")?;
            let nvr = format!(
                "{name}-{}-{}",
                row.get::<String>("version")?,
                row.get::<String>("release")?
            );
            let known = facts.get(&id).cloned().unwrap_or_default();
            match judge(run, &row, &known)? {
                Err(reason) => run.tell(Verdict::Keep, &nvr, None, reason),
                Ok(reason) => {
                    let loose = Loose { id, nvr, package_id: row.get("package_id")?, reason };
                    by_owner.entry(row.get("owner_name")?).or_default().push(loose);
                }
            }
        }
    }
    let mut moved = 0;
    for (owner, builds) in by_owner {
        if run.watch.stopped() {
            break;
        }
        if !run.dry {
            warn(run, &owner, &builds).await;
        }
        for some in builds.chunks(CHANGES) {
            moved += if run.dry { pretend(run, some) } else { move_some(run, some).await? };
        }
    }
    Ok(moved)
}

/// Why a build goes, or why it stays.
fn judge(run: &Run<'_>, row: &Row, known: &Facts) -> Result<Result<String, String>, Fault> {
    if let Some(claim) = known.claim(run.options, &[]) {
        return Ok(Err(claim));
    }
    let (now, delay) = (run.hub.now(), run.options.delay);
    let created: f64 = row.get("created")?;
    let (since, what) = match known.untagged {
        Some(since) => (since, "without a tag since"),
        None => (created, "never tagged, made"),
    };
    let reason = format!("{what} {}", ago(now - since));
    if now - since < delay {
        return Ok(Err(format!("{reason}, which is less than the delay")));
    }
    if let Some(used) = known.last_used
        && now - used < delay
    {
        return Ok(Err(format!(
            "in a buildroot {}, which is less than the delay",
            ago(now - used)
        )));
    }
    Ok(Ok(format!("{reason}, and nothing uses it")))
}

fn pretend(run: &Run<'_>, builds: &[Loose]) -> usize {
    for build in builds {
        run.tell(Verdict::Trash, &build.nvr, None, build.reason.as_str());
    }
    builds.len()
}

/// Moves some builds in one transaction, after another look.
async fn move_some(run: &Run<'_>, builds: &[Loose]) -> Result<usize, Fault> {
    let (mut call, user) = run.writer().await?;
    let trash = run.trashcan(&mut call).await?;
    let mut ids: Vec<i64> = builds.iter().map(|build| build.id).collect();
    ids.sort_unstable();
    for id in &ids {
        toji_db::build::lock(&mut call.tx, *id).await?;
    }
    let facts = gather(&mut call, &ids).await?;
    let packages: Vec<i64> = builds.iter().map(|build| build.package_id).collect();
    let owners = owners(&db::package_owners(&mut call.tx, &packages).await?)?;
    let mut found = Vec::new();
    for loose in builds {
        if let Some(claim) = facts.get(&loose.id).and_then(|known| known.claim(run.options, &[])) {
            found.push((Verdict::Keep, loose, claim));
            continue;
        }
        let Some(build) = build::by_id(&mut call, loose.id).await? else { continue };
        let listed = package::config(&mut call, trash.id, build.package_id, None).await?;
        if listed.is_none_or(|entry| entry.blocked) {
            let owner = owners.get(&build.package_id).copied().unwrap_or(build.owner_id);
            let request = edit::Request {
                tag: Value::Int(trash.id),
                package: Value::Int(build.package_id),
                owner: Value::Int(owner),
                block: Value::Bool(false),
                force: true,
                ..edit::Request::default()
            };
            edit::add(&mut call, request, edit::Check::Done).await?;
        }
        tagging::add(&mut call, &trash, &build, &user, true).await?;
        found.push((Verdict::Trash, loose, loose.reason.clone()));
    }
    call.commit().await?;
    let moved = found.iter().filter(|(verdict, ..)| *verdict == Verdict::Trash).count();
    for (verdict, loose, reason) in found {
        run.tell(verdict, &loose.nvr, None, reason);
    }
    Ok(moved)
}

/// The user who owns each package in the most tags; rows come in rising order.
fn owners(rows: &[Row]) -> Result<BTreeMap<i64, i64>, Fault> {
    let pair = |row: &Row| Ok((row.get("package_id")?, row.get("owner")?));
    rows.iter().map(pair).collect()
}

/// Tells the owner; a message that cannot be sent does not stop the run.
async fn warn(run: &Run<'_>, owner: &str, builds: &[Loose]) {
    let options = run.options;
    if !options.mail {
        return;
    }
    let url = options.web_url.as_ref().unwrap_or(&run.hub.config.web_url).trim_end_matches('/');
    let line = |b: &Loose| format!("Build: {}\n{url}/buildinfo?buildID={}", b.nvr, b.id);
    let list = builds.iter().map(line).collect::<Vec<_>>().join("\n\n");
    let domain = options.email_domain.as_ref().unwrap_or(&run.hub.config.email_domain);
    let template = options.template.as_deref().unwrap_or(TEXT);
    let fill = |text: &str| {
        let text = text.replace("${builds}", &list).replace("$builds", &list);
        text.replace("${owner}", owner).replace("$owner", owner)
    };
    let notice = Notice {
        from: options.from_addr.clone(),
        to: format!("{owner}@{domain}"),
        cc: options.cc.clone(),
        bcc: options.bcc.clone(),
        subject: match builds.len() {
            1 => "1 build marked for deletion".to_owned(),
            n => format!("{n} builds marked for deletion"),
        },
        owner: owner.to_owned(),
        text: fill(template),
    };
    if let Err(error) = run.watch.post(&notice).await {
        tracing::warn!(to = notice.to, error, "cannot tell an owner of builds in the trash");
    }
}

/// The message where no template is configured.
const TEXT: &str = "Nothing uses these builds of yours any more. They are in the trash now and will be deleted when the\n\
    grace period is over:\n\n${builds}\n\nTag a build to keep it.\n";
