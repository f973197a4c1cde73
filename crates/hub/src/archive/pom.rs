//! Maven's project files of uploads, with faults as Koji has them.

use std::path::Path;

pub use toji_repodata::pom::Gav;
use toji_repodata::pom::{self, PomError};
use toji_value::Fault;

/// Reads a project file.
///
/// # Errors
/// When it is no XML, or lacks group, artifact or version.
pub fn read(path: &Path) -> Result<Gav, Fault> {
    let shown = path.display().to_string();
    let file =
        std::fs::File::open(path).map_err(|error| Fault::generic(format!("{shown}: {error}")))?;
    pom::read(file, &shown).map_err(|error| match error {
        PomError::Xml(text) => Fault::unexpected(text),
        other => Fault::generic(other.to_string()),
    })
}
