//! `toji watch-logs`: the logs of tasks while they are written.

use std::io::Write as _;

use futures::StreamExt as _;
use toji_client::Logs;

use super::{Selection, Site, interrupted, plain};

/// What `toji watch-logs` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The tasks.
    #[arg(value_name = "TASK")]
    tasks: Vec<i64>,
    /// Only the log of this name.
    #[arg(long, value_name = "NAME")]
    log: Option<String>,
    /// The logs of your tasks that are not finished.
    #[arg(long, conflicts_with = "tasks")]
    mine: bool,
    /// The logs of the tasks below, too.
    #[arg(short, long)]
    follow: bool,
    /// Print what is there, and wait for nothing.
    #[arg(short, long)]
    nowait: bool,
    #[command(flatten)]
    site: Site,
}

/// Prints the logs until the tasks have ended.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    super::run(async {
        let hub = options.site.hub(options.mine).await?;
        let mut tasks = options.tasks.clone();
        if options.mine {
            tasks = Selection { mine: true, ..Selection::default() }.tasks(&hub).await?;
            if tasks.is_empty() {
                writeln!(std::io::stdout(), "You have no active tasks.")?;
                return Ok(());
            }
        }
        anyhow::ensure!(!tasks.is_empty(), "say whose logs to watch");
        let log = options.log.clone();
        let wanted = Logs { log, below: options.follow, once: options.nowait };
        let mut out = std::io::stdout();
        writeln!(out, "Watching logs (this may be safely interrupted)...")?;
        let mut pieces = hub.follow_logs(&tasks, wanted);
        let mut last = None;
        let print = async {
            while let Some(piece) = pieces.next().await {
                let piece = piece?;
                let now = format!("{}:{}:{}:", piece.task, piece.volume, piece.log);
                if last.as_ref() != Some(&now) {
                    let gap = if last.is_some() { "\n" } else { "" };
                    writeln!(out, "{gap}==> {} <==", plain(&now))?;
                    last = Some(now);
                }
                out.write_all(&piece.data)?;
                out.flush()?;
            }
            Ok(())
        };
        tokio::select! {
            done = print => done,
            () = interrupted() => Err(crate::repo::Exit(1).into()),
        }
    })
}
