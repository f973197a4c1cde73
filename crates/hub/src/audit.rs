//! Proof of the store: database and files are compared in both directions, and every file with its digests.
//!
//! [`fsck`] looks at names and sizes, [`scan`] reads every byte; both tell what they find as a [`Finding`] with a stable
//! name. Both read in batches, hold nothing meanwhile, look twice before they say that something is wrong, and may be
//! interrupted anywhere.

pub mod backup;
mod build;
mod expect;
mod finding;
pub mod fsck;
mod judge;
mod mend;
mod named;
mod places;
mod records;
pub mod scan;
mod serve;

pub use finding::{Finding, Kind, Mending, What};
pub use serve::{serve, turn};
pub use toji_store::Algorithm;

/// The hashing of files, for measuring.
pub mod hashing {
    pub use toji_store::Kind as Content;
    pub use toji_store::sums::{Rate, Reader, Wanted, sums};
    pub use toji_store::{Hasher, Local, Volume};
}

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use toji_db::scan::Progress;
use toji_store::Volumes;
use toji_value::Fault;

use crate::Hub;

/// Who looks on: hears what is found, and may end the run.
pub trait Watch: Send + Sync {
    /// Hears of something that is wrong.
    fn tell(&self, finding: &Finding);
    /// Hears how far the run is, every few seconds.
    fn progress(&self, now: &Progress);
    /// The flag that ends the run when it is set.
    fn halted(&self) -> Arc<AtomicBool>;
    /// Whether the run shall end.
    fn stopped(&self) -> bool {
        self.halted().load(Ordering::Relaxed)
    }
}

/// A run as the database knows it.
struct Run {
    id: i64,
    progress: Progress,
    /// Whether it was interrupted and goes on now.
    resumed: bool,
}

/// Goes on with the run of a kind that was interrupted, unless that is not wanted, or begins a new one.
async fn begin(hub: &Hub, kind: &str, restart: bool) -> Result<Run, Fault> {
    let mut call = hub.internal().await?;
    let open = toji_db::scan::open_run(&mut call.tx, kind).await?.filter(|_| !restart);
    let run = match open {
        Some(row) => {
            let count = |name: &str| Ok::<_, Fault>(row.get::<i64>(name)?.unsigned_abs());
            let (files, bytes, damaged) = (count("files")?, count("bytes")?, count("damaged")?);
            let progress = Progress { last_build: row.get("last_build")?, files, bytes, damaged };
            Run { id: row.get("id")?, progress, resumed: true }
        }
        None => {
            let id = toji_db::scan::begin(&mut call.tx, kind).await?;
            Run { id, progress: Progress::default(), resumed: false }
        }
    };
    call.commit().await?;
    Ok(run)
}

/// The volumes of a hub's store as they are now.
async fn volumes(hub: &Hub) -> Result<Arc<Volumes>, Fault> {
    let mut call = hub.reading();
    let names = toji_db::build::volumes(&mut call.tx).await?;
    drop(call);
    let store = hub.store.clone();
    let named = names.into_iter().filter(|name| name != "DEFAULT");
    crate::files::blocking(move || {
        let names: Vec<String> = named.collect();
        store.volumes(names.iter().map(String::as_str)).map(Arc::new)
    })
    .await
}
