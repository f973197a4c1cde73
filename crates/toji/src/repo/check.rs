//! `toji repo check`: whether a repository is what it says.

use std::path::PathBuf;

use toji_repodir::check::{Depth, check};

use super::progress::Progress;
use super::{Exit, workers};

/// What `toji repo check` can be told.
#[derive(clap::Args)]
pub(super) struct Options {
    /// The repository's directory.
    directory: PathBuf,
    /// How thoroughly packages are looked at.
    #[arg(long, value_enum, default_value = "checksums")]
    packages: Packages,
    /// repomd.xml.asc must be there and be right by the user's keyring of gpg.
    #[arg(long)]
    signature: bool,
    /// Threads at work; one for each core without it.
    #[arg(long, value_name = "NUM")]
    workers: Option<usize>,
    /// Say nothing but what is wrong.
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Packages {
    /// Not at all.
    None,
    /// They are there and have their size.
    Sizes,
    /// They are read, and their checksums compared.
    Checksums,
}

/// Runs the command.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let depth = match options.packages {
        Packages::None => Depth::Metadata,
        Packages::Sizes => Depth::Sizes,
        Packages::Checksums => Depth::Checksums,
    };
    let wanted = toji_repodir::check::Options {
        depth,
        signature: options.signature,
        workers: workers(options.workers),
    };
    let progress = Progress::new(options.quiet);
    let checked = check(&options.directory, &wanted, &progress);
    progress.end();
    let report = checked?;
    let sound = report.problems.is_empty();
    super::print(report.problems)?;
    if !sound {
        return Err(Exit(1).into());
    }
    if !options.quiet {
        super::print([format!("{} packages, all is well", report.packages)])?;
    }
    Ok(())
}
