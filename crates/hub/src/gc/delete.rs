//! Builds that were in the trash for long enough are deleted; what is used again leaves the trash.

use toji_db::{Time, gc as db};
use toji_value::Fault;

use super::facts::{ago, gather};
use super::{BATCH, Run, Verdict};
use crate::build::remove;
use crate::tag::Tag;
use crate::{build, tagging};

/// A build that was in a buildroot within this time, in seconds, is not deleted yet (a week, as `deleteBuild` has it).
const RECENT: f64 = 604_800.0;

/// Looks through the trash; with `salvage` nothing is deleted.
pub(super) async fn run(run: &Run<'_>, salvage: bool) -> Result<usize, Fault> {
    let trash = run.trashcan(&mut run.reader()).await?;
    let before = Time::from_epoch(run.hub.now() - run.options.grace)?;
    let (mut after, mut taken) = (0, 0);
    while !run.watch.stopped() {
        let mut call = run.reader();
        let rows = db::held(&mut call.tx, trash.id, before, after, BATCH).await?;
        let Some(last) = rows.last() else { break };
        after = last.get("id")?;
        let ids: Vec<i64> = rows.iter().map(|row| row.get("id")).collect::<Result<_, _>>()?;
        let facts = gather(&mut call, &ids).await?;
        drop(call);
        let now = run.hub.now();
        for row in rows {
            let name: String = row.get("name")?;
            if !run.options.takes_package(&name) || run.watch.stopped() {
                continue;
            }
            let id: i64 = row.get("id")?;
            let nvr = format!(
                "{name}-{}-{}",
                row.get::<String>("version")?,
                row.get::<String>("release")?
            );
            let known = facts.get(&id).cloned().unwrap_or_default();
            if let Some(claim) = known.claim(run.options, &[&trash.name]) {
                taken += usize::from(out(run, &trash, id, &nvr, claim).await?);
                continue;
            }
            if salvage {
                run.tell(Verdict::Keep, &nvr, None, "still unused");
                continue;
            }
            if let Some(used) = known.last_used.filter(|used| now - used < RECENT) {
                run.tell(Verdict::Keep, &nvr, None, format!("in a buildroot {}", ago(now - used)));
                continue;
            }
            let reason = format!("in the trash since {}", ago(now - row.get::<f64>("since")?));
            taken += usize::from(delete(run, Some(&trash), id, &nvr, reason).await?);
        }
    }
    Ok(taken)
}

/// Takes a build out of the trash.
async fn out(
    run: &Run<'_>,
    trash: &Tag,
    id: i64,
    nvr: &str,
    reason: String,
) -> Result<bool, Fault> {
    if !run.dry {
        let (mut call, user) = run.writer().await?;
        toji_db::build::lock(&mut call.tx, id).await?;
        let Some(build) = build::by_id(&mut call, id).await? else { return Ok(false) };
        tagging::remove(&mut call, trash, &build, &user, false, false).await?;
        call.commit().await?;
    }
    run.tell(Verdict::Salvage, nvr, None, reason);
    Ok(true)
}

/// Deletes a build unless something has come to refer to it; tells what became of it.
pub(super) async fn delete(
    run: &Run<'_>,
    trash: Option<&Tag>,
    id: i64,
    nvr: &str,
    reason: String,
) -> Result<bool, Fault> {
    if run.dry {
        run.tell(Verdict::Delete, nvr, None, reason);
        return Ok(true);
    }
    let (mut call, user) = run.writer().await?;
    toji_db::build::lock(&mut call.tx, id).await?;
    let Some(build) = build::by_id(&mut call, id).await? else { return Ok(false) };
    let known = gather(&mut call, &[id]).await?.remove(&id).unwrap_or_default();
    let except: Vec<&str> = trash.iter().map(|tag| tag.name.as_str()).collect();
    if let Some(claim) = known.claim(run.options, &except) {
        run.tell(Verdict::Keep, nvr, None, claim);
        return Ok(false);
    }
    if let Some(trash) = trash {
        tagging::remove(&mut call, trash, &build, &user, false, false).await?;
    }
    match remove::delete(&mut call, &build, true, RECENT).await {
        Ok(_) => {
            // the files go after this
            call.commit().await?;
            run.tell(Verdict::Delete, nvr, None, reason);
            Ok(true)
        }
        Err(fault) => {
            run.tell(Verdict::Keep, nvr, None, fault.message);
            Ok(false)
        }
    }
}
