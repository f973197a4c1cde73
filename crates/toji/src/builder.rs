//! `toji builder`: a builder on its own, configured as Koji's.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use toji_builder::{Builder, Config, Ending, Enrolment};
use tokio::sync::Notify;
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
    /// Become a new host with this token of `toji admin builder-token` (`-` reads it from standard input), then build.
    #[arg(long, value_name = "TOKEN", requires = "name")]
    enrol: Option<String>,
    /// The hub's URL, instead of the configuration's.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The name of the new host.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Directory for work, and for the credential of a builder that has enrolled; instead of the configuration's.
    #[arg(long, value_name = "DIR")]
    workdir: Option<PathBuf>,
}

impl Options {
    /// The configuration with what the command line says; an enrolled builder needs no file.
    fn configuration(&self) -> anyhow::Result<Config> {
        let told = self.workdir.is_some() || self.enrol.is_some();
        let alone = told && !self.config.exists();
        let mut config = match alone {
            true => Config::enrolled(),
            false => Config::from_file(&self.config)
                .with_context(|| format!("failed to read {}", self.config.display()))?,
        };
        config.force_lock |= self.force_lock;
        config.merge_command = crate::repo::merge_command();
        if let Some(workdir) = &self.workdir {
            config.workdir.clone_from(workdir);
        }
        if let Some(server) = &self.server {
            config.server.clone_from(server);
        }
        Ok(config)
    }

    /// How to enrol, if that is wanted.
    fn enrolment(&self, config: &Config) -> anyhow::Result<Option<Enrolment>> {
        let (Some(token), Some(name)) = (&self.enrol, &self.name) else { return Ok(None) };
        let mut token = token.clone();
        if token == "-" {
            token =
                std::io::read_to_string(std::io::stdin()).context("failed to read the token")?;
        }
        anyhow::ensure!(!config.server.is_empty(), "--enrol needs --server");
        Ok(Some(Enrolment {
            server: config.server.clone(),
            serverca: config.serverca.clone(),
            token: token.trim().to_owned(),
            name: name.clone(),
            workdir: config.workdir.clone(),
        }))
    }
}

/// Builds until SIGTERM, SIGHUP or an interrupt; running tasks are then handed back.
///
/// SIGUSR1 drains it as it does `kojid`: it begins no further task, and when the last one has ended it starts anew,
/// from the program and the configuration that are there then.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let mut config = options.configuration()?;
    let enrolment = options.enrolment(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ending = runtime.context("failed to start the runtime")?.block_on(async {
        let (stop, drain) = (CancellationToken::new(), Arc::new(Notify::new()));
        tokio::spawn(parts::wait_for_signal(stop.clone()));
        obey(&stop, &drain)?;
        if let Some(enrolment) = &enrolment {
            toji_builder::enrol(enrolment).await.context("the builder could not enrol")?;
        }
        config.complete().context("the builder has no login")?;
        toji_builder::trial(&config.workdir).await.context("this machine cannot build")?;
        Builder::run_once(config, &stop, &drain).await.context("the builder failed")
    })?;
    match ending {
        Ending::Shutdown => Ok(()),
        Ending::Restart => Err(start_anew()),
    }
}

/// Passes on the signals that only builders know.
fn obey(stop: &CancellationToken, drain: &Arc<Notify>) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut restart =
        signal(SignalKind::user_defined1()).context("failed to listen for SIGUSR1")?;
    let mut hangup = signal(SignalKind::hangup()).context("failed to listen for SIGHUP")?;
    let (stop, drain) = (stop.clone(), drain.clone());
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = restart.recv() => drain.notify_one(),
                Some(()) = hangup.recv() => stop.cancel(),
                else => return,
            }
        }
    });
    Ok(())
}

/// Becomes the program anew, with the same arguments; returns only if that fails.
fn start_anew() -> anyhow::Error {
    tracing::info!("starting anew");
    let mut args = std::env::args_os();
    let program = args.next().unwrap_or_default();
    // A token is good once only.
    let mut rest = Vec::new();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--enrol") => drop(args.next()),
            Some(text) if text.starts_with("--enrol=") => {}
            _ => rest.push(arg),
        }
    }
    let error = std::process::Command::new(program).args(rest).exec();
    anyhow::Error::new(error).context("failed to start anew")
}
