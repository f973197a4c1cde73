//! `toji builder`: a builder on its own, configured as Koji's.

use std::path::PathBuf;

use anyhow::Context as _;
use toji_builder::{Builder, Config};
use tokio_util::sync::CancellationToken;

use crate::parts;

/// What `toji builder` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Configuration in the format of Koji's kojid.conf.
    #[arg(long, value_name = "FILE", default_value = "/etc/kojid/kojid.conf")]
    config: PathBuf,
    /// End another session of this host at the start.
    #[arg(long)]
    force_lock: bool,
}

/// Builds until SIGTERM or an interrupt; running tasks are then handed back.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let mut config = Config::from_file(&options.config)
        .with_context(|| format!("failed to read {}", options.config.display()))?;
    config.force_lock |= options.force_lock;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("failed to start the runtime")?.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(parts::wait_for_signal(stop.clone()));
        Builder::run(config, stop).await.context("the builder failed")
    })
}
