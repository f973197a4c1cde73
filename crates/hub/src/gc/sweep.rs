//! Old rows go: what koji-sweep-db takes, in small pieces, and nothing that something refers to.

use toji_db::Time;
use toji_db::gc::sweep as db;
use toji_value::{Fault, Value};

use super::{BATCH, Run, Verdict};
use crate::task::text;

/// Rows that are deleted in one transaction.
const ROWS: i64 = 2_000;

/// Sweeps what the options say; gives the number of rows.
pub(super) async fn run(run: &Run<'_>) -> Result<usize, Fault> {
    let ages = &run.options.sweep;
    let moment = |age: f64| Time::from_epoch(run.hub.now() - age);
    let mut all = 0;
    let unused = moment(ages.sessions)?;
    // without an age, no session began before the beginning of time
    let begun = ages.sessions_absolute.map_or_else(|| Time::from_epoch(0.0), moment)?;
    all += rows(run, "sessions", async |call, dry| match dry {
        true => Ok(db::count_sessions(&mut call.tx, unused, begun).await?.unsigned_abs()),
        false => Ok(db::delete_sessions(&mut call.tx, unused, begun, ROWS).await?),
    })
    .await?;
    let before = moment(ages.reservations)?;
    all += rows(run, "build reservations", async |call, dry| match dry {
        true => Ok(db::count_reservations(&mut call.tx, before).await?.unsigned_abs()),
        false => Ok(db::delete_reservations(&mut call.tx, before).await?),
    })
    .await?;
    let before = moment(ages.logs)?;
    all += rows(run, "lines of the scheduler's log", async |call, dry| match dry {
        true => Ok(db::count_logs(&mut call.tx, before).await?.unsigned_abs()),
        false => Ok(db::delete_logs(&mut call.tx, before, ROWS).await?),
    })
    .await?;
    if let Some(age) = ages.tag_notifications {
        all += tasks(run, "tagNotification", false, moment(age)?).await?;
    }
    if let Some(age) = ages.scratch {
        all += tasks(run, "build", true, moment(age)?).await?;
    }
    if ages.buildroots {
        all += rows(run, "buildroots", async |call, dry| match dry {
            true => Ok(db::count_buildroots(&mut call.tx).await?.unsigned_abs()),
            false => Ok(db::delete_buildroots(&mut call.tx, ROWS).await?),
        })
        .await?;
    }
    Ok(all)
}

/// Counts rows, or deletes them piece by piece until none is left.
async fn rows(
    run: &Run<'_>,
    what: &str,
    step: impl AsyncFn(&mut crate::Call, bool) -> Result<u64, Fault>,
) -> Result<usize, Fault> {
    let mut all = 0;
    loop {
        let mut call = if run.dry { run.reader() } else { run.writer().await?.0 };
        let some = step(&mut call, run.dry).await?;
        call.commit().await?;
        all += some;
        if run.dry || some == 0 || run.watch.stopped() {
            break;
        }
    }
    if all > 0 {
        run.tell(Verdict::Delete, &format!("{all} {what}"), None, "old");
    }
    Ok(usize::try_from(all).unwrap_or(usize::MAX))
}

/// Deletes ended tasks of a method with all below them.
async fn tasks(run: &Run<'_>, method: &str, scratch: bool, before: Time) -> Result<usize, Fault> {
    let (mut after, mut all) = (0, 0);
    while !run.watch.stopped() {
        let mut call = run.reader();
        let rows = db::old_tasks(&mut call.tx, method, scratch, before, after, BATCH).await?;
        let Some(last) = rows.last() else { break };
        after = last.get("id")?;
        drop(call);
        for row in rows {
            let request: Option<String> = row.get("request")?;
            if scratch && !is_scratch(request.as_deref().unwrap_or_default()) {
                continue;
            }
            let id: i64 = row.get("id")?;
            if !run.dry {
                let (mut call, _) = run.writer().await?;
                let tree = db::with_descendants(&mut call.tx, &[id]).await?;
                if db::delete_tasks(&mut call.tx, &tree).await.is_err() {
                    // a build or a repository has come to refer to one of them
                    run.tell(Verdict::Keep, &format!("task {id}"), None, "something refers to it");
                    continue;
                }
                call.commit().await?;
            }
            run.tell(Verdict::Delete, &format!("task {id}"), None, format!("an old {method} task"));
            all += 1;
        }
    }
    Ok(all)
}

/// Whether a request of a build is for a scratch build.
fn is_scratch(request: &str) -> bool {
    let Ok(args) = text::read_request(request) else { return false };
    args.get(2).is_some_and(|opts: &Value| opts.get("scratch").truthy())
}
