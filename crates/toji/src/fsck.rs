//! `toji fsck`: database and store compared in both directions.

use toji_hub::audit::fsck;

use crate::checksum::{Manner, Output, exit, fault};
use crate::place::Place;

/// What `toji fsck` can be told.
///
/// Nothing is changed without --repair. It ends with 0 if nothing is wrong (any more), with 1 if something is, and with 2 if it could
/// not check everything. What it finds has stable names; docs/guide/store.md lists them.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    /// Mend what can be mended without asking: links, records, signature headers and copies that are elsewhere, too, and what was
    /// decided before and interrupted. Packages, archives and logs are never removed nor changed.
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    manner: Manner,
}

/// Checks once.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let output = Output::new(&options.manner);
    let runtime = crate::hub::runtime()?;
    exit(runtime.block_on(async {
        let hub = options.place.hub().await?;
        output.watch_signals();
        let what = fsck::Options { repair: options.repair, restart: options.manner.restart };
        let sum = fsck::run(&hub, &what, &output).await.map_err(fault)?;
        let fsck::Summary { progress, left, mended, resumed, whole } = sum;
        output.end(
            &toji_value::map! {
                "command" => "fsck", "files" => progress.files, "left" => left, "mended" => mended,
                "resumed" => resumed, "whole" => whole,
            },
            &format!(
                "{} files of builds compared, {left} findings left, {mended} mended{}{}",
                progress.files,
                if resumed { ", the part before an interruption included" } else { "" },
                if whole { "" } else { "; interrupted: the next run goes on here" },
            ),
        );
        output.verdict(whole, left == 0)
    }))
}
