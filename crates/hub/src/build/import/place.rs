//! The journal of imports, and what is done with it after a crash.

use std::path::{Path, PathBuf};

use toji_db::Engine;
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
    enter(call, Some(build_id), &mut plan).await?;
    let journal = plan.journal;
    call.files.placed(plan);
    files::blocking(work).await?;
    Ok(journal)
}

/// Does something to files after the commit, and at the next start if a crash comes between.
///
/// # Errors
/// When the database fails.
pub(crate) async fn afterwards(
    call: &mut Call,
    build_id: i64,
    after: Vec<After>,
) -> Result<(), Fault> {
    if after.is_empty() {
        return Ok(());
    }
    let mut plan = Placement { after, own: true, ..Placement::default() };
    let id = toji_db::journal::insert(&mut call.tx, build_id, &to_value(&plan)).await?;
    toji_db::journal::commit(&mut call.tx, id).await?;
    plan.journal = Some(id);
    call.files.placed(plan);
    Ok(())
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
    enter(call, build_id, &mut placement).await?;
    let (journal, note) = (placement.journal, placement.note.clone());
    let stop = PathBuf::from(call.hub.paths.topdir());
    let work = plan.clone();
    let placed = files::blocking(move || toji_store::place_new(&work, &stop)).await;
    if placed.is_err() {
        // What could not be placed whole is not there at all: only the entry is to be removed then.
        placement = Placement { journal, note, ..Placement::default() };
    }
    call.files.placed(placement);
    placed.map(|()| journal)
}

fn write(path: &PathBuf, data: &[u8]) -> Result<(), Error> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(dir).map_err(Error::io(dir))?;
    std::fs::write(path, data).map_err(Error::io(path))
}

/// Where entries are noted that the database cannot keep yet.
const NOTES: &str = ".import-journal";

/// Enters a plan in the journal; the entry is there, whatever happens, before the first file is.
///
/// That needs a transaction of its own. A call that holds SQLite's only writer cannot have one: its entry is a row of
/// its own transaction, and a note beside the files stands for it until that is committed.
async fn enter(call: &mut Call, build_id: Option<i64>, plan: &mut Placement) -> Result<(), Fault> {
    let wrote = call.tx.has_writes();
    if wrote && call.tx.engine() == Engine::Sqlite {
        let mut token = [0; 16];
        call.hub.random.fill(&mut token);
        let name = format!("{}.json", hex::encode(token));
        let note = Path::new(call.hub.paths.topdir()).join(NOTES).join(name);
        plan.note = Some(note.clone());
        let steps = to_value(plan);
        plan.journal = Some(toji_db::journal::insert(&mut call.tx, build_id, &steps).await?);
        let steps = crate::json::dumps(&steps);
        return files::blocking(move || toji_store::write_durably(&note, steps.as_bytes())).await;
    }
    // Another transaction does not see a build that this one has made.
    let build_id = build_id.filter(|_| !wrote);
    let mut tx = call.hub.db.begin_write().await?;
    plan.journal = Some(toji_db::journal::insert(&mut tx, build_id, &to_value(plan)).await?);
    Ok(tx.commit().await?)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A plan as the journal keeps it: pairs of paths, and structs for what is no file to be placed.
fn to_value(plan: &Placement) -> Value {
    let moves = plan.steps.iter().map(|step| list![text(&step.from), text(&step.to)]);
    let written = plan.written.iter().map(|path| list![Value::Nil, text(path)]);
    let note = plan.note.iter().map(|path| map! { "note" => text(path) }.into());
    let trees = plan.trees.iter().map(|path| map! { "tree" => text(path) }.into());
    let after = plan.after.iter().map(|after| {
        let pair = |one: &Path, two: &Path| list![text(one), text(two)];
        match after {
            After::Remove(path) => map! { "remove" => text(path) },
            After::Rename(from, to) => map! { "rename" => pair(from, to) },
            After::Link(at, target) => map! { "link" => pair(at, target) },
        }
        .into()
    });
    Value::Array(moves.chain(written).chain(note).chain(trees).chain(after).collect())
}

fn of_value(id: Option<i64>, steps: &Value) -> Placement {
    let mut plan = Placement { journal: id, ..Placement::default() };
    let pair = |value: &Value| {
        let at = |i: usize| value.as_array()?.get(i)?.as_str().map(PathBuf::from);
        (at(0), at(1))
    };
    for step in steps.as_array().unwrap_or_default() {
        if let Some(entry) = step.as_struct() {
            let one = |key: &str| entry.str(key).map(PathBuf::from);
            plan.note = one("note").or(plan.note);
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
    let mut count = rows.len();
    let mut known = Vec::new();
    for row in rows {
        let placement = of_value(Some(row.get("id")?), row.value("steps"));
        let state: String = row.get("state")?;
        known.extend(placement.note.clone());
        tracing::warn!(journal = placement.journal, state, "an import was interrupted");
        match state.as_str() {
            "committed" => files::finish(hub, placement).await,
            _ => files::undo(hub, without_known(hub, placement).await?).await,
        }
    }
    if hub.db.engine() == Engine::Sqlite {
        for placement in notes(hub, known).await? {
            tracing::warn!(note = ?placement.note, "an import was interrupted before its commit");
            files::undo(hub, without_known(hub, placement).await?).await;
            count += 1;
        }
    }
    Ok(count)
}

/// What is noted, but was never committed.
async fn notes(hub: &Hub, known: Vec<PathBuf>) -> Result<Vec<Placement>, Fault> {
    let dir = Path::new(hub.paths.topdir()).join(NOTES);
    let texts = files::blocking(move || {
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io(&dir)(error)),
        };
        let mut texts = Vec::new();
        for entry in entries {
            let path = entry.map_err(Error::io(&dir))?.path();
            if path.extension().is_some_and(|end| end == "json") && !known.contains(&path) {
                texts.push(std::fs::read_to_string(&path).map_err(Error::io(&path))?);
            }
        }
        Ok(texts)
    });
    let read =
        |text: String| Ok(of_value(None, &crate::json::loads(&text, "a note of an import")?));
    texts.await?.into_iter().map(read).collect()
}

/// Leaves out what belongs to an import that was committed meanwhile: of two imports of one build
/// the broken one must not take the other's files away.
async fn without_known(hub: &Hub, mut placement: Placement) -> Result<Placement, Fault> {
    let top = hub.paths.topdir();
    let relative = |path: &Path| {
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
