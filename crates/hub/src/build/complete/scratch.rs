//! Scratch results of tasks, which go to the directory of the task's owner.

use toji_store::Step;
use toji_value::Fault;

use crate::archive::file;
use crate::upload::open::open;
use crate::{Call, files};

/// A file of a scratch build.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path, relative to the work directory.
    pub from: String,
    /// Its path, relative to the scratch directory.
    pub to: String,
}

/// Moves files to the scratch directory and leaves links in their places.
///
/// # Errors
/// When a path leaves its directory, or a file does not exist.
pub async fn to_scratch(call: &Call, all: Vec<Source>) -> Result<(), Fault> {
    let area = toji_store::Area::new(call.hub.paths.work(None));
    let store = call.hub.store.clone();
    let scratch = std::path::PathBuf::from(call.hub.paths.scratch());
    let mut steps = Vec::with_capacity(all.len());
    for source in all {
        let (from, to) = (file::plain(&source.from)?, file::plain(&source.to)?);
        steps.push((from, scratch.join(to)));
    }
    // A scratch build has no rows that could disagree with its files; trying again repeats it.
    files::blocking(move || {
        let mut placed = Vec::with_capacity(steps.len());
        for (from, to) in steps {
            // Opening tells that nothing outside is meant, links followed.
            open(&store, &area, &from)?;
            placed.push(Step { from: area.root().join(from), to });
        }
        placed.iter().try_for_each(|step| store.place(step))?;
        placed.iter().try_for_each(|step| store.link_back(step))
    })
    .await
}
