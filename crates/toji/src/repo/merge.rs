//! `toji repo merge`: several repositories become one.

mod remote;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use toji_repodata::Sum;
use toji_repodir::merge::{Input, Mode, expand_arch, merge};

use super::progress::Progress;
use super::{format, workers};

/// What `toji repo merge` can be told.
#[derive(clap::Args)]
pub(super) struct Options {
    /// A repository, a directory or URL; the earlier ones matter more.
    #[arg(short, long = "repo", value_name = "DIR|URL", required = true)]
    repos: Vec<String>,
    /// Where the merged repository goes.
    #[arg(short, long, value_name = "DIR", default_value = "merged_repo")]
    outputdir: PathBuf,
    /// Only packages of these arches, separated by commas or semicolons.
    #[arg(short, long, value_name = "ARCHES")]
    archlist: Option<String>,
    /// Also take arches that run on those of --archlist, and noarch.
    #[arg(long, requires = "archlist")]
    arch_expand: bool,
    /// Which of the packages of one name and arch is taken: of the first repository, with the newest file, of the highest version.
    #[arg(long, value_enum, default_value = "repo")]
    method: Method,
    /// Take all versions of packages.
    #[arg(long)]
    all: bool,
    /// Koji's mode: packages of a source package come from the first repository that has some of them; --all is implied.
    #[arg(short, long)]
    koji: bool,
    /// With --koji: take everything, also the same version from several repositories.
    #[arg(long, requires = "koji")]
    simple: bool,
    /// Koji's bare mode: all versions, with the origins of packages.
    #[arg(long, conflicts_with = "koji")]
    bare: bool,
    /// With --koji: a file with names of source packages whose packages are left out.
    #[arg(short, long, value_name = "FILE", requires = "koji")]
    blocked: Option<PathBuf>,
    /// Write which package comes from which repository.
    #[arg(long)]
    pkgorigins: bool,
    /// A repository whose noarch packages are taken instead of the same ones of others.
    #[arg(long, value_name = "DIR|URL")]
    noarch_repo: Option<String>,
    /// Group definitions instead of those of the repositories.
    #[arg(short, long, value_name = "FILE")]
    groupfile: Option<PathBuf>,
    /// Leave out group definitions.
    #[arg(long)]
    nogroups: bool,
    /// Leave out advisories.
    #[arg(long)]
    noupdateinfo: bool,
    /// Do not write where packages are whose metadata do not say it.
    #[arg(long)]
    omit_baseurl: bool,
    /// A start of repositories' URLs that is replaced in the merged one.
    #[arg(long, value_name = "PREFIX", requires = "repo_prefix_replace")]
    repo_prefix_search: Option<String>,
    /// What it is replaced by.
    #[arg(long, value_name = "PREFIX", requires = "repo_prefix_search")]
    repo_prefix_replace: Option<String>,
    /// Keep the metadata of repositories at URLs here, and fetch only what has changed since; what was not used for 30 days goes.
    #[arg(long, value_name = "DIR")]
    cachedir: Option<PathBuf>,
    /// Threads at work; one for each core without it.
    #[arg(long, value_name = "NUM")]
    workers: Option<usize>,
    /// Say nothing but warnings.
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    format: format::Options,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Method {
    Repo,
    Ts,
    Nvr,
}

impl Options {
    fn mode(&self) -> Mode {
        match self.method {
            _ if self.koji && self.simple => Mode::Simple,
            _ if self.koji => Mode::Koji,
            _ if self.all || self.bare => Mode::All,
            Method::Repo => Mode::First,
            Method::Ts => Mode::NewestFile,
            Method::Nvr => Mode::HighestVersion,
        }
    }

    /// With Koji's modes arches are expanded, and without any there is only noarch.
    fn arches(&self) -> Vec<String> {
        let listed = self.archlist.as_deref().unwrap_or_default();
        let listed = listed.split([',', ';', ' ']).filter(|arch| !arch.is_empty());
        if self.koji || self.arch_expand {
            let arches: BTreeSet<&str> = listed.flat_map(expand_arch).chain(["noarch"]).collect();
            return arches.into_iter().map(str::to_owned).collect();
        }
        listed.map(str::to_owned).collect()
    }

    fn blocked(&self) -> anyhow::Result<BTreeSet<String>> {
        let Some(path) = &self.blocked else { return Ok(BTreeSet::new()) };
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    /// The URL as the merged repository shall have it.
    fn url(&self, given: &str) -> String {
        match (&self.repo_prefix_search, &self.repo_prefix_replace) {
            (Some(search), Some(replace)) => match given.strip_prefix(search.as_str()) {
                Some(rest) => format!("{replace}{rest}"),
                None => given.to_owned(),
            },
            _ => given.to_owned(),
        }
    }
}

/// Runs the command.
pub(super) fn run(options: Options) -> anyhow::Result<()> {
    let format = options.format.format(Sum::Sha256)?;
    let room = tempfile::tempdir()?;
    let remote = remote::Remote::new(room.path(), options.cachedir.as_deref())?;
    let input = |number: usize, given: &str| -> anyhow::Result<Input> {
        let dir = remote.local(number, given)?;
        let given = if given.contains("://") {
            given.to_owned()
        } else {
            dir.canonicalize().unwrap_or_else(|_| dir.clone()).display().to_string()
        };
        Ok(Input { dir, url: options.url(&given) })
    };
    let mut inputs = Vec::new();
    for (number, given) in options.repos.iter().enumerate() {
        inputs.push(input(number, given)?);
    }
    let noarch =
        options.noarch_repo.as_deref().map(|given| input(inputs.len(), given)).transpose()?;
    if options.nogroups && options.groupfile.is_some() {
        bail!("--groupfile and --nogroups exclude each other");
    }
    let wanted = toji_repodir::merge::Options {
        inputs,
        mode: options.mode(),
        arches: options.arches(),
        blocked: options.blocked()?,
        origins: options.koji || options.bare || options.pkgorigins,
        noarch,
        groups: options.groupfile.clone(),
        no_groups: options.nogroups,
        no_updates: options.noupdateinfo,
        omit_base: options.omit_baseurl,
        workers: workers(options.workers),
    };
    let progress = Progress::new(options.quiet);
    let merged = merge(&options.outputdir, &wanted, &format, &progress);
    progress.end();
    let count = merged?;
    if !options.quiet {
        super::print([format!("{count} packages of {} repositories", options.repos.len())])?;
    }
    Ok(())
}
