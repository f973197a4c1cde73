//! The journal of imports, and what is done with it after a crash.

use std::path::PathBuf;

use toji_store::{Error, Plan, Step};
use toji_value::{Fault, Value, list, map};

use crate::files::{self, After, Placement};
use crate::{Call, Hub};

/// Enters the steps in the journal and places the files; the call undoes it if it fails.
///
/// Returns the entry, which the call's transaction must mark as committed.
pub(crate) async fn place(
    call: &mut Call,
    build_id: i64,
    steps: Vec<Step>,
    written: Vec<(PathBuf, Vec<u8>)>,
    after: Vec<After>,
) -> Result<Option<i64>, Fault> {
    let paths = written.iter().map(|(path, _)| path.clone()).collect();
    let plan = Placement { steps: steps.clone(), written: paths, after, ..Placement::default() };
    carry_out(call, build_id, plan, move || {
        steps.iter().try_for_each(toji_store::place)?;
        written.iter().try_for_each(|(path, data)| write(path, data))
    })
    .await
}

/// Enters a plan in the journal and does the work with files that it describes; the call undoes it
/// if it fails.
///
/// Returns the entry, which the call's transaction must mark as committed.
pub(crate) async fn carry_out(
    call: &mut Call,
    build_id: i64,
    mut plan: Placement,
    work: impl FnOnce() -> Result<(), Error> + Send + 'static,
) -> Result<Option<i64>, Fault> {
    let journal = enter(call, Some(build_id), &plan).await?;
    plan.journal = journal;
    call.files.placed(plan);
    files::blocking(work).await?;
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
    let mut placement = Placement { steps: plan.steps.clone(), written, ..Placement::default() };
    let journal = enter(call, build_id, &placement).await?;
    let stop = PathBuf::from(call.hub.paths.topdir());
    let work = plan.clone();
    let placed = files::blocking(move || toji_store::place_new(&work, &stop)).await;
    if placed.is_err() {
        // What could not be placed whole is not there at all: only the entry is to be removed then.
        placement = Placement::default();
    }
    placement.journal = journal;
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
async fn enter(call: &Call, build_id: Option<i64>, plan: &Placement) -> Result<Option<i64>, Fault> {
    if call.tx.has_writes() {
        return Ok(None);
    }
    let mut tx = call.hub.db.begin_write().await?;
    let id = toji_db::journal::insert(&mut tx, build_id, &to_value(plan)).await?;
    tx.commit().await?;
    Ok(Some(id))
}

fn text(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A plan as the journal keeps it: pairs of paths, and structs for what is no file to be placed.
fn to_value(plan: &Placement) -> Value {
    let moves = plan.steps.iter().map(|step| list![text(&step.from), text(&step.to)]);
    let written = plan.written.iter().map(|path| list![Value::Nil, text(path)]);
    let trees = plan.trees.iter().map(|path| map! { "tree" => text(path) }.into());
    let after = plan.after.iter().map(|after| {
        let pair = |one: &std::path::Path, two: &std::path::Path| list![text(one), text(two)];
        match after {
            After::Remove(path) => map! { "remove" => text(path) },
            After::Rename(from, to) => map! { "rename" => pair(from, to) },
            After::Link(at, target) => map! { "link" => pair(at, target) },
        }
        .into()
    });
    Value::Array(moves.chain(written).chain(trees).chain(after).collect())
}

fn of_value(id: i64, steps: &Value) -> Placement {
    let mut plan = Placement { journal: Some(id), ..Placement::default() };
    let pair = |value: &Value| {
        let at = |i: usize| value.as_array()?.get(i)?.as_str().map(PathBuf::from);
        (at(0), at(1))
    };
    for step in steps.as_array().unwrap_or_default() {
        if let Some(entry) = step.as_struct() {
            let one = |key: &str| entry.str(key).map(PathBuf::from);
            plan.trees.extend(one("tree"));
            plan.after.extend(one("remove").map(After::Remove));
            if let (Some(from), Some(to)) = pair(entry.value("rename")) {
                plan.after.push(After::Rename(from, to));
            }
            if let (Some(at), Some(target)) = pair(entry.value("link")) {
                plan.after.push(After::Link(at, target));
            }
            continue;
        }
        match pair(step) {
            (Some(from), Some(to)) => plan.steps.push(Step { from, to }),
            (None, Some(path)) => plan.written.push(path),
            _ => {}
        }
    }
    plan
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
        let placement = of_value(row.get("id")?, row.value("steps"));
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
