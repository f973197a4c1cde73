//! Side tags that nobody uses go: what koji-sidetag-cleanup takes.

use toji_db::gc as db;
use toji_policy::glob_match_any;
use toji_value::Fault;

use super::facts::ago;
use super::{Run, Verdict};
use crate::sidetag;
use crate::tag::{self, When};

/// Looks at all side tags.
pub(super) async fn run(run: &Run<'_>) -> Result<usize, Fault> {
    let ages = &run.options.side_tags;
    let now = run.hub.now();
    let mut taken = 0;
    for row in db::side_tags(&mut run.reader().tx).await? {
        let name: String = row.get("name")?;
        if run.watch.stopped() || glob_match_any(&name, &ages.ignore) {
            continue;
        }
        let created = now - row.get::<Option<f64>>("created")?.unwrap_or(now);
        let tagged = row.get::<Option<f64>>("tagged")?.map(|tagged| now - tagged);
        let empty = row.get::<i64>("builds")? == 0;
        let over = |age: Option<f64>, limit: Option<f64>| {
            age.zip(limit).filter(|(age, limit)| age > limit).map(|(age, _)| ago(age))
        };
        let reason = if let Some(when) = over(empty.then_some(created), ages.empty) {
            format!("empty, made {when}")
        } else if let Some(when) = over(Some(created), ages.old) {
            format!("made {when}")
        } else if let Some(when) = over(tagged, ages.inactive) {
            format!("without a new build since {when}")
        } else {
            run.tell(Verdict::Keep, &name, None, "in use");
            continue;
        };
        if !run.dry {
            let (mut call, _) = run.writer().await?;
            let id: i64 = row.get("id")?;
            let Some(tag) = tag::find(&mut call, &id.into(), When::Now).await? else { continue };
            if let Err(fault) = sidetag::remove(&mut call, &tag).await {
                run.tell(Verdict::Keep, &name, None, fault.message);
                continue;
            }
            call.commit().await?;
        }
        run.tell(Verdict::Delete, &name, None, reason);
        taken += 1;
    }
    Ok(taken)
}
