//! `toji mock-config`: the configuration with which mock makes a tag's buildroot at home, as `koji mock-config` prints it.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use toji_builder::{MockConfigFor, mock_config, mock_tag_options};
use toji_client::{Client, args};
use toji_value::{Map, Value};

/// What `toji mock-config` can be told; the names are those of the stock command.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The name of the buildroot.
    #[arg(value_name = "NAME", conflicts_with = "name")]
    first: Option<String>,
    /// The arch.
    #[arg(short, long)]
    arch: Option<String>,
    /// The name of the buildroot.
    #[arg(short, long)]
    name: Option<String>,
    /// The tag whose buildroot is meant.
    #[arg(long)]
    tag: Option<String>,
    /// The target whose buildroot is meant.
    #[arg(long)]
    target: Option<String>,
    /// The task whose last buildroot is meant.
    #[arg(long)]
    task: Option<i64>,
    /// The buildroot that is meant.
    #[arg(long)]
    buildroot: Option<i64>,
    /// Use the address of the latest repository, whichever that is when mock runs.
    #[arg(long)]
    latest: bool,
    /// Where mock works.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/mock")]
    mockdir: String,
    /// The file root of the hub, if it is at hand; it goes before --topurl.
    #[arg(long, value_name = "DIR")]
    topdir: Option<String>,
    /// Where the hub publishes its files.
    #[arg(long, value_name = "URL")]
    topurl: Option<String>,
    /// What the macro `%distribution` says.
    #[arg(long, default_value = "Koji Testing")]
    distribution: String,
    /// A proxy for yum and dnf.
    #[arg(long, value_name = "URL")]
    yum_proxy: Option<String>,
    /// Write it there.
    #[arg(short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write what a builder of Koji's would for its buildroot of this number.
    #[arg(long, value_name = "ID")]
    as_builder: Option<i64>,
    /// With --as-builder: images for the bootstrap are allowed there.
    #[arg(long, requires = "as_builder")]
    bootstrap_images: bool,
    /// With --as-builder: the group that is installed first.
    #[arg(long, default_value = "build", requires = "as_builder")]
    group: String,
    /// The hub's URL; a hub of Koji's will do.
    #[arg(long, value_name = "URL", default_value = "http://localhost:8080/kojihub")]
    server: String,
}

/// The buildroot that is meant.
struct Meant {
    tag: String,
    arch: String,
    /// A number, or `latest`.
    repo: Value,
    /// The name, if the way to it gives one.
    name: Option<String>,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let text = runtime.block_on(async {
        let hub = Client::new(&options.server, toji_client::Options::default())?;
        let meant = find(&hub, options).await?;
        write(&hub, options, &meant).await
    })?;
    match &options.output {
        Some(file) => std::fs::write(file, text).with_context(|| file.display().to_string()),
        None => Ok(writeln!(std::io::stdout().lock(), "{text}")?),
    }
}

async fn find(hub: &Client, options: &Options) -> anyhow::Result<Meant> {
    if let Some(id) = options.buildroot {
        let root = hub.call("getBuildroot", (id,)).await?;
        anyhow::ensure!(!root.is_nil(), "No such buildroot: {id}");
        return Ok(of_buildroot(options, &root, None));
    }
    if let Some(task) = options.task {
        let roots = hub.call("listBuildroots", args!(; "taskID" => task)).await?;
        let last = roots.as_array().and_then(<[Value]>::last);
        let Some(root) = last else { bail!("No buildroots for task {task} (or no such task)") };
        let name = format!("{}-task_{task}", root.get("tag_name").display());
        return Ok(of_buildroot(options, root, Some(name)));
    }
    let (tag, id) = if let Some(tag) = &options.tag {
        let info = hub.call("getTag", (tag.as_str(),)).await?;
        anyhow::ensure!(!info.is_nil(), "No such tag: {tag}");
        (info.get("name").display(), info.get("id").clone())
    } else if let Some(target) = &options.target {
        let info = hub.call("getBuildTarget", (target.as_str(),)).await?;
        anyhow::ensure!(!info.is_nil(), "No such build target: {target}");
        (info.get("build_tag_name").display(), info.get("build_tag").clone())
    } else {
        bail!("Please specify one of: --tag, --target, --task, --buildroot");
    };
    let arch = options.arch.clone().context("Please specify an arch")?;
    let repo = match options.latest {
        true => "latest".into(),
        false => hub.call("getRepo", (id,)).await?.get("id").clone(),
    };
    anyhow::ensure!(!repo.is_nil(), "Could not get a repo for tag: {tag}");
    Ok(Meant { tag, arch, repo, name: None })
}

fn of_buildroot(options: &Options, root: &Value, name: Option<String>) -> Meant {
    let repo = match options.latest {
        true => "latest".into(),
        false => root.get("repo_id").clone(),
    };
    let text = |key: &str| root.get(key).display();
    Meant { tag: text("tag_name"), arch: text("arch"), repo, name }
}

async fn write(hub: &Client, options: &Options, meant: &Meant) -> anyhow::Result<String> {
    let event = match meant.repo.as_int() {
        Some(repo) => hub.call("repoInfo", (repo,)).await?.get("create_event").clone(),
        None => Value::Nil,
    };
    let config = hub.call("getBuildConfig", args!(meant.tag.as_str(); "event" => event)).await?;
    anyhow::ensure!(!config.is_nil(), "Could not get config info for tag: {}", meant.tag);
    match config.get("arches").as_str().unwrap_or_default() {
        "" => tracing::warn!("Tag {} has an empty arch list", meant.tag),
        arches if !arches.contains(&meant.arch) => {
            tracing::warn!("{} is not in the list of tag arches", meant.arch);
        }
        _ => {}
    }
    let none = Map::new();
    let extra = config.get("extra").as_struct().unwrap_or(&none);
    let mut opts = own_options(options, meant);
    let arch = meant.arch.as_str();
    if let Some(id) = options.as_builder {
        let name = format!("{}-{id}-{}", meant.tag, meant.repo.display());
        as_builder(&mut opts, options, arch, id);
        let images = options.bootstrap_images;
        mock_tag_options(&mut opts, extra, target_arch(arch), MockConfigFor::Builder { images })?;
        return Ok(mock_config(&name, toji_types::arch::canonical(arch), true, &opts)?);
    }
    mock_tag_options(&mut opts, extra, arch, MockConfigFor::User)?;
    let told = options.name.as_ref().or(options.first.as_ref()).or(meant.name.as_ref());
    let made = || format!("{}-repo_{}", meant.tag, meant.repo.display());
    let name = told.cloned().unwrap_or_else(made);
    Ok(mock_config(&name, arch, false, &opts)?)
}

/// What the command line says.
fn own_options(options: &Options, meant: &Meant) -> Map {
    let mut opts = toji_value::map! {
        "tag_name" => meant.tag.as_str(),
        "repoid" => &meant.repo,
        "mockdir" => options.mockdir.as_str(),
        "distribution" => options.distribution.as_str(),
    };
    if let Some(proxy) = &options.yum_proxy {
        opts.insert("yum_proxy", proxy.as_str());
    }
    let published = || match options.server.strip_suffix("/kojihub") {
        Some(base) => format!("{base}/kojifiles"),
        None => options.server.clone(),
    };
    match &options.topdir {
        Some(topdir) => opts.insert("topdir", topdir.as_str()),
        None => opts.insert("topurl", options.topurl.clone().unwrap_or_else(published)),
    };
    opts
}

/// The arch for which a builder makes packages: one of Koji's names is none for configure.
fn target_arch(arch: &str) -> &str {
    if arch == "armhfp" { "armv7hl" } else { arch }
}

/// What a builder adds by itself.
fn as_builder(opts: &mut Map, options: &Options, arch: &str, id: i64) {
    opts.insert("buildroot_id", id);
    opts.insert("install_group", options.group.as_str());
    opts.insert("use_host_resolv", false);
    opts.insert("target_arch", target_arch(arch));
}
