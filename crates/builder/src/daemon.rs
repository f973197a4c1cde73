//! The daemon: keeps in touch with the hub and runs what it assigns.

mod state;
mod tasks;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use toji_client::{Client, Options, args};
use toji_proto::builder::Status;
use toji_sandbox::CancellationToken;
use toji_types::state::BrState;
use toji_value::Value;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::config::Config;
use crate::context::{Shared, Signals};
use crate::credential::{self, Credential};
use crate::error::Error;
use crate::failure::chain;
use crate::leave::{Ending, Leave};
use crate::packages::PackageCache;
use crate::plugins::Plugins;
use crate::salvage;
use crate::stream::{self, Signal};

type Result<T, E = Error> = std::result::Result<T, E>;

/// The build daemon.
pub struct Builder {
    shared: Arc<Shared>,
    /// What it logged in with, if that is to be renewed.
    credential: Option<Credential>,
    hub: Client,
    host_id: i64,
    host: Value,
    running: HashMap<i64, Running>,
    /// They end with the task's number, and whether the hub knows how it ended.
    workers: JoinSet<(i64, bool)>,
    status: watch::Sender<Status>,
    /// The hub goes away; until it is back no task is begun.
    draining: bool,
    /// When the hub was last asked for everything.
    asked: Instant,
}

struct Running {
    cancel: CancellationToken,
    /// Ends it with all others.
    work: CancellationToken,
    signals: Arc<Signals>,
    weight: f64,
    /// Whether it was assigned here once more.
    again: bool,
}

impl Builder {
    /// Logs in, works until `shutdown`, gives unfinished tasks back and leaves; a task may have it start anew.
    ///
    /// # Errors
    /// When the hub refuses the host or the work directory cannot be used; lost connections are waited out.
    pub async fn run(config: Config, shutdown: CancellationToken) -> Result<()> {
        while Self::run_once(config.clone(), &shutdown, &Notify::new()).await? == Ending::Restart {
            tracing::info!("starting anew, as a task asked for");
        }
        Ok(())
    }

    /// Works like [`Builder::run`], but returns to the caller when it is to start anew.
    ///
    /// After `drain` no task is begun; when the last one has ended, it is time to start anew.
    ///
    /// # Errors
    /// When the hub refuses the host or the work directory cannot be used; lost connections are waited out.
    pub async fn run_once(
        config: Config,
        shutdown: &CancellationToken,
        drain: &Notify,
    ) -> Result<Ending> {
        let start = Self::start(config);
        let Some(started) = shutdown.run_until_cancelled(start).await else {
            return Ok(Ending::Shutdown);
        };
        let mut builder = started?;
        let leave = builder.shared.clone();
        let drained = async {
            drain.notified().await;
            tracing::info!(
                "draining: the running tasks are finished, then the builder starts anew"
            );
            leave.leave.ask(Ending::Restart);
            std::future::pending::<()>().await
        };
        let outcome = tokio::select! {
            outcome = shutdown.run_until_cancelled(builder.serve()) => outcome,
            () = drained => None,
        };
        builder.leave().await;
        outcome.unwrap_or(Ok(Ending::Shutdown))
    }

    async fn start(config: Config) -> Result<Self> {
        let unusable = |source| Error::Work { path: config.workdir.clone(), source };
        std::fs::create_dir_all(&config.workdir).map_err(unusable)?;
        let options = Options {
            topurl: config.topurl.clone(),
            serverca: config.serverca.clone(),
            cert: config.cert.clone(),
            retry_interval: config.retry_interval,
            max_retries: u32::MAX,
            offline_retry: true,
            offline_retry_interval: config.offline_retry_interval,
            ..Options::default()
        };
        let hub = Client::new(&config.server, options)?;
        // The order of kojid.
        let credential = match &config.keys {
            _ if config.cert.is_some() => hub.login_with_certificate().await.map(|()| None)?,
            Some(keys) => hub.login_with_keytab(keys.clone()).await.map(|()| None)?,
            None => credential::log_in(&hub, &config).await?,
        };
        hub.exclusive(config.force_lock).await?;
        let id = hub.call("host.getID", ()).await?;
        let host_id = id.as_int().ok_or_else(|| Error::Answer("host.getID", id.repr()))?;
        salvage::logs(&hub, &config.workdir).await;
        toji_sandbox::remove_tree(&config.workdir.join("tasks")).map_err(unusable)?;
        crate::buildroot::clean_mock(&config, None).await;
        let chroots = tokio::sync::OnceCell::new();
        let packages = PackageCache::new(config.workdir.join("cache"), config.cache_size);
        let (live, quiet, leave) = (AtomicBool::new(false), AtomicBool::new(false), Leave::new());
        let plugins = Plugins::load(&config).await?;
        let work = Mutex::default();
        let shared =
            Arc::new(Shared { config, packages, chroots, plugins, live, quiet, leave, work });
        tracing::info!(host = host_id, "logged in");
        let mut builder = Builder {
            shared,
            credential,
            hub,
            host_id,
            host: Value::Nil,
            running: HashMap::new(),
            workers: JoinSet::new(),
            status: watch::Sender::new(Status::default()),
            draining: false,
            asked: Instant::now(),
        };
        builder.expire_buildroots().await?;
        builder.sync().await?;
        Ok(builder)
    }

    /// Works until a task asks for the end.
    async fn serve(&mut self) -> Result<Ending> {
        let (sender, mut signals) = mpsc::channel(256);
        let stream =
            stream::keep(self.shared.clone(), self.hub.clone(), self.status.subscribe(), sender);
        let _stream = AbortOnDrop(tokio::spawn(stream));
        let mut report = ticker(self.shared.config.report_interval);
        let mut poll = ticker(self.shared.config.sleeptime);
        let shared = self.shared.clone();
        loop {
            if let Some(ending) = shared.leave.wish().filter(|_| self.running.is_empty()) {
                return Ok(ending);
            }
            let done = tokio::select! {
                () = shared.leave.asked() => {
                    self.draining = true;
                    self.report().await
                }
                Some(signal) = signals.recv() => self.react(signal).await,
                _ = report.tick() => self.report_unless_quiet().await,
                _ = poll.tick() => self.poll_unless_quiet().await,
                Some(ended) = self.workers.join_next() => self.ended(ended).await,
            };
            match done {
                // Revoked, or another session took over: whoever is not welcome must not go on.
                Err(Error::Hub(error)) if is_shut_out(&error) => return Err(Error::Hub(error)),
                Err(Error::Hub(error)) if error.fault().is_some() => {
                    tracing::error!(error = chain(&error), "the hub refused a call");
                }
                other => other?,
            }
        }
    }

    async fn react(&mut self, signal: Signal) -> Result<()> {
        match signal {
            Signal::Connected => {
                self.draining = self.shared.leave.wish().is_some();
                self.report().await?;
                self.poll().await
            }
            Signal::Assigned(id, method) => {
                self.take(id, method);
                self.tell();
                Ok(())
            }
            Signal::Configured => self.report().await,
            Signal::Cancelled(id) => self.check(id).await,
            Signal::Woken(id) => {
                self.wake(id);
                Ok(())
            }
            Signal::Drain => {
                self.draining = true;
                self.tell();
                Ok(())
            }
        }
    }

    /// With a hub that stores what is said over the live connection, a report is not a call.
    async fn report_unless_quiet(&mut self) -> Result<()> {
        if self.shared.quiet.load(Ordering::Relaxed) {
            self.tell();
            return Ok(());
        }
        self.report().await
    }

    /// With a hub that tells everything, asking is only for what nobody thought of.
    async fn poll_unless_quiet(&mut self) -> Result<()> {
        let asked = self.asked.elapsed();
        if self.shared.quiet.load(Ordering::Relaxed) && asked < rest(self.host_id) {
            return Ok(());
        }
        self.poll().await
    }

    /// Asks for everything that signals would tell.
    async fn poll(&mut self) -> Result<()> {
        self.asked = Instant::now();
        self.sync().await?;
        if !self.draining {
            self.take_assigned().await?;
        }
        Ok(())
    }

    /// Buildroots of an earlier life are no more.
    async fn expire_buildroots(&self) -> Result<()> {
        let live = [BrState::Init, BrState::Waiting, BrState::Building];
        let live: Vec<Value> = live.iter().map(|state| Value::Int(state.number())).collect();
        let call = args!(; "hostID" => self.host_id, "state" => live);
        let buildroots = self.hub.call("listBuildroots", call).await?;
        for buildroot in buildroots.as_array().unwrap_or_default() {
            let call = args!(buildroot.get("id"), BrState::Expired.number());
            self.hub.call("host.setBuildRootState", call).await?;
        }
        Ok(())
    }

    /// Stops everything, gives the tasks back and logs out.
    async fn leave(&mut self) {
        let ids: Vec<Value> = self.running.keys().map(|id| Value::Int(*id)).collect();
        self.running.values().for_each(|running| running.cancel.cancel());
        let all = async { while self.workers.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, all).await.is_err() {
            self.workers.shutdown().await;
        }
        let farewell = async {
            // First, or the scheduler gives the tasks back to this host.
            self.hub.call("host.updateHost", (0.0, false)).await?;
            if !ids.is_empty() {
                self.hub.call("host.freeTasks", (ids,)).await?;
            }
            self.hub.logout().await
        };
        match tokio::time::timeout(FAREWELL, farewell).await {
            Ok(Ok(())) => tracing::info!("logged out"),
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "could not log out"),
            Err(_) => tracing::warn!("the hub did not answer the farewell"),
        }
    }
}

fn is_shut_out(error: &toji_client::Error) -> bool {
    error.fault().is_some_and(|fault| fault.code == toji_value::code::AUTH)
}

/// How long the hub may take to hear that the builder leaves.
const FAREWELL: Duration = Duration::from_secs(5);

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn ticker(period: Duration) -> tokio::time::Interval {
    let mut ticker = interval(period);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticker
}

/// How long a host relies on being told everything: half an hour to one and a half, so that many do not ask at once.
fn rest(host: i64) -> Duration {
    // the golden ratio spreads consecutive numbers
    let spread = (host as f64 * 0.618_033_988_749_895).fract();
    Duration::from_secs_f64(3600.0 * (0.5 + spread))
}
