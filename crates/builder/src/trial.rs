//! Whether this machine can isolate builds at all.

use std::path::Path;

use toji_sandbox::{Buildroot, CancellationToken, Command, Error as Refusal};

use crate::error::Error;
use crate::failure::chain;

/// Runs a command in a sandbox of its own below the work directory, so that a machine which refuses it can say so
/// before the first task and not in each.
///
/// What may pass, such as a full disk, does not count: it is a matter of each task.
///
/// # Errors
/// When a program is missing, or the kernel or a security policy refuses the isolation.
pub async fn trial(workdir: &Path) -> Result<(), Error> {
    match run(&workdir.join("trial")).await {
        Err(error @ (Refusal::Program { .. } | Refusal::Setup { .. })) => Err(error.into()),
        Err(error) => {
            tracing::warn!(error = chain(&error), "isolation could not be tried");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

async fn run(dir: &Path) -> Result<(), Refusal> {
    let unusable = |what| move |source| Refusal::File { what, path: dir.to_path_buf(), source };
    toji_sandbox::remove_tree(dir).map_err(unusable("clear"))?;
    std::fs::create_dir_all(dir).map_err(unusable("create"))?;
    let root = Buildroot::builder(dir).build().await?;
    root.output(Command::new(["true"]), &CancellationToken::new()).await?;
    root.remove()
}
