//! Fetches the packages of a plan by their digests, several at a time.

use std::path::PathBuf;
use std::sync::Arc;

use toji_client::Download;
use toji_types::Lockfile;
use toji_types::lockfile::Locked;
use tokio::task::JoinSet;

use crate::context::Context;
use crate::failure::{Failure, Result};

/// Downloads side by side for one task.
const AT_ONCE: usize = 8;

/// The files of these packages, in their order: what is not in the cache comes from the hub's published files or from
/// the external repository. A file is there as a whole and with its digest, or not at all.
pub(super) async fn all(
    task: &Context,
    lockfile: &Lockfile,
    packages: &[&Locked],
) -> Result<Vec<PathBuf>> {
    let scratch = task.make_dir("download")?;
    let mut files = vec![PathBuf::new(); packages.len()];
    let mut running = JoinSet::new();
    let mut waiting = packages.iter().enumerate();
    loop {
        while running.len() < AT_ONCE
            && let Some((at, package)) = waiting.next()
        {
            let weak = || Failure::buildroot(format!("{package} has no SHA-256 to know it by"));
            let sha256 = package.sha256().ok_or_else(weak)?.to_owned();
            // Without a base, what is the hub's stays relative to its published files.
            let url = lockfile.url(package, "").trim_start_matches('/').to_owned();
            let (size, name) = (package.size, package.to_string());
            let (shared, hub) = (Arc::clone(&task.shared), task.hub.clone());
            let scratch = scratch.clone();
            running.spawn(async move {
                let what = Download {
                    url: &url,
                    size: Some(size),
                    sha256: Some(&sha256),
                    ..Download::default()
                };
                let got = shared.packages.get(&hub, &what, &scratch).await;
                (at, name, got)
            });
        }
        let Some(done) = running.join_next().await else { return Ok(files) };
        let (at, name, got) = done.map_err(Failure::local("fetch the packages"))?;
        files[at] =
            got.map_err(|error| Failure::from(error).while_doing(format!("fetch {name}")))?;
    }
}
