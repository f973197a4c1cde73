//! `toji up`: all parts in one process.

mod config;
mod data;
mod first_run;
mod ready;

pub(crate) use data::write_private;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use toji_bus::Bus;
use toji_db::Db;
use toji_hub::Hub;
use tokio_util::sync::CancellationToken;

use crate::{Log, parts};

/// What `toji up` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Directory for everything: database, packages, repositories, work.
    #[arg(long, value_name = "DIR", default_value = "toji-data")]
    data: PathBuf,
    /// Address to listen at; port 0 picks a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Database, `sqlite:PATH` or `postgres://…`, instead of the embedded one in the data directory.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Written when everything serves: a JSON object with addresses and the administrator's login.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Run no builder in this process.
    #[arg(long)]
    no_builder: bool,
    /// How many builders to run in this process; each is a host of its own.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, conflicts_with = "no_builder")]
    builders: u16,
    /// Make no repositories without being told to: another program, such as kojira, looks after them.
    #[arg(long)]
    no_repositories: bool,
    /// Collect garbage once a day, as this koji-gc.conf says.
    #[arg(long, value_name = "FILE")]
    gc: Option<PathBuf>,
    /// Directory with plugins, scripts and programs, of which all are loaded; those that `hub.conf` in the data
    /// directory names are, too.
    #[arg(long, value_name = "DIR")]
    plugin_dir: Option<PathBuf>,
    /// Mail server for notifications, `HOST`, `HOST:PORT` or a URL `smtps://…`; without it none are sent.
    #[arg(long, value_name = "SERVER")]
    mail_server: Option<String>,
    /// Sender of notifications.
    #[arg(long, value_name = "ADDRESS")]
    mail_from: Option<String>,
    /// Domain of the users' addresses.
    #[arg(long, value_name = "DOMAIN")]
    email_domain: Option<String>,
}

impl Options {
    /// Tells the builder of this process how to send mail.
    fn set_mail(&self, builder: &mut toji_builder::Config) {
        if let Some(server) = &self.mail_server {
            builder.mail.host.clone_from(server);
        }
        if let Some(from) = &self.mail_from {
            builder.from_addr.clone_from(from);
        }
    }
}

/// The age from which on logs of an own data directory are compressed, in seconds: a week.
const LOG_AGE: f64 = 7.0 * 86_400.0;

/// Runs until SIGTERM or an interrupt, then drains.
pub(crate) fn run(options: Options, log: &Log) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    runtime.block_on(serve(options, log))
}

async fn serve(options: Options, log: &Log) -> anyhow::Result<()> {
    let data = data::Dir::open(&options.data)?;
    if !options.no_builder {
        toji_builder::trial(&data.workdir(1))
            .await
            .context("this machine cannot build (--no-builder starts without a builder)")?;
    }
    let listener = toji_server::listen(options.listen)
        .with_context(|| format!("failed to listen at {}", options.listen))?;
    let address = listener.local_addr()?;
    let url = format!("http://{address}");
    let database = options.database.clone().unwrap_or_else(|| data.database());
    let db = Db::open(&database, &toji_db::Options::default())
        .await
        .context("failed to open the database")?;
    db.migrate().await.context("failed to bring the database's schema up to date")?;
    let config = config::read(&options, &data, &url, log)?;
    let hub = Hub::start(db, Bus::new(), config).await;
    let hub = hub.map_err(|fault| anyhow::anyhow!("{}", fault.message))?;
    crate::hub::check(&hub)?;
    hub.recover().await.map_err(|fault| anyhow::anyhow!("failed to recover: {}", fault.message))?;
    let builders = usize::from(options.builders);
    let accounts = first_run::prepare(&hub, &data, builders).await?;

    let stop = CancellationToken::new();
    tokio::spawn(parts::wait_for_signal(stop.clone()));
    let mut parts = tokio::task::JoinSet::new();
    parts.spawn(parts::relay(hub.clone(), stop.clone()));
    parts.spawn(parts::live(hub.clone(), stop.clone()));
    parts.spawn(parts::send_messages(hub.clone(), stop.clone()));
    parts.spawn(parts::relay_out(hub.clone(), stop.clone()));
    parts.spawn(toji_hub::events::keep::serve(hub.clone(), stop.clone().cancelled_owned()));
    parts.spawn(parts::write_statements(hub.clone(), stop.clone()));
    parts.spawn(toji_hub::fragment::job::serve(hub.clone(), stop.clone().cancelled_owned()));
    parts.spawn(toji_hub::audit::serve(hub.clone(), stop.clone().cancelled_owned()));
    parts.spawn(toji_hub::scheduler::serve(hub.clone(), stop.clone().cancelled_owned()));
    parts.spawn(toji_hub::solve::keeper::serve(hub.clone(), stop.clone().cancelled_owned()));
    if !options.no_repositories {
        parts.spawn(toji_hub::repod::serve(hub.clone(), stop.clone().cancelled_owned()));
    }
    let garbage = match &options.gc {
        Some(file) => crate::gc::read(file)?,
        None => crate::gc::logs_alone(LOG_AGE),
    };
    parts.spawn_blocking(parts::collect(hub.clone(), garbage, &stop));
    let site = parts::site(&hub, toji_server::Front::default(), &stop).fixed();
    // The server ends last: the builder reports the end of its tasks through it.
    let server_stop = CancellationToken::new();
    let mut server = tokio::spawn(toji_server::serve(
        site,
        listener,
        toji_server::Options::default(),
        server_stop.clone().cancelled_owned(),
    ));
    let logins = accounts.hosts().into_iter().take(if options.no_builder { 0 } else { builders });
    for (login, number) in logins.zip(1..) {
        let mut builder = data.builder(&url, &login, number);
        options.set_mail(&mut builder);
        config::share_plugins(&options, &mut builder)?;
        let stopped = stop.clone();
        parts.spawn(async move {
            if let Err(error) = toji_builder::Builder::run(builder, stopped).await {
                let error = anyhow::Error::from(error);
                tracing::error!("the builder {} stopped: {error:#}", login.user);
            }
        });
    }
    let ready = ready::Ready::new(&url, &data, &accounts)?;
    if let Some(file) = &options.ready_file {
        ready.write(file)?;
    }
    ready.greet();
    let ended = tokio::select! {
        () = stop.cancelled() => None,
        ended = &mut server => Some(ended),
    };
    stop.cancel();
    while parts.join_next().await.is_some() {}
    server_stop.cancel();
    let ended = match ended {
        Some(ended) => ended,
        None => server.await,
    };
    ended.context("the server's task failed")?
}
