//! `toji repo diff`: what two repositories say differently.

use std::path::PathBuf;

use toji_repodir::diff::{Difference, diff};

use super::Exit;

/// What `toji repo diff` can be told.
#[derive(clap::Args)]
pub(super) struct Options {
    /// A repository's directory.
    first: PathBuf,
    /// Another one's.
    second: PathBuf,
    /// Also compare where packages are and when their files were changed.
    #[arg(long)]
    places: bool,
}

/// Runs the command; ends with 1 if there are differences.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let how = toji_repodir::diff::Options { places: options.places };
    let found = diff(&options.first, &options.second, how)?;
    super::print(found.iter().flat_map(lines))?;
    if found.is_empty() { Ok(()) } else { Err(Exit(1).into()) }
}

fn lines(difference: &Difference) -> Vec<String> {
    match difference {
        Difference::Repository(text) => vec![format!("! {text}")],
        Difference::Removed(package) => vec![format!("- {package}")],
        Difference::Added(package) => vec![format!("+ {package}")],
        Difference::Version(name, old, new) => vec![format!("~ {name}: {old} became {new}")],
        Difference::Changed(package, values) => {
            let values = values.iter().map(|value| format!("    {value}"));
            std::iter::once(format!("~ {package}")).chain(values).collect()
        }
    }
}
