//! Old logs are compressed in their places, or made what they were again.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use toji_store::packed;
use toji_types::TaskState;
use toji_value::Fault;

use super::{Run, Verdict};
use crate::files::blocking;

/// Directories of tasks that are looked at together.
const TASKS: usize = 500;

/// What is done to the logs.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Way {
    Compress,
    Expand,
}

/// What has come of them, in bytes.
#[derive(Default)]
struct Sum {
    files: usize,
    before: u64,
    after: u64,
}

/// Goes through the logs of ended tasks, of builds and of scratch builds.
pub(super) async fn run(run: &Run<'_>, way: Way) -> Result<usize, Fault> {
    let volumes = toji_db::build::volumes(&mut run.reader().tx).await?;
    let mut sum = Sum::default();
    for volume in volumes {
        if run.hub.store.remote(&volume).is_some() {
            // Objects are not changed in their places.
            continue;
        }
        let top = PathBuf::from(run.hub.paths.volumedir(Some(&volume)));
        // packages/NAME/VERSION/RELEASE/data/logs, scratch/USER/task_ID
        for build in below(top.join("packages"), 3).await? {
            change(run, way, vec![build.join("data/logs")], &mut sum).await?;
        }
        for build in below(top.join("scratch"), 2).await? {
            change(run, way, vec![build], &mut sum).await?;
        }
        let work = PathBuf::from(run.hub.paths.work(Some(&volume)));
        let tasks = below(work.join("tasks"), 2).await?;
        for dirs in tasks.chunks(TASKS) {
            change(run, way, ended(run, dirs).await?, &mut sum).await?;
        }
    }
    if sum.files > 0 {
        let Sum { files, before, after } = sum;
        let (verdict, reason) = match way {
            Way::Compress => (Verdict::Compress, "old"),
            Way::Expand => (Verdict::Expand, "asked for"),
        };
        let sizes = match run.dry {
            true => format!("{before} bytes"),
            false => format!("{before} bytes have become {after}"),
        };
        run.tell(verdict, &format!("{files} logs"), None, format!("{reason}, {sizes}"));
    }
    Ok(sum.files)
}

/// The directories so many levels below one; nothing if it does not exist. Links are not followed.
async fn below(top: PathBuf, levels: usize) -> Result<Vec<PathBuf>, Fault> {
    blocking(move || {
        let mut dirs = vec![top];
        for _ in 0..levels {
            let mut next = Vec::new();
            for dir in dirs {
                let entries = match std::fs::read_dir(&dir) {
                    Ok(entries) => entries,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(toji_store::Error::io(&dir)(error)),
                };
                next.extend(
                    entries
                        .flatten()
                        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                        .map(|entry| entry.path()),
                );
            }
            dirs = next;
        }
        dirs.sort();
        Ok(dirs)
    })
    .await
}

/// Those of the tasks' directories that nobody writes to any more.
async fn ended(run: &Run<'_>, dirs: &[PathBuf]) -> Result<Vec<PathBuf>, Fault> {
    let id = |dir: &Path| dir.file_name()?.to_str()?.parse::<i64>().ok();
    let ids: Vec<i64> = dirs.iter().filter_map(|dir| id(dir)).collect();
    let mut going = HashSet::new();
    for row in toji_db::task::states(&mut run.reader().tx, &ids).await? {
        if !TaskState::try_from(row.get::<i64>("state")?).is_ok_and(TaskState::is_finished) {
            going.insert(row.get::<i64>("id")?);
        }
    }
    let over = |dir: &&PathBuf| id(dir).is_some_and(|id| !going.contains(&id));
    Ok(dirs.iter().filter(over).cloned().collect())
}

/// Changes the logs in these directories.
async fn change(run: &Run<'_>, way: Way, dirs: Vec<PathBuf>, sum: &mut Sum) -> Result<(), Fault> {
    if run.watch.stopped() {
        return Ok(());
    }
    let age = run.options.compress_logs.unwrap_or(super::options::LOG_AGE);
    let before = UNIX_EPOCH + Duration::from_secs_f64((run.hub.now() - age).max(0.0));
    let dry = run.dry;
    let done = blocking(move || {
        let mut done = Sum::default();
        for dir in dirs {
            for entry in toji_store::Area::new(&dir).walk("")? {
                let old = way == Way::Expand || is_older(&entry.meta, before);
                if entry.link || !old || !packed::is_log(&entry.path) {
                    continue;
                }
                if let Some(change) = one(way, &dir.join(&entry.path), dry)? {
                    done.files += 1;
                    done.before += change.before;
                    done.after += change.after;
                }
            }
        }
        Ok(done)
    })
    .await?;
    sum.files += done.files;
    sum.before += done.before;
    sum.after += done.after;
    Ok(())
}

fn is_older(meta: &std::fs::Metadata, than: SystemTime) -> bool {
    meta.modified().is_ok_and(|modified| modified < than)
}

fn one(way: Way, path: &Path, dry: bool) -> Result<Option<packed::Change>, toji_store::Error> {
    if dry {
        let packed = packed::is_packed(path)?;
        let length = std::fs::metadata(path).map_err(toji_store::Error::io(path))?.len();
        let would = packed == (way == Way::Expand);
        return Ok(would.then_some(packed::Change { before: length, after: length }));
    }
    match way {
        Way::Compress => packed::pack(path),
        Way::Expand => packed::unpack(path),
    }
}
