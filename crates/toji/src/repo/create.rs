//! `toji repo create`: the repository of a directory of packages.

use std::path::PathBuf;

use toji_repodata::Sum;
use toji_repodir::create::{Choice, create};

use super::progress::Progress;
use super::{Exit, format, workers};

/// What `toji repo create` can be told.
#[derive(clap::Args)]
pub(super) struct Options {
    /// The directory of the packages.
    directory: PathBuf,
    /// Where repodata goes, instead of the directory.
    #[arg(short, long, value_name = "DIR")]
    outputdir: Option<PathBuf>,
    /// Take metadata of packages that have not changed (size and time) from the repository that is there.
    #[arg(long)]
    update: bool,
    /// With --update: a package at the same place is the same package.
    #[arg(long, requires = "update")]
    skip_stat: bool,
    /// With --update: a repository to take metadata from, too.
    #[arg(long, value_name = "DIR", requires = "update")]
    update_md_path: Vec<PathBuf>,
    /// With --update: keep what the old repository has beside packages (the default).
    #[arg(long)]
    keep_all_metadata: bool,
    /// With --update: leave out what the old repository has beside packages.
    #[arg(long, conflicts_with = "keep_all_metadata")]
    discard_additional_metadata: bool,
    /// A file with the places of all packages to take, one on each line.
    #[arg(short = 'i', long, value_name = "FILE")]
    pkglist: Option<PathBuf>,
    /// The place of a package to take; may be given several times.
    #[arg(short = 'n', long, value_name = "PLACE")]
    includepkg: Vec<String>,
    /// Take the packages that the old repository has, at their places.
    #[arg(long, requires = "update")]
    recycle_pkglist: bool,
    /// Leave out files whose name or place fits the pattern (* and ?); may be given several times.
    #[arg(short = 'x', long, value_name = "PATTERN")]
    excludes: Vec<String>,
    /// Leave out links to packages.
    #[arg(short = 'S', long)]
    skip_symlinks: bool,
    /// Where packages are fetched from, instead of beside repodata.
    #[arg(short = 'u', long, value_name = "URL")]
    baseurl: Option<String>,
    /// Put before the place of each package.
    #[arg(long, value_name = "PREFIX")]
    location_prefix: Option<String>,
    /// Leave out so many directories at the start of each package's place.
    #[arg(long, value_name = "NUM", default_value_t = 0)]
    cut_dirs: usize,
    /// Group definitions (comps), looked for in the directory first.
    #[arg(short, long, value_name = "FILE")]
    groupfile: Option<PathBuf>,
    /// Kind of the checksums: md5, sha1, sha224, sha256, sha384 or sha512.
    #[arg(short = 's', long, value_name = "SUM", default_value = "sha256")]
    checksum: Sum,
    /// How many changelog entries of each package; -1 for all.
    #[arg(long, value_name = "NUM", default_value_t = 10, allow_negative_numbers = true)]
    changelog_limit: i64,
    /// Where checksums of packages are kept for the next time.
    #[arg(short, long, value_name = "DIR")]
    cachedir: Option<PathBuf>,
    /// Write the places of the packages that were read there.
    #[arg(long, value_name = "FILE")]
    read_pkgs_list: Option<PathBuf>,
    /// Threads at work; one for each core without it.
    #[arg(long, value_name = "NUM")]
    workers: Option<usize>,
    /// End with 2 if packages had to be left out.
    #[arg(long)]
    error_exit_val: bool,
    /// Say nothing but warnings.
    #[arg(short, long)]
    quiet: bool,
    /// What the repository is; as --repo-tag.
    #[arg(long = "repo", value_name = "TAG")]
    repo: Vec<String>,
    /// The directory that a relative one is in.
    #[arg(long, value_name = "DIR")]
    basedir: Option<PathBuf>,
    #[command(flatten)]
    others: Others,
    #[command(flatten)]
    format: format::Options,
}

/// Options of createrepo_c that change nothing here, and those that this does not do.
#[derive(clap::Args)]
struct Others {
    #[arg(short = 'p', long, hide = true)]
    pretty: bool,
    #[arg(short = 'v', long, hide = true)]
    verbose: bool,
    #[arg(long, hide = true)]
    local_sqlite: bool,
    /// `--retain-old-md` has the classical meaning anyway.
    #[arg(long, hide = true)]
    compatibility: bool,
    #[arg(long, hide = true)]
    split: bool,
    #[arg(long, hide = true)]
    deltas: bool,
    #[arg(long, hide = true)]
    oldpackagedirs: Vec<PathBuf>,
    #[arg(long, hide = true)]
    num_deltas: Option<i64>,
    #[arg(long, hide = true)]
    max_delta_rpm_size: Option<i64>,
}

impl Others {
    fn refuse(&self) -> anyhow::Result<()> {
        if self.split {
            anyhow::bail!("--split (sets of media) is not done here; nothing was written");
        }
        let deltas = self.deltas
            || !self.oldpackagedirs.is_empty()
            || self.num_deltas.is_some()
            || self.max_delta_rpm_size.is_some();
        if deltas {
            anyhow::bail!("delta packages (--deltas) are not made here; nothing was written");
        }
        Ok(())
    }
}

/// Runs the command.
pub(super) fn run(options: Options) -> anyhow::Result<()> {
    options.others.refuse()?;
    let mut format = options.format.format(options.checksum)?;
    format.tags.repo.extend(options.repo);
    let wanted = toji_repodir::create::Options {
        output: options.outputdir,
        choice: Choice {
            excludes: options.excludes,
            list: options.pkglist,
            include: options.includepkg,
            recycle: options.recycle_pkglist,
            skip_links: options.skip_symlinks,
        },
        update: options.update,
        skip_stat: options.skip_stat,
        update_from: options.update_md_path,
        keep_additional: !options.discard_additional_metadata,
        base_url: options.baseurl,
        location_prefix: options.location_prefix,
        cut_dirs: options.cut_dirs,
        groups: options.groupfile,
        sum: options.checksum,
        changelogs: usize::try_from(options.changelog_limit).ok(),
        cache: options.cachedir,
        workers: workers(options.workers),
        read_list: options.read_pkgs_list,
    };
    let progress = Progress::new(options.quiet);
    let directory = match options.basedir {
        Some(base) => base.join(&options.directory),
        None => options.directory,
    };
    let made = create(&directory, &wanted, &format, &progress);
    progress.end();
    let report = made?;
    if !options.quiet {
        let (all, reused, broken) = (report.packages, report.reused, report.broken.len());
        let broken = if broken == 0 { String::new() } else { format!(", {broken} left out") };
        super::print([format!("{all} packages, metadata of {reused} were there{broken}")])?;
    }
    if options.error_exit_val && !report.broken.is_empty() {
        return Err(Exit(2).into());
    }
    Ok(())
}
