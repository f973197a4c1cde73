//! `toji wait-repo`: waits for a repository of a tag.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use toji_client::{Client, Map, RepoStep, TaskState, Value, WaitRepo, args};

use super::{Site, interrupted, plain};
use crate::repo::Exit;

/// What `toji wait-repo` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The tag.
    tag: String,
    /// A build that the repository must have, by name-version-release; more than one may be given.
    #[arg(long = "build", value_name = "NVR")]
    builds: Vec<String>,
    /// Take the argument for the name of a build target.
    #[arg(long)]
    target: bool,
    /// Ask for the repository, which needs a login, instead of waiting until somebody does.
    #[arg(long, overrides_with = "no_request")]
    request: bool,
    /// Do not ask for the repository: so it is without --request.
    #[arg(long)]
    no_request: bool,
    /// How long to wait at most, in minutes.
    #[arg(long, value_name = "MINUTES", default_value_t = 120)]
    timeout: u64,
    /// Tell what happens meanwhile.
    #[arg(short, long)]
    verbose: bool,
    /// Print nothing; the exit code tells.
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    site: Site,
}

/// Waits; fails if it does not come.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    super::run(async {
        let hub = options.site.hub(options.request).await?;
        let waited = tokio::select! {
            waited = wait(&hub, options) => waited,
            () = interrupted() => Err(Exit(1).into()),
        };
        match waited {
            Ok(repo) if !options.quiet => {
                let id = repo.value("id").display();
                let mut out = std::io::stdout();
                writeln!(out, "Got repo {id}")?;
                writeln!(out, "Repo info: {}/repoinfo?repoID={id}", hub.web_url())?;
                Ok(())
            }
            Err(error) if options.quiet => {
                tracing::debug!("{error:#}");
                Err(Exit(1).into())
            }
            other => other.map(drop),
        }
    })
}

async fn wait(hub: &Client, options: &Options) -> anyhow::Result<Map> {
    let tag = tag(hub, options).await?;
    let wanted = WaitRepo {
        tag: tag.value("id").clone(),
        builds: options.builds.clone(),
        request: options.request,
        timeout: Some(Duration::from_secs(options.timeout.saturating_mul(60))),
        ..WaitRepo::default()
    };
    if !options.quiet {
        warn(hub, options, &tag).await?;
    }
    let name = plain(tag.str("name").unwrap_or_default());
    let mut progress = Progress {
        shown: !options.quiet && std::io::stderr().is_terminal(),
        begin: Instant::now(),
        what: format!("waiting for a repository of {name}"),
    };
    let mut steps = hub.watch_repo(wanted);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        let step = tokio::select! {
            step = steps.next() => step.context("the hub gave no repository")??,
            _ = tick.tick(), if progress.shown => { progress.draw(); continue; }
        };
        let words = match step {
            RepoStep::Ready(repo) => return Ok(repo),
            RepoStep::Untagged(builds) => format!("not in {name} yet: {}", builds.join(", ")),
            RepoStep::Wanted(Some(event)) => {
                format!("a repository of {name}, event {event} or later")
            }
            RepoStep::Wanted(None) => format!("a repository of {name}"),
            RepoStep::Requested(request) => {
                format!("request {}{}", number(&request), task(&request))
            }
            _ => continue,
        };
        progress.what = plain(&words);
        if options.verbose && !options.quiet {
            progress.end();
            writeln!(std::io::stdout(), "{}", progress.what)?;
        }
    }
}

fn number(request: &Map) -> String {
    request.value("id").display()
}

fn task(request: &Map) -> String {
    let Some(task) = request.int("task_id") else { return ", waits for its task".to_owned() };
    let state = request.int("task_state").and_then(|state| TaskState::try_from(state).ok());
    let state = state.map_or(String::new(), |state| format!(" {}", state.name().to_lowercase()));
    format!(", task {task}{state}")
}

async fn tag(hub: &Client, options: &Options) -> anyhow::Result<Map> {
    let mut name = Value::from(options.tag.as_str());
    if options.target {
        let target = hub.call("getBuildTarget", (name,)).await?;
        if target.is_nil() {
            bail!("no such build target: {}", options.tag);
        }
        name = target.get("build_tag").clone();
    }
    match hub.call("getTag", (name,)).await? {
        Value::Struct(tag) => Ok(tag),
        _ => bail!("no such tag: {}", options.tag),
    }
}

/// Says what may make the waiting vain.
async fn warn(hub: &Client, options: &Options, tag: &Map) -> anyhow::Result<()> {
    let (id, name) = (tag.value("id").clone(), tag.str("name").unwrap_or_default());
    let mut err = std::io::stderr();
    let mut calls = hub.multicall();
    calls.add("getBuildTargets", args!(; "buildTagID" => id.clone()));
    calls.add("getBuildTargets", args!(; "destTagID" => id.clone()));
    for build in &options.builds {
        let package = build.rsplitn(3, '-').nth(2);
        let Some(package) = package else { bail!("{build} is no name-version-release") };
        calls.add("getLatestBuilds", args!(id.clone(); "package" => package));
    }
    let answers = calls.strict().await?;
    let list = |at: usize| answers.get(at).and_then(Value::as_array).unwrap_or_default();
    if !options.target && list(0).is_empty() {
        let names = list(1).iter().filter_map(|target| target.get("build_tag_name").as_str());
        let names: std::collections::BTreeSet<&str> = names.collect();
        writeln!(err, "{name} is not the build tag of any target")?;
        if !names.is_empty() {
            let names: Vec<&str> = names.into_iter().collect();
            writeln!(err, "build tags of its targets: {}", names.join(", "))?;
        }
    }
    let automatic = tag.value("extra").get("repo.auto").truthy();
    if !options.request && !automatic {
        writeln!(err, "{name} gets no repository by itself; --request asks for one")?;
    }
    for (at, build) in options.builds.iter().enumerate() {
        match list(at + 2).first().map(|latest| latest.get("nvr").display()) {
            None => writeln!(err, "nothing of the package of {build} is in {name}")?,
            Some(latest) if latest != *build => {
                writeln!(err, "{build} is not the latest in {name}, which is {latest}")?;
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// A line on the terminal that tells what is waited for, and how long already.
struct Progress {
    shown: bool,
    begin: Instant,
    what: String,
}

impl Progress {
    fn draw(&self) {
        let seconds = self.begin.elapsed().as_secs();
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        let what: String = self.what.chars().take(70).collect();
        write!(std::io::stderr(), "\r{what}  {minutes}:{seconds:02}\x1b[K").ok();
    }

    fn end(&self) {
        if self.shown {
            write!(std::io::stderr(), "\r\x1b[K").ok();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}
