//! `toji-contract serve`: the recorded hub's data behind Toji's front door.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;
use toji_bus::Bus;
use toji_hub::{Config, Hub};
use toji_server::{InProcess, Site};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::database::{Engine, Fresh};
use crate::dataset::DataSet;
use crate::fileroot::FileRoot;

/// The administrator of the recorded data sets.
const ADMIN: (&str, &str) = ("kojiadmin", "adminpw");

/// Where the recorded hub and its clients looked for the web pages.
const WEB_URL: &str = "http://127.0.0.1:8401/koji";

/// What `serve` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The database to load into.
    #[arg(long, value_enum, default_value = "sqlite")]
    database: Engine,
    /// Address to listen at; port 0 picks a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The file root to fill; everything that is kept lies in it.
    #[arg(long, value_name = "DIR")]
    topdir: PathBuf,
    /// Written when everything serves: the JSON object of `toji up`.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// The data set: a directory with `data/` and perhaps `files.tar.zst`.
    #[arg(long, value_name = "DIR", default_value = "../shared/contract")]
    data: PathBuf,
}

/// Runs until SIGTERM or an interrupt, then drains.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    runtime.block_on(serve(options))
}

async fn serve(options: Options) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    tokio::spawn(wait_for_signal(stop.clone()));
    let data = DataSet::open(&options.data)?;
    let root = Arc::new(FileRoot::create(&options.topdir)?);
    let unpacking = unpack(&data, root.clone())?;
    let fresh = Fresh::create(options.database, &root.own("toji.db")).await?;
    let served = async {
        fresh.load(&data).await?;
        unpacking.await.context("the task that unpacks the files failed")??;
        tokio::select! {
            served = answer(&options, &fresh, &root, stop) => served,
            () = fresh.keep_alive() => Ok(()),
        }
    };
    let served = served.await;
    fresh.remove().await?;
    served
}

/// Unpacks the file root in a thread of its own, beside the loading of the tables.
fn unpack(
    data: &DataSet,
    root: Arc<FileRoot>,
) -> anyhow::Result<tokio::task::JoinHandle<anyhow::Result<()>>> {
    let files = data.files()?;
    if files.is_none() {
        tracing::info!("this data set has no files");
    }
    Ok(tokio::task::spawn_blocking(move || files.map_or(Ok(()), |f| root.unpack(f))))
}

async fn answer(
    options: &Options,
    fresh: &Fresh,
    root: &FileRoot,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("failed to listen at {}", options.listen))?;
    let url = format!("http://{}", listener.local_addr()?);
    let hub = Hub::new(fresh.db.clone(), Bus::new(), config(root.path()));
    let pages = toji_web::router(Arc::new(InProcess { hub: hub.clone(), stop: stop.clone() }));
    let ready = ready(&url, root)?;
    if let Some(file) = &options.ready_file {
        write_whole(file, &serde_json::to_vec_pretty(&ready)?)?;
    }
    tracing::info!("serving {url}/kojihub, files in {}", root.path().display());
    let server_options = toji_server::Options::default();
    let site = Site { hub, pages, front: toji_server::Front::default() }.fixed();
    toji_server::serve(site, listener, server_options, stop.cancelled_owned()).await
}

/// The options of the hub whose answers were recorded.
fn config(topdir: &Path) -> Config {
    let allow = |name: &str| (name.to_owned(), "all :: allow".to_owned());
    Config {
        topdir: topdir.to_owned(),
        web_url: WEB_URL.into(),
        email_domain: "example.com".into(),
        notify_on_success: true,
        disable_notifications: true,
        login_creates_user: true,
        enable_maven: true,
        enable_win: true,
        policies: vec![allow("tag"), allow("sidetag")],
        ..Config::default()
    }
}

/// The content of the ready file, after writing the stock client's configuration.
fn ready(url: &str, root: &FileRoot) -> anyhow::Result<serde_json::Value> {
    let (hub, web, files) =
        (format!("{url}/kojihub"), format!("{url}/koji"), format!("{url}/kojifiles"));
    let (topdir, conf) = (root.path().display().to_string(), root.own("koji.conf"));
    let text = format!(
        "[koji]\nserver = {hub}\nweburl = {WEB_URL}\ntopurl = {files}\ntopdir = {topdir}\nauthtype = password\n"
    );
    write_whole(&conf, text.as_bytes())?;
    let conf = conf.display().to_string();
    let (user, password) = ADMIN;
    let args = ["-c", &conf, "--authtype", "password", "--user", user, "--password", password];
    Ok(json!({
        "url": url, "hub": hub, "web": web, "files": files, "grpc": url,
        "admin_user": user, "admin_password": password,
        "topdir": topdir, "koji_conf": conf, "koji_args": args, "pid": std::process::id(),
    }))
}

/// Writes a file in one step: who sees it sees it whole.
fn write_whole(file: &Path, content: &[u8]) -> anyhow::Result<()> {
    let draft = file.with_extension("new");
    std::fs::write(&draft, content)
        .and_then(|()| std::fs::rename(&draft, file))
        .with_context(|| format!("failed to write {}", file.display()))
}

/// SIGTERM and Ctrl-C end the program in order.
async fn wait_for_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    stop.cancel();
}
