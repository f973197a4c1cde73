//! Builds that nothing has held or used for long go to another volume.

use toji_db::gc as db;
use toji_db::lookup::Names;
use toji_value::{Fault, Value};

use super::facts::{Facts, ago, gather};
use super::{BATCH, Run, Verdict};
use crate::lookup::Entry;
use crate::session::Session;
use crate::{build, user, volume};

/// How long builds must have been without a use if the options do not say, in seconds: a year.
pub(super) const AGE: f64 = 365.0 * 86_400.0;

/// A build that moves.
struct Idle {
    id: i64,
    nvr: String,
    reason: String,
}

/// Looks at all builds without a tag, and moves those that are elsewhere, each in a transaction of its own.
pub(super) async fn run(run: &Run<'_>) -> Result<usize, Fault> {
    let Some(name) = &run.options.archive_volume else {
        return Err(Fault::generic("archive_volume names no volume"));
    };
    let to = run.reader().need(Names::Volume, &Value::from(name)).await?;
    if !run.dry {
        // The collector's user is there before: a move must not hold the database while files are copied.
        let (call, _) = run.writer().await?;
        call.commit().await?;
    }
    let (mut after, mut moved) = (0, 0);
    while !run.watch.stopped() {
        let mut call = run.reader();
        let rows = db::untagged(&mut call.tx, after, BATCH).await?;
        let Some(last) = rows.last() else { break };
        after = last.get("id")?;
        let ids: Vec<i64> = rows.iter().map(|row| row.get("id")).collect::<Result<_, _>>()?;
        let facts = gather(&mut call, &ids).await?;
        drop(call);
        for row in &rows {
            let name: String = row.get("name")?;
            if !run.options.takes_package(&name) || row.get::<i64>("volume_id")? == to.id {
                continue;
            }
            let part = |key| row.get::<String>(key);
            let nvr = format!("{name}-{}-{}", part("version")?, part("release")?);
            let id: i64 = row.get("id")?;
            let known = facts.get(&id).cloned().unwrap_or_default();
            match judge(run, row.get("created")?, &known) {
                Err(reason) => run.tell(Verdict::Keep, &nvr, None, reason),
                Ok(reason) => moved += usize::from(go(run, &to, Idle { id, nvr, reason }).await?),
            }
            if run.watch.stopped() {
                break;
            }
        }
    }
    Ok(moved)
}

/// Why a build moves, or why it stays.
fn judge(run: &Run<'_>, created: f64, known: &Facts) -> Result<String, String> {
    if let Some(tag) = known.tags.first() {
        return Err(format!("tagged with {tag}"));
    }
    let (now, age) = (run.hub.now(), run.options.archive_age.unwrap_or(AGE));
    let (since, what) = match known.untagged {
        Some(since) => (since, "without a tag since"),
        None => (created, "never tagged, made"),
    };
    let reason = format!("{what} {}", ago(now - since));
    if now - since < age {
        return Err(format!("{reason}, which is less than the age"));
    }
    match known.last_used.filter(|used| now - used < age) {
        Some(used) => {
            Err(format!("in a buildroot {}, which is less than the age", ago(now - used)))
        }
        None => Ok(reason),
    }
}

/// Moves one build after another look, or tells that it would; gives whether it moved.
async fn go(run: &Run<'_>, to: &Entry, idle: Idle) -> Result<bool, Fault> {
    if run.dry {
        run.tell(Verdict::Move, &idle.nvr, Some(&to.name), idle.reason);
        return Ok(true);
    }
    // Not a writer: the move's entry in the journal is a transaction of its own, and files are copied meanwhile.
    let mut call = run.reader();
    let user = user::need(&mut call, &run.options.user.as_str().into()).await?;
    call.session = Some(Session::internal(user.id, &user.name));
    let facts = gather(&mut call, &[idle.id]).await?;
    let tagged = facts.get(&idle.id).and_then(|known| known.tags.first().cloned());
    let found = build::by_id(&mut call, idle.id).await?;
    let reason = match (tagged, found) {
        (Some(tag), _) => format!("tagged with {tag}"),
        (None, None) => "it is gone".to_owned(),
        (None, Some(build)) => match volume::change(&mut call, &build, to, false).await {
            Ok(()) => {
                call.commit().await?;
                run.tell(Verdict::Move, &idle.nvr, Some(&to.name), idle.reason);
                return Ok(true);
            }
            // One build without files does not keep the others.
            Err(fault) => fault.message,
        },
    };
    let files = std::mem::take(&mut call.files);
    call.tx.rollback().await?;
    files.abandon(run.hub).await;
    run.tell(Verdict::Keep, &idle.nvr, None, reason);
    Ok(false)
}
