//! What uploads to object stores have left: what came and was never taken over, and what no link in the work directory leads to.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use toji_value::Fault;

use super::{Run, Verdict};
use crate::files::blocking;

/// How old it must be, in seconds: no ticket is good for so long, and nobody is about to make its link.
const AGE: f64 = 2.0 * 86_400.0;

/// Goes through the volumes in object stores; one that does not answer is passed over.
pub(super) async fn run(run: &Run<'_>) -> Result<usize, Fault> {
    let before = UNIX_EPOCH + Duration::from_secs_f64((run.hub.now() - AGE).max(0.0));
    let mut all = 0;
    // Those that the database does not know yet, too: tickets do not ask for that.
    for volume in run.hub.store.remotes() {
        let name = volume.name();
        let (store, work) = (run.hub.store.clone(), PathBuf::from(run.hub.paths.work(None)));
        let (dry, asked) = (run.dry, volume.clone());
        let done = blocking(move || {
            let left = store.left_uploads(&asked, &work, before)?;
            if !dry {
                left.iter().try_for_each(|path| asked.remove_one(path))?;
            }
            Ok(left.len())
        });
        match done.await {
            Ok(0) => {}
            Ok(some) => {
                all += some;
                let what = format!("{some} uploads on {name}");
                run.tell(Verdict::Delete, &what, None, "nothing leads to them");
            }
            Err(fault) => tracing::warn!(volume = name, %fault, "uploads cannot be looked at"),
        }
        if run.watch.stopped() {
            break;
        }
    }
    Ok(all)
}
