//! `toji restore`: a point of a backup put into an empty place.

use std::path::PathBuf;

use toji_hub::audit::backup::{self as rules, Access, Target};

use crate::backup::{Manner, open, processors, restored};
use crate::checksum::{Output, exit, fault, say};
use crate::place::Place;

/// What `toji restore` can be told.
///
/// The database must be empty (or, for SQLite, not there), and so must the top directory and its volumes. Every content is compared
/// with its SHA-256 as it is written; at the end database and store are compared as by `toji fsck`. What was interrupted goes
/// on when it is asked for again. It ends with 0 if nothing is wrong, with 1 if the comparison has found something, and with 2 if
/// the point could not be restored.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The directory of the backup.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The point; the newest, if nothing is said.
    #[arg(long, value_name = "POINT")]
    point: Option<String>,
    #[command(flatten)]
    place: Place,
    /// Files that are written at a time; as many as there are processors, if nothing is said.
    #[arg(short, long, value_name = "NUMBER")]
    jobs: Option<usize>,
    #[command(flatten)]
    manner: Manner,
}

/// Restores once.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let output = Output::plain(options.manner.json, options.manner.quiet);
    let runtime = crate::hub::runtime()?;
    exit(runtime.block_on(async {
        output.watch_signals();
        let vault = open(&options.dir, Access::Read)?;
        let point = rules::newest(&vault, options.point.as_deref())?;
        let (url, config) = options.place.parts()?;
        let target = Target { url, config, jobs: options.jobs.unwrap_or_else(processors) };
        let done = rules::restore(&vault, &point, &target, &output).await.map_err(fault)?;
        let (sum, words) = restored(&point.id, &done);
        say(&if options.manner.json { sum.to_json().to_string() } else { words });
        output.verdict(done.fsck.whole, done.fsck.left == 0)
    }))
}
