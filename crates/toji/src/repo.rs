//! `toji repo`: repositories of plain directories, without a hub.

mod check;
mod create;
mod diff;
mod format;
mod merge;
mod modify;
mod progress;

use std::fmt;

/// What `toji repo` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make the repository of a directory of packages (createrepo_c's options).
    Create(Box<create::Options>),
    /// Add, remove and rename records of a repository: advisories, modules, product ids (modifyrepo_c's options).
    Modify(Box<modify::Options>),
    /// Merge repositories into one (mergerepo_c's options, with Koji's modes).
    Merge(Box<merge::Options>),
    /// Check files, checksums, sizes and counts of a repository, and its packages.
    Check(check::Options),
    /// Tell what two repositories say differently, package by package.
    Diff(diff::Options),
}

/// A result that is told by the exit code alone: what there is to say was said.
#[derive(Debug)]
pub(crate) struct Exit(pub(crate) u8);

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {}", self.0)
    }
}

impl std::error::Error for Exit {}

/// Runs the command.
///
/// # Errors
/// When a repository cannot be read or written; [`Exit`] when it could, but is not as it should be.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    match options.command {
        Command::Create(options) => create::run(*options),
        Command::Modify(options) => modify::run(&options),
        Command::Merge(options) => merge::run(*options),
        Command::Check(options) => check::run(&options),
        Command::Diff(options) => diff::run(&options),
    }
}

/// The command by which the builders of this program merge repositories.
pub(crate) fn merge_command() -> Vec<String> {
    let program =
        std::env::current_exe().ok().and_then(|path| path.into_os_string().into_string().ok());
    vec![program.unwrap_or_else(|| "toji".to_owned()), "repo".to_owned(), "merge".to_owned()]
}

/// How many threads are at work without being told.
fn workers(wanted: Option<usize>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    wanted.filter(|wanted| *wanted > 0).unwrap_or_else(cores)
}

/// Writes lines that are the command's result.
fn print(lines: impl IntoIterator<Item = String>) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    lines.into_iter().try_for_each(|line| writeln!(out, "{line}"))?;
    out.flush()
}
