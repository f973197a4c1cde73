//! The journal of imports: what is entered there before files are placed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use toji_db::Engine;
use toji_store::{Error, Plan, Step};
use toji_value::{Fault, Value, list, map};

use crate::Call;
use crate::build::Build;
use crate::build::import::others::{alone, stays_there};
use crate::files::{self, After, Placement};

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
    let store = call.hub.store.clone();
    carry_out(call, build_id, plan, move || {
        steps.iter().try_for_each(|step| store.place(step))?;
        written
            .iter()
            .try_for_each(|(path, data)| store.write(path, |out| out.write_all(data)).map(drop))
    })
    .await
}

/// Enters a plan in the journal and does the work with files that it describes; the call undoes it
/// if it fails.
///
/// Returns the entry, which the call's transaction must mark as committed.
pub(crate) async fn carry_out(
    call: &mut Call,
    build_id: impl Into<Option<i64>>,
    mut plan: Placement,
    work: impl FnOnce() -> Result<(), Error> + Send + 'static,
) -> Result<Option<i64>, Fault> {
    enter(call, build_id.into(), &mut plan).await?;
    let journal = plan.journal;
    let free = stays_there(call, &plan).await;
    if free.is_err() {
        return given_up(call, plan, free);
    }
    let fence = plan.fence();
    call.files.placed(plan);
    files::fenced(fence, work).await?;
    Ok(journal)
}

/// Leaves a plan of which nothing was done yet: only its entry goes.
fn given_up<T>(
    call: &mut Call,
    plan: Placement,
    why: Result<T, Fault>,
) -> Result<Option<i64>, Fault> {
    let Placement { journal, note, own, .. } = plan;
    call.files.placed(Placement { journal, note, own, ..Placement::default() });
    why.map(|_| None)
}

/// The same, refused while another such work with the build is under way or waits to be taken back, and if the build has
/// gone elsewhere.
pub(crate) async fn carry_out_alone(
    call: &mut Call,
    build: &Build,
    mut plan: Placement,
    work: impl FnOnce() -> Result<(), Error> + Send + 'static,
) -> Result<Option<i64>, Fault> {
    enter(call, Some(build.id), &mut plan).await?;
    let journal = plan.journal;
    // Every entry is there before the first look for others, so of two at least one sees the other; what had come to its
    // end before the entry is seen by the second look.
    let free = match alone(call, build, &plan).await {
        Ok(true) => stays(call, build).await,
        other => other,
    };
    if !matches!(free, Ok(true)) {
        let text = format!("The files of build {} are being moved", build.id);
        return given_up(call, plan, free.and_then(|_| Err::<(), _>(Fault::generic(text))));
    }
    let fence = plan.fence();
    call.files.placed(plan);
    files::fenced(fence, work).await?;
    Ok(journal)
}

/// Keeps a build where it is until the call's transaction ends.
///
/// Whoever has written files below a build's directory calls this before the commit: a move of the build, which looks at all its
/// files while it holds the build, either sees them or is seen here.
///
/// # Errors
/// When the build has gone elsewhere since it was read; what was written is taken back with the call.
pub(crate) async fn hold(call: &mut Call, build: &Build) -> Result<(), Fault> {
    toji_db::build::lock(&mut call.tx, build.id).await?;
    let now = crate::build::by_id(call, build.id).await?;
    if now.is_some_and(|now| call.hub.paths.build(now.at()) == call.hub.paths.build(build.at())) {
        return Ok(());
    }
    Err(Fault::generic(format!("Build {} was moved meanwhile", build.nvr())))
}

/// Whether a build is still where it was when it was read.
async fn stays(call: &mut Call, build: &Build) -> Result<bool, Fault> {
    let now = match call.tx.has_writes() {
        true => crate::build::by_id(call, build.id).await?,
        // Not what the call's own transaction may have seen before.
        false => crate::build::by_id(&mut call.hub.reading(), build.id).await?,
    };
    Ok(now.is_some_and(|now| call.hub.paths.build(now.at()) == call.hub.paths.build(build.at())))
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
    let hold = call.hub.db.hold(false).map(Arc::new);
    let mut plan = Placement { after, own: true, hold, ..Placement::default() };
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
    let free = stays_there(call, &placement).await;
    if free.is_err() {
        return given_up(call, placement, free);
    }
    let (journal, note) = (placement.journal, placement.note.clone());
    let stop = PathBuf::from(call.hub.paths.topdir());
    let (work, store) = (plan.clone(), call.hub.store.clone());
    let placed = files::fenced(placement.fence(), move || store.place_new(&work, &stop)).await;
    if placed.is_err() && placement.is_lost() {
        // Nor could it be taken back: the entry stays for whoever has it, or gets it.
        return placed.map(|()| None);
    }
    if placed.is_err() {
        // What could not be placed whole is not there at all: only the entry is to be removed then.
        placement = Placement { journal, note, ..Placement::default() };
    }
    call.files.placed(placement);
    placed.map(|()| journal)
}

/// Where entries are noted that the database cannot keep yet.
pub(super) const NOTES: &str = ".import-journal";

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
    plan.hold = call.hub.db.hold(false).map(Arc::new);
    let mut tx = call.hub.db.begin_write().await?;
    let id = toji_db::journal::insert(&mut tx, build_id, &to_value(plan)).await?;
    plan.journal = Some(id);
    tx.commit().await?;
    call.files.keep_alive(&call.hub, id, plan.hold.clone());
    Ok(())
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

pub(super) fn of_value(id: Option<i64>, steps: &Value) -> Placement {
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
