//! `toji solve`: what would be installed, why, and what depends on what; asked of a hub, or of repositories at hand.

mod stored;

use std::collections::BTreeMap;
use std::io::{BufReader, Cursor, Write};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use toji_client::{Client, args};
use toji_hub::solve::Fetch as _;
use toji_repodata::reader::ReadLimits;
use toji_repodata::{Record, Repomd, decoder};
use toji_solve::{Job, Pool, Repository, Want};
use toji_types::Lockfile;
use toji_types::lockfile::Source;
use toji_value::{Value, map};

use crate::fetch::Web;

/// What `toji solve` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
    /// The hub's URL.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        default_value = "http://localhost:8080/kojihub"
    )]
    server: String,
    /// The tag whose packages are meant.
    #[arg(long, global = true, conflicts_with = "repos")]
    tag: Option<String>,
    /// The event at which the tag is looked at, instead of now.
    #[arg(long, global = true, requires = "tag")]
    event: Option<i64>,
    /// A repository at hand instead of a tag, a directory or URL; may be given several times, the first one wins between equals.
    #[arg(long = "repo", global = true, value_name = "[ID=]DIR|URL")]
    repos: Vec<String>,
    /// The arch of the buildroot.
    #[arg(long, global = true, default_value = std::env::consts::ARCH)]
    arch: String,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Print what would be installed in an empty root, or the reasons why that cannot be.
    Install {
        #[command(flatten)]
        wants: Wants,
        /// Write the plan there as a lockfile.
        #[arg(long, value_name = "FILE")]
        lockfile: Option<PathBuf>,
    },
    /// Print the steps that bring a package into what would be installed.
    Why {
        /// Name of the package.
        name: String,
        #[command(flatten)]
        wants: Wants,
    },
    /// List the packages that require what a name, capability or path means.
    Depends {
        /// Name, capability or path.
        name: String,
        /// How many steps away: 1 are those that require it themselves.
        #[arg(long, default_value_t = 1)]
        distance: u16,
    },
    /// Print the lockfile of a buildroot, or of a build's buildroot of the arch: which packages exactly it had.
    Lockfile {
        /// Number of a buildroot, or name-version-release of a build.
        #[arg(value_name = "BUILDROOT|BUILD")]
        of: String,
    },
}

/// What is wanted.
#[derive(clap::Args)]
struct Wants {
    /// What `dnf install` takes: a name, pattern, capability or path.
    packages: Vec<String>,
    /// A requirement as in a spec file's BuildRequires.
    #[arg(long = "require", value_name = "CAPABILITY")]
    requires: Vec<String>,
    /// A group of the tag, such as `build`.
    #[arg(long = "group", value_name = "NAME", requires = "tag")]
    groups: Vec<String>,
    /// A pattern of packages that shall not be taken.
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Also install what packages recommend.
    #[arg(long)]
    weak: bool,
    /// Take only the newest version of what is wanted.
    #[arg(long)]
    best: bool,
}

impl Wants {
    fn options(&self) -> Value {
        map! {
            "requires" => texts(&self.requires), "groups" => texts(&self.groups),
            "exclude" => texts(&self.exclude), "weak" => self.weak, "best" => self.best,
        }
        .into()
    }

    fn job(&self) -> Job {
        let install = self.packages.iter().map(Want::install);
        let require = self.requires.iter().cloned().map(Want::Require);
        let wants = install.chain(require).collect();
        let (weak, best, exclude) = (self.weak, self.best, self.exclude.clone());
        Job { weak, best, exclude, ..Job::new(wants) }
    }
}

fn texts(list: &[String]) -> Value {
    Value::Array(list.iter().map(|text| Value::from(text.as_str())).collect())
}

/// Runs the command.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match (&options.tag, options.repos.is_empty()) {
            (None, true) if let Command::Lockfile { of } = &options.command => {
                stored::print(&options.server, of, &options.arch).await
            }
            (Some(tag), true) => ask_hub(&options, tag).await,
            (None, false) => ask_here(&options).await,
            _ => bail!("either --tag or --repo says which packages there are"),
        }
    })
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    Ok(writeln!(out, "{text}")?)
}

/// Prints a plan's packages and writes its lockfile.
fn show(lockfile: &Lockfile, skipped: &[String], file: Option<&PathBuf>) -> anyhow::Result<()> {
    for package in lockfile.packages() {
        say(&package.to_string())?;
    }
    if !skipped.is_empty() {
        tracing::warn!("not to be had, and not necessary: {}", skipped.join(", "));
    }
    if let Some(file) = file {
        std::fs::write(file, lockfile.to_json()?).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

fn step(by: Option<&str>, needs: &str, hard: bool, package: &str) -> String {
    let verb = if hard { "needs" } else { "would like" };
    format!("{} {verb} {needs}: {package}", by.unwrap_or("you"))
}

async fn ask_hub(options: &Options, tag: &str) -> anyhow::Result<()> {
    let hub = Client::new(&options.server, toji_client::Options::default())?;
    let arch = options.arch.as_str();
    let text = |value: &Value, key: &str| value.get(key).as_str().unwrap_or_default().to_owned();
    match &options.command {
        Command::Install { wants, lockfile } => {
            let (packages, opts) = (texts(&wants.packages), wants.options());
            let call = args!(tag, arch, packages, options.event, opts);
            let answer = hub.call("solve.install", call).await?;
            if !answer.get("solved").truthy() {
                bail!("{}", text(&answer, "text"));
            }
            let skipped = answer.get("skipped").as_array().unwrap_or_default();
            let skipped: Vec<String> =
                skipped.iter().filter_map(|s| s.as_str().map(str::to_owned)).collect();
            show(&Lockfile::from_json(&text(&answer, "lockfile"))?, &skipped, lockfile.as_ref())
        }
        Command::Why { name, wants } => {
            let (packages, opts) = (texts(&wants.packages), wants.options());
            let call = args!(tag, arch, name.as_str(), packages, options.event, opts);
            let steps = hub.call("solve.why", call).await?;
            let steps = steps.as_array().unwrap_or_default();
            if steps.is_empty() {
                bail!("{name} would not be installed");
            }
            steps.iter().try_for_each(|link| {
                let (needs, hard) = (text(link, "needs"), link.get("hard").truthy());
                say(&step(link.get("by").as_str(), &needs, hard, &text(link, "package")))
            })
        }
        Command::Lockfile { .. } => bail!("a stored lockfile is asked for without a tag"),
        Command::Depends { name, distance } => {
            let call = args!(tag, arch, name.as_str(), i64::from(*distance), options.event);
            let found = hub.call("solve.depends", call).await?;
            found.as_array().unwrap_or_default().iter().try_for_each(|one| {
                say(&format!("{}: {}", text(one, "package"), text(one, "needs")))
            })
        }
    }
}

async fn ask_here(options: &Options) -> anyhow::Result<()> {
    let (mut repositories, mut sources) = (Vec::new(), BTreeMap::new());
    for (number, text) in options.repos.iter().enumerate() {
        let id = text.split_once('=').filter(|(id, _)| !id.contains(['/', ':']));
        let (id, place) = match id {
            Some((id, place)) => (id.to_owned(), place),
            None => (format!("repo{}", number + 1), text.as_str()),
        };
        let url = match place.contains("://") {
            true => place.trim_end_matches('/').to_owned(),
            false => format!(
                "file://{}",
                std::fs::canonicalize(place).context(place.to_owned())?.display()
            ),
        };
        repositories.push(load(&id, &url).await.with_context(|| url.clone())?);
        sources.insert(id, Source::External { url });
    }
    let mut pool = Pool::new(&options.arch, &repositories)?;
    match &options.command {
        Command::Install { wants, lockfile } => match pool.solve(&wants.job())? {
            Ok(plan) => show(&plan.lockfile(sources)?, &plan.skipped, lockfile.as_ref()),
            Err(no) => bail!("{no}"),
        },
        Command::Why { name, wants } => {
            let plan = pool.solve(&wants.job())?.map_err(|no| anyhow::anyhow!("{no}"))?;
            let steps = pool.why(&plan, name);
            if steps.is_empty() {
                bail!("{name} would not be installed");
            }
            steps.iter().try_for_each(|l| say(&step(l.by.as_deref(), &l.needs, l.hard, &l.package)))
        }
        Command::Lockfile { .. } => bail!("stored lockfiles are the hub's"),
        Command::Depends { name, distance } => {
            let found = pool.whatrequires(name, usize::from(*distance).max(1))?;
            found.iter().try_for_each(|one| say(&format!("{}: {}", one.package, one.needs)))
        }
    }
}

/// Bytes of a metadata file as it is fetched.
const PACKED: usize = 1 << 30;

async fn load(id: &str, url: &str) -> anyhow::Result<Repository> {
    let web = Web::default();
    let fetch = async |path: &str, limit| {
        web.fetch(format!("{url}/{path}"), limit).await.map_err(anyhow::Error::msg)
    };
    let text = fetch("repodata/repomd.xml", 1 << 20).await?;
    let repomd = Repomd::parse(text.as_slice(), 1 << 20)?;
    let part = async |record: &Record| {
        anyhow::Ok((record.href.clone(), fetch(&record.href, PACKED).await?))
    };
    let primary = part(repomd.record("primary").context("no primary metadata")?).await?;
    let filelists = match repomd.record("filelists") {
        Some(record) => Some(part(record).await?),
        None => None,
    };
    let open = |(name, data): (String, Vec<u8>)| -> toji_repodata::Result<_> {
        Ok(BufReader::new(decoder(&name, Cursor::new(data))?))
    };
    let filelists = filelists.map(open).transpose()?;
    Ok(Repository::read(id, open(primary)?, filelists, ReadLimits::default())?)
}
