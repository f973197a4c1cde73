//! The logs of a task's runs: one that is begun anew keeps what its earlier runs have told.

use toji_store::{Area, Error};
use toji_types::TaskState;

use super::Locked;
use crate::Call;

/// How many earlier runs keep their logs.
pub const MOST: u32 = 9;
/// Tells of all runs, so there is only one.
pub(crate) const RETURNED: &str = "returned.log";

/// The name of a log of an earlier run, the first of which is 1.
///
/// It does not end like a log, so that Koji's programs, which show every log, do not show it once more.
pub fn earlier(path: &str, run: u32) -> String {
    format!("{path}.{run}")
}

/// Puts the logs of an earlier run aside before a task is opened; a task without them only has no history.
pub(crate) async fn set_aside(call: &Call, task: &Locked) {
    if !task.begun || task.state == TaskState::Open {
        return;
    }
    let (root, dir) = (call.hub.paths.work(None), call.hub.paths.taskrelpath(task.id));
    let work = move || put_aside(&Area::new(root), &dir);
    if let Err(fault) = crate::files::blocking(work).await {
        tracing::warn!(task = task.id, %fault, "the logs of an earlier run were not kept");
    }
}

fn put_aside(area: &Area, dir: &str) -> Result<(), Error> {
    for entry in area.walk(dir)? {
        let kept = entry.path == RETURNED || entry.link || entry.meta.len() == 0;
        if kept || !toji_store::packed::is_log(&entry.path) {
            continue;
        }
        let path = format!("{dir}/{}", entry.path);
        for run in 1..=MOST {
            let aside = earlier(&path, run);
            if !area.exists(&aside)? {
                area.rename(&path, &aside)?;
                break;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_keeps_its_log() {
        let top = tempfile::tempdir().unwrap();
        let area = Area::new(top.path());
        let write = |name: &str, text: &str| {
            let path = top.path().join("t").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let read = |name: &str| std::fs::read_to_string(top.path().join("t").join(name)).ok();
        put_aside(&area, "t").unwrap();
        write(RETURNED, "twice");
        write("a.rpm", "rpm");
        for run in 1..=MOST + 1 {
            write("build.log", &format!("run {run}"));
            write("below/root.log", &format!("root {run}"));
            put_aside(&area, "t").unwrap();
            assert_eq!(read("build.log").is_none(), run <= MOST);
        }
        for run in 1..=MOST {
            assert_eq!(read(&earlier("build.log", run)), Some(format!("run {run}")));
            assert_eq!(read(&earlier("below/root.log", run)), Some(format!("root {run}")));
        }
        // Beyond that it is as with Koji: the next run writes over it.
        assert_eq!(read("build.log"), Some(format!("run {}", MOST + 1)));
        assert_eq!((read(RETURNED), read("a.rpm")), (Some("twice".into()), Some("rpm".into())));
    }
}
