//! Whether this machine can isolate builds at all.

use std::path::Path;

use toji_sandbox::{Buildroot, CancellationToken, Command};

use crate::error::Error;

/// Runs a command in a sandbox of its own below the work directory, so that a machine which refuses it says so
/// before the first task and not in each.
///
/// # Errors
/// When a program is missing, or the kernel or a security policy refuses the isolation.
pub async fn trial(workdir: &Path) -> Result<(), Error> {
    let dir = workdir.join("trial");
    let unusable = |source| Error::Work { path: dir.clone(), source };
    std::fs::create_dir_all(workdir).map_err(unusable)?;
    toji_sandbox::remove_tree(&dir).map_err(unusable)?;
    std::fs::create_dir(&dir).map_err(unusable)?;
    let root = Buildroot::builder(&dir).build().await?;
    root.output(Command::new(["true"]), &CancellationToken::new()).await?;
    root.remove()?;
    Ok(())
}
