//! `toji hub`: a hub on its own, configured as Koji's; several may share one PostgreSQL.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Serialize;
use toji_bus::Bus;
use toji_db::{Db, Engine};
use toji_hub::Hub;
use toji_server::{Front, Listeners, Site};
use toji_value::Fault;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::conf::{Conf, Files};
use crate::{Log, parts};

/// What `toji hub` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Configuration in the format of Koji's hub.conf [default: $KOJI_HUB_CONFIG or
    /// /etc/koji-hub/hub.conf]; files in FILE.d (or $KOJI_HUB_CONFIGDIR) are read before it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Database, `postgres://…` or `sqlite:PATH`, instead of the one in the configuration.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Address to listen at for plain HTTP, instead of `Listen` in `[toji]`; port 0 picks a free one.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    /// Address to listen at for TLS, instead of `ListenTLS` in `[toji]`.
    #[arg(long, value_name = "HOST:PORT")]
    listen_tls: Option<SocketAddr>,
    /// Written when the hub serves: a JSON object with its addresses.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Leave the upkeep of repositories to other hubs, or to `toji repod`.
    #[arg(long)]
    no_repod: bool,
    /// Collect garbage once a day, as this koji-gc.conf says; one of several hubs is enough.
    #[arg(long, value_name = "FILE")]
    gc: Option<PathBuf>,
    /// Leave the scheduling of tasks to other hubs.
    #[arg(long)]
    no_scheduler: bool,
}

/// What `toji repod` can be told.
#[derive(clap::Args)]
pub(crate) struct RepodOptions {
    /// Configuration in the format of Koji's hub.conf, found as for `toji hub`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Database, instead of the one in the configuration.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

/// The content of the ready file.
#[derive(Serialize)]
struct Ready {
    url: String,
    hub: String,
    web: String,
    files: String,
    /// The address with TLS, if there is one.
    tls: Option<String>,
    pid: u32,
}

#[expect(clippy::disallowed_methods, reason = "the environment names files, as for Koji's hub")]
pub(crate) fn files(config: Option<PathBuf>) -> Files {
    Files::find(config, |name| std::env::var(name).ok())
}

pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().context("failed to start the runtime")
}

/// Serves until SIGTERM or an interrupt, then drains; SIGHUP reads the configuration anew.
pub(crate) fn run(options: Options, log: &Log) -> anyhow::Result<()> {
    let files = files(options.config.clone());
    let conf = files.read()?;
    adopt(&conf, log);
    conf.apply_limits();
    runtime()?.block_on(serve(options, files, conf, log))
}

/// Keeps repositories for hubs that leave it to this process.
pub(crate) fn run_repod(options: RepodOptions, log: &Log) -> anyhow::Result<()> {
    let conf = files(options.config).read()?;
    adopt(&conf, log);
    conf.apply_limits();
    runtime()?.block_on(async {
        let hub = open(conf, options.database.as_deref()).await?;
        crate::fetch::Web::serve(&hub);
        let stop = CancellationToken::new();
        tokio::spawn(parts::wait_for_signal(stop.clone()));
        let relay = tokio::spawn(parts::relay(hub.clone(), stop.clone()));
        toji_hub::repod::serve(hub, stop.cancelled_owned()).await;
        relay.await.context("the relay failed")
    })
}

/// Tells what is not honoured, and sets the detail of the log.
pub(crate) fn adopt(conf: &Conf, log: &Log) {
    if let Some(level) = conf.log {
        log.set(level);
    }
    conf.tell();
}

/// The hub that a hub.conf (Koji's, if none is named) describes, without serving it.
pub(crate) async fn open_by(
    config: Option<PathBuf>,
    database: Option<&str>,
) -> anyhow::Result<Hub> {
    let conf = files(config).read()?;
    let url = conf.database(database)?;
    let options = toji_db::Options::default();
    let db = Db::open(&url, &options).await.context("failed to open the database")?;
    Ok(Hub::new(db, Bus::new(), conf.hub))
}

async fn open(conf: Conf, database: Option<&str>) -> anyhow::Result<Hub> {
    let url = conf.database(database)?;
    let mut options = toji_db::Options::default();
    options.connections = conf.connections.unwrap_or(options.connections);
    let db = Db::open(&url, &options).await.context("failed to open the database")?;
    db.migrate().await.context("failed to bring the database's schema up to date")?;
    if db.engine() == Engine::Sqlite {
        tracing::warn!("an embedded database is for one hub only");
    }
    let hub = Hub::start(db, Bus::new(), conf.hub).await;
    let hub = hub.map_err(|fault| anyhow::anyhow!("hub.conf: {}", fault.message))?;
    check(&hub)?;
    hub.recover().await.map_err(|fault| anyhow::anyhow!("failed to recover: {}", fault.message))?;
    Ok(hub)
}

/// Refuses options that would make every call fail.
pub(crate) fn check(hub: &Hub) -> anyhow::Result<()> {
    let wrong = |fault: Fault| anyhow::anyhow!("hub.conf: {}", fault.message);
    let policies = hub.policies.as_ref().map(drop).map_err(Fault::clone);
    policies.and_then(|()| hub.names()).map_err(wrong)
}

async fn serve(options: Options, files: Files, conf: Conf, log: &Log) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup()).context("failed to listen for signals")?;
    let listeners = listeners(&options, &conf)?;
    let encrypted = listeners.tls.is_some();
    let front = conf.front.open(encrypted)?;
    let urls = urls(&listeners)?;
    let hub = open(conf, options.database.as_deref()).await?;

    let stop = CancellationToken::new();
    tokio::spawn(parts::wait_for_signal(stop.clone()));
    let relay = tokio::spawn(parts::relay(hub.clone(), stop.clone()));
    let live = tokio::spawn(parts::live(hub.clone(), stop.clone()));
    let mut upkeep = Upkeep::start(&hub, &options, &stop);
    let (current, site) = watch::channel(parts::site(&hub, front, &stop));
    let drain = toji_server::Options::default();
    let mut server =
        tokio::spawn(toji_server::serve(site, listeners, drain, stop.clone().cancelled_owned()));
    if let Some(file) = &options.ready_file {
        ready(&urls, file)?;
    }
    for url in &urls {
        tracing::info!("hub at {url}/kojihub");
    }
    let ended = loop {
        tokio::select! {
            ended = &mut server => break ended,
            Some(()) = hangup.recv(), if !stop.is_cancelled() => {
                if let Some((hub, front)) = reload(&current, &files, encrypted, log).await {
                    upkeep.end().await;
                    upkeep = Upkeep::start(&hub, &options, &stop);
                    current.send_replace(parts::site(&hub, front, &stop));
                    tracing::info!("the configuration was read anew");
                }
            }
        }
    };
    stop.cancel();
    upkeep.end().await;
    relay.await.context("the relay failed")?;
    live.await.context("the writer of builders' states failed")?;
    ended.context("the server's task failed")?
}

/// Hub and keys as the files are now; nothing if they have mistakes.
async fn reload(
    current: &watch::Sender<Site>,
    files: &Files,
    encrypted: bool,
    log: &Log,
) -> Option<(Hub, Front)> {
    let present = current.borrow().hub.clone();
    let read = async {
        let conf = files.read()?;
        adopt(&conf, log);
        let front = conf.front.open(encrypted)?;
        let hub = present.reloaded(conf.hub).await;
        let hub = hub.map_err(|fault| anyhow::anyhow!("hub.conf: {}", fault.message))?;
        check(&hub).map(|()| (hub, front))
    };
    let read = read.await;
    if let Err(error) = &read {
        tracing::error!("the configuration stays as it was: {error:#}");
    }
    read.ok()
}

/// The sockets: those of the command line, else of the file, else one for this machine only.
fn listeners(options: &Options, conf: &Conf) -> anyhow::Result<Listeners> {
    let encrypted = options.listen_tls.or(conf.front.listen_tls);
    let local = SocketAddr::from(([127, 0, 0, 1], 8080));
    let plain = options.listen.or(conf.front.listen).or(encrypted.is_none().then_some(local));
    Ok(Listeners { plain: bind(plain)?, tls: bind(encrypted)? })
}

fn bind(address: Option<SocketAddr>) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    toji_server::listen(address).map(Some).with_context(|| format!("failed to listen at {address}"))
}

/// The addresses that were bound, the one with TLS last.
fn urls(listeners: &Listeners) -> anyhow::Result<Vec<String>> {
    let both = [("http", &listeners.plain), ("https", &listeners.tls)];
    let bound =
        both.into_iter().filter_map(|(scheme, listener)| Some((scheme, listener.as_ref()?)));
    bound.map(|(scheme, listener)| Ok(format!("{scheme}://{}", listener.local_addr()?))).collect()
}

fn ready(urls: &[String], file: &std::path::Path) -> anyhow::Result<()> {
    let Some(url) = urls.first() else { return Ok(()) };
    let ready = Ready {
        url: url.to_owned(),
        hub: format!("{url}/kojihub"),
        web: format!("{url}/koji"),
        files: format!("{url}/kojifiles"),
        tls: urls.iter().find(|url| url.starts_with("https:")).cloned(),
        pid: std::process::id(),
    };
    let text = serde_json::to_vec_pretty(&ready).context("failed to write the ready file")?;
    crate::up::write_private(file, &text)
}

/// The loops that read the hub's options at their start.
struct Upkeep {
    stop: CancellationToken,
    loops: JoinSet<()>,
}

impl Upkeep {
    fn start(hub: &Hub, options: &Options, stop: &CancellationToken) -> Upkeep {
        let stop = stop.child_token();
        let mut loops = JoinSet::new();
        if !options.no_scheduler {
            loops.spawn(toji_hub::scheduler::serve(hub.clone(), stop.clone().cancelled_owned()));
        }
        loops.spawn(toji_hub::solve::keeper::serve(hub.clone(), stop.clone().cancelled_owned()));
        if !options.no_repod {
            loops.spawn(toji_hub::repod::serve(hub.clone(), stop.clone().cancelled_owned()));
        }
        loops.spawn(parts::send_messages(hub.clone(), stop.clone()));
        loops.spawn(parts::relay_out(hub.clone(), stop.clone()));
        loops.spawn(toji_hub::events::keep::serve(hub.clone(), stop.clone().cancelled_owned()));
        loops.spawn(parts::write_statements(hub.clone(), stop.clone()));
        loops.spawn(toji_hub::fragment::job::serve(hub.clone(), stop.clone().cancelled_owned()));
        loops.spawn(toji_hub::audit::serve(hub.clone(), stop.clone().cancelled_owned()));
        if let Some(file) = &options.gc {
            match crate::gc::read(file) {
                Ok(what) => drop(loops.spawn_blocking(parts::collect(hub.clone(), what, &stop))),
                Err(error) => tracing::error!("garbage is not collected: {error:#}"),
            }
        }
        Upkeep { stop, loops }
    }

    async fn end(&mut self) {
        self.stop.cancel();
        while self.loops.join_next().await.is_some() {}
    }
}
