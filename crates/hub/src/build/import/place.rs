//! The journal of imports, and what is done with it after a crash.

use std::path::PathBuf;

use toji_store::{Error, Plan, Step};
use toji_value::{Fault, Value, list};

use crate::files::{self, Placement};
use crate::{Call, Hub};

/// Enters the steps in the journal and places the files; the call undoes it if it fails.
///
/// Returns the entry, which the call's transaction must mark as committed.
pub(super) async fn place(
    call: &mut Call,
    build_id: i64,
    steps: Vec<Step>,
    written: Vec<(PathBuf, Vec<u8>)>,
) -> Result<Option<i64>, Fault> {
    let paths: Vec<PathBuf> = written.iter().map(|(path, _)| path.clone()).collect();
    let journal = enter(call, Some(build_id), &steps, &paths).await?;
    call.files.placed(Placement { journal, steps: steps.clone(), written: paths });
    files::blocking(move || {
        steps.iter().try_for_each(toji_store::place)?;
        written.iter().try_for_each(|(path, data)| write(path, data))
    })
    .await?;
    Ok(journal)
}

/// Enters a plan in the journal and places its files, all or none, where nothing is yet.
///
/// Returns the entry, which the call's transaction must mark as committed; the call takes the files
/// back if it fails.
pub(crate) async fn place_new(
    call: &mut Call,
    build_id: Option<i64>,
    plan: &Plan,
) -> Result<Option<i64>, Fault> {
    let written: Vec<PathBuf> = plan.written.iter().map(|(path, _)| path.clone()).collect();
    let journal = enter(call, build_id, &plan.steps, &written).await?;
    let stop = PathBuf::from(call.hub.paths.topdir());
    let work = plan.clone();
    let placed = files::blocking(move || toji_store::place_new(&work, &stop)).await;
    // What could not be placed whole is not there at all: only the entry is to be removed then.
    let placement = match &placed {
        Ok(()) => Placement { journal, steps: plan.steps.clone(), written },
        Err(_) => Placement { journal, steps: Vec::new(), written: Vec::new() },
    };
    call.files.placed(placement);
    placed.map(|()| journal)
}

fn write(path: &PathBuf, data: &[u8]) -> Result<(), Error> {
    let dir = path.parent().unwrap_or(std::path::Path::new("/"));
    std::fs::create_dir_all(dir).map_err(Error::io(dir))?;
    std::fs::write(path, data).map_err(Error::io(path))
}

/// The entry has to be there before the first file is, so it needs its own transaction. A call
/// that already holds the only writer cannot have one; its files are then undone by itself only.
async fn enter(
    call: &Call,
    build_id: Option<i64>,
    steps: &[Step],
    written: &[PathBuf],
) -> Result<Option<i64>, Fault> {
    if call.tx.has_writes() {
        return Ok(None);
    }
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    let moves = steps.iter().map(|step| list![text(&step.from), text(&step.to)]);
    let extra = written.iter().map(|path| list![Value::Nil, text(path)]);
    let all = Value::Array(moves.chain(extra).collect());
    let mut tx = call.hub.db.begin_write().await?;
    let id = toji_db::journal::insert(&mut tx, build_id, &all).await?;
    tx.commit().await?;
    Ok(Some(id))
}

/// Finishes what was committed and undoes what was not, of imports that were under way at least
/// `age` seconds ago.
///
/// # Errors
/// When the database fails.
pub async fn recover(hub: &Hub, age: f64) -> Result<usize, Fault> {
    let mut tx = hub.db.begin();
    let rows = toji_db::journal::older_than(&mut tx, age).await?;
    tx.rollback().await?;
    let count = rows.len();
    for row in rows {
        let mut placement =
            Placement { journal: Some(row.get("id")?), steps: Vec::new(), written: Vec::new() };
        for pair in row.value("steps").as_array().unwrap_or_default() {
            let at = |i: usize| pair.as_array().and_then(|p| p.get(i)).and_then(Value::as_str);
            match (at(0), at(1)) {
                (Some(from), Some(to)) => {
                    placement.steps.push(Step { from: from.into(), to: to.into() });
                }
                (None, Some(path)) => placement.written.push(path.into()),
                _ => {}
            }
        }
        let state: String = row.get("state")?;
        tracing::warn!(journal = placement.journal, state, "an import was interrupted");
        match state.as_str() {
            "committed" => files::finish(hub, placement).await,
            _ => files::undo(hub, without_known(hub, placement).await?).await,
        }
    }
    Ok(count)
}

/// Leaves out what belongs to an import that was committed meanwhile: of two imports of one build
/// the broken one must not take the other's files away.
async fn without_known(hub: &Hub, mut placement: Placement) -> Result<Placement, Fault> {
    let top = hub.paths.topdir();
    let relative = |path: &std::path::Path| {
        let path = path.strip_prefix(top).unwrap_or(path);
        path.to_string_lossy().into_owned()
    };
    let paths: Vec<String> = placement.steps.iter().map(|step| relative(&step.to)).collect();
    let mut tx = hub.db.begin();
    let known = toji_db::journal::known(&mut tx, &paths).await?;
    tx.rollback().await?;
    if !known.is_empty() {
        placement.steps.retain(|step| !known.contains(&relative(&step.to)));
        placement.written.clear();
    }
    Ok(placement)
}
